"""What the terminal can show, and what the flags --json and --verbose ask for."""

import argparse
import os
import sys
from typing import Any

__all__ = [
    "OutputFlag",
    "can_redraw",
    "forget_flags",
    "is_for_people",
    "is_verbose",
    "num_columns",
    "red",
]

_RED, _END = "\x1b[31m", "\x1b[0m"
_NUM_COLUMNS = 80  # of a terminal whose width is not known

_flags: set[str] = set()


class OutputFlag(argparse.Action):
    """A flag of every command about its output, which is no option of its job."""

    def __init__(self, option_strings: list[str], dest: str, help: str) -> None:  # noqa: A002
        hidden = argparse.SUPPRESS
        super().__init__(option_strings, hidden, nargs=0, default=hidden, help=help)

    def __call__(
        self, parser: Any, namespace: Any, values: Any, flag: Any = ""
    ) -> None:
        """Records the flag."""
        _flags.add(str(flag))


def forget_flags() -> None:
    """Takes back the flags of the command line before."""
    _flags.clear()


def is_for_people() -> bool:
    """Returns whether a person reads the results, so standard output is a terminal."""
    return "--json" not in _flags and sys.stdout.isatty()


def is_verbose() -> bool:
    """Returns whether what libraries log is shown."""
    return "--verbose" in _flags


def can_redraw() -> bool:
    """Returns whether a line on standard error can be replaced by another."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def num_columns() -> int:
    """Returns the width of the terminal."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _NUM_COLUMNS
    except (OSError, ValueError, AttributeError):
        return _NUM_COLUMNS


def red(text: str) -> str:
    """Returns a text for standard error in red, where colours are shown and wanted."""
    # An empty NO_COLOR is none: https://no-color.org
    if not can_redraw() or os.environ.get("NO_COLOR"):
        return text
    return f"{_RED}{text}{_END}"
