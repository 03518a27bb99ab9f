"""What a person sees while clips are scored: a bar, or a line now and then."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
import tqdm

__all__ = ["SECONDS_A_LINE", "shown"]

logger = logging.getLogger(__name__)

SECONDS_A_LINE = 30.0

Batch = Mapping[str, npt.NDArray[np.generic]]


def shown(
    batches: Iterable[Batch], title: str, num_clips: int, *, is_shown: bool
) -> Iterator[Batch]:
    """Gives the batches; shows how many of the clips have been scored.

    A batch counts when the next one is asked for. A terminal has a bar that goes when
    all is done; a log a line every SECONDS_A_LINE.

    Args:
      num_clips: in all batches.
      is_shown: nothing is shown otherwise.
    """
    bar = tqdm.tqdm(
        desc=title,
        total=num_clips,
        unit="clip",
        leave=False,
        file=sys.stderr,
        disable=None if is_shown else True,  # None: unless it is a terminal
    )
    began = told = time.monotonic()
    num_scored = 0
    with bar:
        for batch in batches:
            yield batch
            num_scored += len(batch["frames"])
            bar.update(len(batch["frames"]))
            now = time.monotonic()
            if is_shown and bar.disable and now - told >= SECONDS_A_LINE:
                told, speed = now, num_scored / (now - began)
                logger.info(
                    "%s: %d of %d clips, %.1f clips/s",
                    title,
                    num_scored,
                    num_clips,
                    speed,
                )
