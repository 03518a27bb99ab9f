"""Shows how far a job is: a bar on a terminal, plain lines in a log."""

import contextlib
import logging
import sys
import threading
from collections.abc import Callable, Iterator

import tqdm

__all__ = ["configure_logging", "watched"]

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.5


def configure_logging() -> None:
    """Sends log lines to standard error; on a terminal warnings only, beside the bar."""
    logging.basicConfig(
        level=logging.WARNING if sys.stderr.isatty() else logging.INFO,
        format="%(asctime)s %(levelname).1s %(name)s: %(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
        force=True,
    )
    logging.getLogger("apache_beam").setLevel(logging.WARNING)
    # Beam says so of an optional part at every import; nothing here uses it.
    logging.getLogger().handlers[0].addFilter(
        lambda record: "apitools not found" not in record.getMessage()
    )


@contextlib.contextmanager
def watched(label: str, total: int, num_done: Callable[[], int]) -> Iterator[None]:
    """Shows, while the block runs, how many of `total` clips `num_done` counts.

    What is counted is what has been published, so that it works on any runner.
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
        while not stop.wait(_POLL_SECONDS):
            bar.update(num_done() - bar.n)

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        bar.update(num_done() - bar.n)
        bar.close()
