"""The batches of a training, resumable at any step."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mindrecord_io import records
from mindrecord_io.serving import reader, reader_state

__all__ = ["Batch", "SplitClips", "TrainClips"]

Batch = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]
"""Frames (N, T, 3, H, W) and label_ids (N,), this rank's part of a step."""


class TrainClips(Protocol):
    """A split as an endless series of epochs.

    Attributes:
      steps_per_epoch: batches of a whole epoch.
    """

    steps_per_epoch: int

    def __iter__(self) -> Iterator[Batch]:
        """Yields the rest of this epoch's batches; a further call, the next epoch's."""

    def state(self) -> dict[str, Any]:
        """Returns the place of the next batch as JSON values."""

    def resume(self, state: dict[str, Any]) -> None:
        """Goes to where `state` was taken."""

    def clip_ids(self, epoch: int, step: int, num_clips: int) -> Sequence[str]:
        """Returns the ids of this rank's first clips of a step of an epoch."""

    def first_steps(self, epoch: int, num_steps: int) -> Iterator[Batch]:
        """Yields an epoch's first batches, at most all; `state` stays as it is."""


class SplitClips:
    """The train split of a published version.

    Args:
      open_at: opens it at a 0-based epoch and step, by `reader.open_split`.
    """

    def __init__(self, open_at: Callable[[int, int], reader.SplitReader]) -> None:
        self._open_at = open_at
        self._reader = open_at(0, 0)
        self.steps_per_epoch = self._reader.steps_per_epoch

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._reader)

    def state(self) -> dict[str, Any]:
        """Returns the reader's state."""
        state: dict[str, Any] = records.to_json(self._reader.state())
        return state

    def resume(self, state: dict[str, Any]) -> None:
        """Goes to where `state` was taken.

        Raises:
          reader_state.StateError: it is of other clips or arguments.
        """
        self._reader.resume(reader_state.ReaderState.parse(state))

    def clip_ids(self, epoch: int, step: int, num_clips: int) -> Sequence[str]:
        """Returns the ids of this rank's first clips of a step of an epoch."""
        opened = self._open_at(epoch, step)
        rows = opened.rows()[:num_clips]
        return [opened.index.clip_ids[row] for row in rows.tolist()]

    def first_steps(self, epoch: int, num_steps: int) -> Iterator[Batch]:
        """Yields an epoch's first batches, at most all; `state` stays as it is."""
        yield from itertools.islice(self._open_at(epoch, 0), num_steps)
