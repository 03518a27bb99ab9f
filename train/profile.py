"""Profiles training steps with MindSpore's profiler."""

import contextlib
import csv
import logging
from collections.abc import Iterator
from pathlib import Path

from mindspore import profiler

__all__ = ["profiled"]

logger = logging.getLogger(__name__)

_OPERATORS_FILE = "cpu_op_type_info_*.csv"
_NUM_LINES = 10


@contextlib.contextmanager
def profiled(folder: Path) -> Iterator[None]:
    """Profiles what runs inside the block, then logs the slowest operators.

    Args:
      folder: for the profiler's files; trace_view.json is for Chrome's or Perfetto's
        trace viewer.
    """
    handler = profiler.tensorboard_trace_handler(str(folder))
    with profiler.profile(
        activities=[profiler.ProfilerActivity.CPU], on_trace_ready=handler
    ):
        yield
    for line in _slowest_operators(folder):
        logger.info("%s", line)
    logger.info("the whole profile is in %s", folder)


def _slowest_operators(folder: Path) -> list[str]:
    """Returns a line for each of the ten slowest kinds of operator."""
    rows = [
        row
        for path in folder.rglob(_OPERATORS_FILE)
        for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    ]
    times = {row["op_type"]: float(row["total_compute_time"]) for row in rows}
    total = sum(times.values())
    slowest = sorted(times, key=lambda name: -times[name])[:_NUM_LINES]
    return [f"{times[name] / total:6.1%}  {name}" for name in slowest]
