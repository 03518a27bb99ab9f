"""What a person sees of a long loop: a bar on a terminal, lines in a log."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
import tqdm

__all__ = ["Bar", "show"]

logger = logging.getLogger(__name__)

_SECONDS_PER_LINE = 30.0

Batch = Mapping[str, npt.NDArray[np.generic]]


class Bar:
    """A bar on a terminal, that counts on where there is none.

    Args:
      num_total, num_done: units of the work, all and those done before.
      is_shown: whether this process shows anything, on a terminal or in a log.
      is_kept: whether the bar stays on the terminal after `close`.

    Attributes:
      num_done: units done until now.
      has_lines: whether log lines must stand in for the bar.
    """

    def __init__(
        self,
        title: str,
        num_total: int,
        unit: str,
        *,
        num_done: int = 0,
        is_shown: bool = True,
        is_kept: bool = True,
    ) -> None:
        self.num_done = num_done
        self._bar = tqdm.tqdm(
            desc=title,
            total=num_total,
            initial=num_done,
            unit=unit,
            leave=is_kept,
            file=sys.stderr,
            disable=None if is_shown else True,  # None: unless it is a terminal
        )
        self.has_lines = is_shown and self._bar.disable

    def advance(self, num: int, text: str = "") -> None:
        """Counts `num` more units; `text` stands behind the bar."""
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update(num)
        self.num_done += num

    def close(self) -> None:
        """Draws the bar for the last time."""
        self._bar.close()


def show(
    batches: Iterable[Batch], title: str, num_clips: int, *, is_shown: bool
) -> Iterator[Batch]:
    """Yields the batches and shows how many of their clips have been used.

    A batch counts when the next one is requested. A log gets one line every 30 s.

    Args:
      num_clips: in all batches.
      is_shown: whether anything is shown.
    """
    bar = Bar(title, num_clips, "clip", is_shown=is_shown, is_kept=False)
    began = last_line = time.monotonic()
    try:
        for batch in batches:
            yield batch
            bar.advance(len(batch["frames"]))
            now = time.monotonic()
            if bar.has_lines and now - last_line >= _SECONDS_PER_LINE:
                last_line = now
                logger.info(
                    "%s: %d of %d clips, %.1f clips/s",
                    title,
                    bar.num_done,
                    num_clips,
                    bar.num_done / (now - began),
                )
    finally:
        bar.close()
