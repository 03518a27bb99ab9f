"""Runs a job of `eval` or `train`: its errors, its last line, its exit status."""

from collections.abc import Callable
from typing import Any

from eval.running import config_file
from mindrecord_io.commands import command_line

__all__ = ["run"]


def run(job: str, call: Callable[[], Any]) -> int:
    """Runs a job as `command_line.run` does; a wrong configuration is wrong usage."""
    return command_line.run(job, call, usage_errors=(config_file.ConfigError,))
