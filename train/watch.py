"""Measures and shows a training: speed, progress bar, TensorBoard."""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorboardX

from mindrecord_io.commands import progress_bar
from train import clips

__all__ = ["EPOCH_TAGS", "STEP_TAGS", "Board", "EpochBar", "Spent", "Stopwatch"]

logger = logging.getLogger(__name__)

STEP_TAGS = {
    "loss": "train/loss",
    "top1": "train/top1",
    "gradient_norm": "train/gradient_norm",
    "learning_rate": "train/learning_rate",
    "clips_per_second": "speed/clips_per_second",
    "waiting_share": "speed/waiting_share",
}
EPOCH_TAGS = {
    "loss": "epoch/train_loss",
    "train_top1": "epoch/train_top1",
    "top1": "epoch/validation_top1",
    "top5": "epoch/validation_top5",
    "num_skipped": "epoch/skipped_steps",
    "clips_per_second": "epoch/clips_per_second",
    "waiting_share": "epoch/waiting_share",
}
"""What TensorBoard calls the figures of a step and of an epoch."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Clips and seconds of training.

    Attributes:
      num_clips: trained by all ranks together.
      waited: seconds in which there was no batch to train by.
    """

    num_clips: int
    seconds: float
    waited: float

    @classmethod
    def total(cls, parts: Sequence["Spent"]) -> "Spent":
        """Returns the sum of all parts, zeros without any."""
        return cls(
            sum(part.num_clips for part in parts),
            sum(part.seconds for part in parts),
            sum(part.waited for part in parts),
        )

    @property
    def clips_per_second(self) -> float:
        """Clips per second; 0.0 without any."""
        return round(self.num_clips / self.seconds, 3) if self.num_clips else 0.0

    @property
    def waiting_share(self) -> float:
        """The share of the time in [0, 1] that was spent waiting."""
        return round(self.waited / self.seconds, 4) if self.num_clips else 0.0


class Stopwatch:
    """Measures clips per second and the share of time spent waiting for clips.

    Args:
      num_ranks: processes that do the same at the same time.
    """

    def __init__(self, num_ranks: int = 1) -> None:
        self._num_ranks = num_ranks
        self.restart()

    def restart(self) -> None:
        """Resets all counts, those of the batch at hand too."""
        self._began = time.monotonic()
        self._waited = 0.0
        self._num_clips = 0

    def timed(self, batches: Iterable[clips.Batch]) -> Iterator[clips.Batch]:
        """Yields batches and measures the wait for each."""
        began = time.monotonic()
        for batch in batches:
            self._waited += time.monotonic() - began
            self._num_clips += len(batch[1]) * self._num_ranks
            yield batch
            began = time.monotonic()

    @property
    def spent(self) -> Spent:
        """Clips and seconds up to now."""
        return Spent(self._num_clips, time.monotonic() - self._began, self._waited)

    def figures(self) -> dict[str, float]:
        """Returns clips_per_second and waiting_share up to now."""
        spent = self.spent
        return {
            "clips_per_second": spent.clips_per_second,
            "waiting_share": spent.waiting_share,
        }


class EpochBar:
    """Progress of an epoch: a bar on a terminal, and log lines everywhere.

    Args:
      begin_step: where in the epoch it begins.
      clips_per_step: of all ranks together.
      log_every: steps from one log line to the next.
      is_shown: whether this process shows anything.
    """

    def __init__(
        self,
        title: str,
        num_steps: int,
        *,
        begin_step: int,
        clips_per_step: int,
        log_every: int,
        is_shown: bool,
    ) -> None:
        self._title = title
        self._log_every = log_every
        self._is_shown = is_shown
        self._step = begin_step
        self._clips_per_step = clips_per_step
        self._bar = progress_bar.Bar(
            title,
            num_steps * clips_per_step,
            num_done=begin_step * clips_per_step,
            is_shown=is_shown,
        )

    def step(self, figures: Mapping[str, float]) -> None:
        """Shows one more step; figures: loss, top1, clips_per_second, waiting_share."""
        self._bar.advance(
            self._clips_per_step,
            f"loss {figures['loss']:.3f}",
            f"top-1 {figures['top1']:.3f}",
            f"{figures['clips_per_second']:.1f} clips/s",
            f"waiting {figures['waiting_share']:.0%}",
        )
        self._step += 1
        if self._is_shown and self._step % self._log_every == 0:
            line = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
            logger.info("%s, step %d: %s", self._title, self._step, line)

    def close(self) -> None:
        """Leaves the bar as it is."""
        self._bar.close()


class Board:
    """Writes TensorBoard's event files.

    Args:
      folder: where to; None for nowhere.
      begin_step: what an earlier, interrupted process wrote of later steps is void.
    """

    def __init__(self, folder: Path | None, begin_step: int = 0) -> None:
        self._writer = None
        if folder is not None:
            self._writer = tensorboardX.SummaryWriter(
                str(folder), purge_step=begin_step + 1 if begin_step else None
            )

    def add(
        self, tags: Mapping[str, str], figures: Mapping[str, Any], step: int
    ) -> None:
        """Records the figures that have a tag and are numbers."""
        if self._writer is None:
            return
        for name, tag in tags.items():
            if isinstance(value := figures.get(name), int | float):
                self._writer.add_scalar(tag, value, step)

    def flush(self) -> None:
        """Writes what is still in memory."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Writes what is still in memory, and no more after that."""
        if self._writer is not None:
            self._writer.close()
