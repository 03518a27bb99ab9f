"""What a decoder says of a file while it decodes it.

OpenCV hands on no error: its read() returns False alike at a clip's end and at damage.
But the libraries below it tell what they dislike on the process's descriptors 1 and 2,
if they are let. Here these lead into a pipe for as long as one clip is decoded.
"""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines import containers

__all__ = ["ENVIRONMENT", "DecoderLog", "captured"]

_WARNING = 24  # AV_LOG_WARNING
ENVIRONMENT = {
    "OPENCV_FFMPEG_LOGLEVEL": str(_WARNING),
    "OPENCV_LOG_LEVEL": "SILENT",
    # Nothing in a file makes the decoder open another one, or a connection.
    "OPENCV_FFMPEG_CAPTURE_OPTIONS": (
        f"protocol_whitelist;file|format_whitelist;{containers.FORMATS}"
    ),
}
"""For a process that decodes; libraries read it when they open their first file."""

_MAX_NUM_BYTES = 64 << 10  # of a pipe; what does not fit is dropped, never waited for
_DESCRIPTORS = (1, 2)


class DecoderLog:
    """The text of one capture; complete once its block has ended."""

    def __init__(self) -> None:
        self.text = ""


@contextmanager
def captured() -> Iterator[DecoderLog]:
    """Collects what is written to descriptors 1 and 2, at most 64 KiB, in the block."""
    log = DecoderLog()
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
    """Empties Python's buffers and those of the C library, where OpenCV prints."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    ctypes.CDLL(None).fflush(None)


def _read_all(descriptor: int) -> str:
    parts = []
    while part := os.read(descriptor, _MAX_NUM_BYTES):
        parts.append(part)
    return b"".join(parts).decode("utf-8", "replace")
