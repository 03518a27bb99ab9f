"""Measures how long a command has taken, from the start of its process.

What a user waits for begins before the first line of ours: Python starts, libraries
are loaded.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["begin_with_process", "measured", "seconds"]

_MAX_START_SECONDS = 5
"""A process that is older than that at its first line was something else before: a
shell that became its last command."""

_origin: float | None = None  # of time.monotonic


def begin_with_process() -> None:
    """Has `seconds` count from the start of this process, which runs one command."""
    global _origin
    age = _age_of_process()
    if age > _MAX_START_SECONDS:
        age = time.process_time()
    _origin = time.monotonic() - age


@contextlib.contextmanager
def measured() -> Iterator[None]:
    """Has `seconds` count from here on, where the process is not the command's own."""
    global _origin
    before = _origin
    if before is None:
        _origin = time.monotonic()
    try:
        yield
    finally:
        _origin = before


def seconds() -> float:
    """Returns the seconds that the command has taken until now."""
    assert _origin is not None
    return time.monotonic() - _origin


def _age_of_process() -> float:
    """Returns the seconds since this process was created.

    Where the system does not have them: those that it has computed.
    """
    try:
        text = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace")
        fields = text.rpartition(")")[2].split()
        started = int(fields[19]) / os.sysconf("SC_CLK_TCK")  # field 22 of proc(5)
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started)
    except (OSError, ValueError, IndexError, AttributeError):
        return time.process_time()
