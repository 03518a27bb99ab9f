"""Guards a command against standard streams that are closed, full or broken pipes.

A log that cannot be written is lost, its job goes on: nobody's hours of work end with
the terminal, or with the `tee`, that showed how they went. A result that cannot be
written is an error, unless its reader has had enough of it (`| head -1`).
"""

import contextlib
import errno
import os
import sys
from typing import Any, TextIO

__all__ = ["discard_output", "flushed", "guard"]

_NUM_STANDARD = 3


def guard() -> None:
    """Opens what is closed of the three streams, and lets standard error lose text.

    A file that is opened while one of them is closed takes its number, and gets what
    any library or child process writes there. Call this before anything is opened.
    """
    for descriptor in range(_NUM_STANDARD):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            os.set_inheritable(descriptor, True)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    stream = sys.stderr or os.fdopen(2, "w", closefd=False)
    if not isinstance(stream, _LossyStream):
        sys.stderr = _LossyStream(stream)  # type: ignore[assignment]


def discard_output() -> None:
    """Makes standard output lead nowhere, so that nothing fails at it any more."""
    _lead_nowhere(1)


def flushed(status: int) -> int:
    """Writes what is buffered of standard output; returns the exit status.

    It is 1 where that is not possible, unless the reader is gone.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
    except OSError as error:
        discard_output()
        sys.stderr.write(f"clipmill: standard output: {error.strerror}\n")
        return status or 1
    return status


class _LossyStream:
    """A text stream that loses what it cannot write."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with self._losing():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._losing():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _losing(self) -> Any:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.EPIPE, errno.EIO):  # of a terminal that is gone
                _lead_nowhere(2)  # for the libraries and children that write there too
        except ValueError:  # it is closed
            pass


def _lead_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
