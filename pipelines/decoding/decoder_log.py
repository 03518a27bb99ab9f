"""Captures what a decoder logs while it decodes a clip.

libavcodec raises on what it cannot decode, but only logs (to stderr) what it conceals.
Here descriptors 1 and 2 lead into a pipe for as long as one clip is decoded.
"""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import av.logging

__all__ = ["captured"]

_MAX_NUM_BYTES = 64 << 10  # of a pipe; what does not fit is dropped, never waited for
_DESCRIPTORS = (1, 2)


class DecoderLog:
    """The text of one capture; complete after the `with` block."""

    def __init__(self) -> None:
        self.text = ""


@contextmanager
def captured() -> Iterator[DecoderLog]:
    """Captures, at most 64 KiB of, what the block writes to descriptors 1 and 2."""
    log = DecoderLog()
    # By default the package silences the library, or handles its messages itself.
    av.logging.restore_default_callback()
    av.logging.set_libav_level(av.logging.WARNING)
    _flush()
    read_end, write_end = os.pipe()
    kept = [os.dup(descriptor) for descriptor in _DESCRIPTORS]
    try:
        os.set_blocking(write_end, False)
        for descriptor in _DESCRIPTORS:
            os.dup2(write_end, descriptor)
        try:
            yield log
        finally:
            _flush()
            for descriptor, original in zip(_DESCRIPTORS, kept, strict=True):
                os.dup2(original, descriptor)
        os.close(write_end)
        write_end = -1
        log.text = _read_all(read_end)
    finally:
        for descriptor in (read_end, *kept, *([] if write_end < 0 else [write_end])):
            os.close(descriptor)


def _flush() -> None:
    """Empties Python's buffers and those of the C library."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    ctypes.CDLL(None).fflush(None)


def _read_all(descriptor: int) -> str:
    parts = []
    while part := os.read(descriptor, _MAX_NUM_BYTES):
        parts.append(part)
    return b"".join(parts).decode("utf-8", "replace")
