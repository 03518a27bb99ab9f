"""Shows how far a job is: a bar on a terminal, plain lines in a log."""

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator

import tqdm

from mindrecord_io.commands import command_line

__all__ = ["configure_logging", "line", "watched"]

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.5
_LINE_SECONDS = 30  # a log of a day has some thousand of them


def configure_logging() -> None:
    """Sends log lines to standard error, without those of Beam that help nobody."""
    command_line.configure_logging(_is_wanted, force=True)
    # Beam logs a failed task with hundreds of lines; the job logs the one that counts.
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)


def line(label: str, total: int, num_done: int, seconds: float) -> str:
    """Returns how far a job is, how fast, and how long it will take at that rate."""
    if num_done == 0:
        return f"{label}: none of {total} clips in {seconds:.0f} s"
    rate = num_done / seconds
    minutes = (total - num_done) / rate / 60
    return (
        f"{label}: {num_done} of {total} clips ({num_done / total:.0%}), "
        f"{rate:.1f} clips/s, {minutes:.1f} min left"
    )


def _is_wanted(record: logging.LogRecord) -> bool:
    # Beam logs that of an optional part at every import; nothing here uses it. And what
    # a cluster's task logged before it failed comes whole, in the root logger's name.
    text = record.getMessage()
    return "apitools not found" not in text and (
        record.name != "root" or "Traceback (most recent call last)" not in text
    )


@contextlib.contextmanager
def watched(label: str, total: int, num_done: Callable[[], int]) -> Iterator[None]:
    """Shows, while the block runs, how many of `total` clips `num_done` counts.

    On a terminal by a bar, elsewhere by a line now and then. What is counted is what
    has been published, so that it works on any runner.
    """
    stop = threading.Event()
    bar = tqdm.tqdm(
        desc=label,
        total=total,
        unit="clip",
        file=sys.stderr,
        disable=None,  # unless standard error is a terminal
        smoothing=0.05,
    )

    def poll() -> None:
        begin = last_line = time.monotonic()
        while not stop.wait(_POLL_SECONDS):
            num = num_done()
            bar.update(num - bar.n)
            now = time.monotonic()
            if bar.disable and now - last_line >= _LINE_SECONDS:
                last_line = now
                logger.info("%s", line(label, total, num, now - begin))

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        bar.update(num_done() - bar.n)
        bar.close()
