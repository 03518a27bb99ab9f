"""Runs a command: its errors, its last line of output, its exit status."""

import dataclasses
import json
import logging
from collections.abc import Callable
from typing import Any

from eval.running import config_file

__all__ = ["exit_status", "tell"]

logger = logging.getLogger(__name__)


def exit_status(run: Callable[[], Any]) -> int:
    """Runs a job and prints what it returns as one line of JSON.

    Args:
      run: returns a dataclass, or None where nothing, or another rank, prints it.

    Returns:
      0, or 1 if the job failed, or 2 if the configuration is wrong; both log a line.
    """
    try:
        result = run()
    except config_file.ConfigError as error:
        logger.error("%s", error)
        return 2
    except (OSError, ValueError, RuntimeError) as error:
        logger.error("%s", error)
        logger.debug("where it happened", exc_info=True)
        return 1
    if result is not None:
        tell(result)
    return 0


def tell(result: Any) -> None:
    """Prints a dataclass as one line of JSON, at once."""
    print(json.dumps(dataclasses.asdict(result)), flush=True)  # noqa: T201
