"""Opens a split as batches for training and evaluation."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mindrecord_io.serving import clip_sampling
from mindrecord_io.serving.batches import Batch, BatchPlan, BatchSource
from mindrecord_io.serving.block_sampling import BlockShuffle
from mindrecord_io.serving.clip_decoders import ClipDecoders
from mindrecord_io.serving.clip_index import read_clip_index
from mindrecord_io.serving.clip_sampling import EachOnce
from mindrecord_io.serving.read_forecast import Forecast
from mindrecord_io.serving.reader_state import ReaderState, StateError, digest
from mindrecord_io.serving.remote_reading import RemoteReading
from mindrecord_io.serving.views import View
from mindrecord_io.versions.manifests import Version
from mindrecord_io.versions.opening import RemoteVersion, open_version

if TYPE_CHECKING:
    from mindspore import Tensor

__all__ = ["COLUMNS", "SplitReader", "open_split"]

logger = logging.getLogger(__name__)

COLUMNS = ("frames", "label")


class SplitReader:
    """Yields the batches of a split: frames uint8, label int32 (N,), as numpy arrays.

    Frames are (N, T, 3, crop_px, crop_px) RGB, or (N, V, T, 3, crop_px, crop_px) of a
    view that looks V times at a clip. A loop continues from the reader's place to the
    end of that epoch; the next loop over the same reader is the next epoch. `state` may
    be called at any time: it names the batch after the last one yielded.

    Attributes:
      index: the clips that are read (its `clip_ids`, and the rows that `rows` returns).
      steps_per_epoch: of a whole epoch, on every rank.
      num_dropped: clips of each epoch that `drop_last` leaves out.
      forecast: what an epoch of this rank fetches from an object store; else None.
    """

    def __init__(
        self,
        version: str,
        split: str,
        source: BatchSource,
        forecast: Forecast | None = None,
    ) -> None:
        self.forecast = forecast
        self._version = version
        self._split = split
        self._source = source
        self._epoch, self._step = source.plan.epoch, source.plan.begin_step
        self.index = source.index
        self.steps_per_epoch = source.num_steps
        self.num_dropped = source.num_dropped
        if self.num_dropped:
            text = "%s: %d of %d clips are left out of every epoch: they fill no batch"
            logger.info(text, self.index.name, self.num_dropped, len(self.index))

    @property
    def epoch(self) -> int:
        """The 0-based epoch that the next batch belongs to."""
        return self._epoch

    @property
    def step(self) -> int:
        """The 0-based step in its epoch that the next batch is."""
        return self._step

    def __len__(self) -> int:
        """Returns the number of batches left in this epoch."""
        return self.steps_per_epoch - self._step

    def get_dataset_size(self) -> int:
        """Returns the number of batches left in this epoch, as MindSpore names it."""
        return len(self)

    def __iter__(self) -> Iterator[Batch]:
        source, epoch = self._source_here(), self._epoch
        for step, batch in enumerate(source, self._step):
            is_last = step + 1 == self.steps_per_epoch
            self._epoch, self._step = (epoch + 1, 0) if is_last else (epoch, step + 1)
            yield batch

    def create_dict_iterator(
        self, num_epochs: int = 1, output_numpy: bool = False
    ) -> "Iterator[dict[str, Tensor | npt.NDArray[np.generic]]]":
        """Yields batches by COLUMNS, as a MindSpore data set does; one epoch at a time.

        Tensors share the arrays' memory: nothing is copied on the host.
        """
        if num_epochs != 1:
            raise ValueError(f"num_epochs must be 1: one loop an epoch: {num_epochs}")
        columns = (dict(zip(COLUMNS, batch, strict=True)) for batch in self)
        if output_numpy:
            yield from columns
            return
        from mindspore import Tensor  # seconds and gigabytes, for Tensors alone

        for arrays in columns:
            yield {name: Tensor.from_numpy(a) for name, a in arrays.items()}

    def with_clip_ids(
        self,
    ) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32], list[str]]]:
        """Yields frames, label and the ids of the batch's clips, as a loop otherwise.

        `for frames, label, clip_ids in reader.with_clip_ids()`
        """
        rows, end = self.rows(), 0
        for frames, label in self:
            begin, end = end, end + len(label)
            yield frames, label, list(self.index.clip_ids.take(rows[begin:end]))

    def rows(self) -> npt.NDArray[np.int64]:
        """Returns the rows of `index` that this rank reads in the rest of the epoch."""
        return self._source_here().rows()

    def state(self) -> ReaderState:
        """Returns what `open_split(..., state=...)` continues from."""
        source, plan = self._source, self._source.plan
        # Clips that are not shuffled are in table order, which depends on the shards.
        order = [] if source.view.is_random else list(self.index.clip_ids)
        return ReaderState(
            split=self._split,
            version=self._version,
            clips_digest=digest(self.index.digest, order),
            view_digest=digest(source.view, plan.sampling or EachOnce()),
            seed=plan.seed,
            batch_size=plan.batch_size,
            drop_last=plan.drop_last,
            epoch=self._epoch,
            step=self._step,
        )

    def resume(self, state: ReaderState) -> None:
        """Continues where `state` was taken, by a reader with any number of ranks.

        Raises:
          StateError: the state is of other clips or arguments.
        """
        state.check_continues(self.state())
        if state.step >= self.steps_per_epoch:
            raise StateError(
                f"the state is at step {state.step}, but an epoch has "
                f"{self.steps_per_epoch} steps"
            )
        self._epoch, self._step = state.epoch, state.step

    def _source_here(self) -> BatchSource:
        plan = self._source.plan
        if (plan.epoch, plan.begin_step) != (self._epoch, self._step):
            self._source = self._source.moved(epoch=self._epoch, begin_step=self._step)
        return self._source


def open_split(
    dataset: Path | str | Version,
    split: str,
    view: View,
    plan: BatchPlan,
    *,
    state: ReaderState | None = None,
    num_workers: int | None = None,
    version: str | None = None,
    clip_ids: Sequence[str] | None = None,
) -> SplitReader:
    """Opens a split for training or evaluation, at the beginning or where it stopped.

    Args:
      dataset: a path, the URI of a remote data set, or an open version.
      state: of `SplitReader.state`, with any number of ranks: continues with the next
        batch, whatever the plan's epoch and begin_step; its other values must agree.
      num_workers: decoding threads, None for one per processor.
      version: of a path or URI, None for the newest published one.
      clip_ids: read these clips only.

    Raises:
      ManifestError, StorageError: there is no such version, or it cannot be read.
      DatasetError: a shard is missing or has another size than published.
      StateError: the state is of other clips or arguments.
      ValueError: an argument is wrong, or the split has no clips.
    """
    opened = _open(dataset, version)
    index = read_clip_index(opened, split)
    if clip_ids is not None:
        index = clip_sampling.select(index, clip_ids)
    if isinstance(plan.sampling, BlockShuffle):
        plan = replace(plan, sampling=_fitted(plan.sampling, opened, split, plan))
    if state is not None:
        plan = replace(plan, epoch=state.epoch, begin_step=0)
    decoders = ClipDecoders(index, view, seed=plan.seed, num_workers=num_workers)
    source = BatchSource(index, view, plan, decoders=decoders)
    forecast = None
    if isinstance(opened, RemoteVersion):
        ways = RemoteReading(
            opened.cache, index, view, seed=plan.seed, decoders=decoders
        )
        is_sequential = getattr(plan.sampling, "is_sequential", False)
        feed, forecast = ways.choose(source, is_sequential=is_sequential)
        source = BatchSource(index, view, plan, decoders=decoders, feed=feed)
    reader = SplitReader(opened.manifest.version, split, source, forecast)
    if state is not None:
        reader.resume(state)
    return reader


def _fitted(
    sampling: BlockShuffle, version: Version, split: str, plan: BatchPlan
) -> BlockShuffle:
    manifest = version.manifest
    return sampling.fitted(
        num_shards=manifest.num_shards[split],
        salt=manifest.salt,
        batch_size=plan.batch_size,
    )


def _open(dataset: Path | str | Version, version: str | None) -> Version:
    if not isinstance(dataset, Version):
        return open_version(dataset, version)
    name = dataset.manifest.version
    if version not in (None, name):
        raise ValueError(f"version must be {name}, which is open, got {version!r}")
    return dataset
