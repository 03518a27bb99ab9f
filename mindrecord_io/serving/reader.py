"""A split as batches: what training and evaluation iterate over."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from mindspore import Tensor

from mindrecord_io.serving import (
    batches,
    clip_decoders,
    clip_index,
    clip_sampling,
    reader_state,
    views,
)
from mindrecord_io.versions import manifests, opening

__all__ = ["COLUMNS", "SplitReader", "open_split"]

logger = logging.getLogger(__name__)

COLUMNS = ("frames", "label")

_VIEWS = ("TrainView", "CentreView", "ThreeCropView")


class SplitReader:
    """Gives the batches of a split: frames uint8, label int32 (N,), both numpy arrays.

    Frames are (N, T, 3, crop_px, crop_px) RGB, or (N, V, T, 3, crop_px, crop_px) of a
    view that looks V times at a clip. Iterating goes on from where the reader is to the
    end of that epoch; the next loop over the same reader is the next epoch. `state` may
    be taken at any time: it tells the batch after the last one that the loop was given.

    Attributes:
      index: the clips read from (its `clip_ids` and the rows that `rows` returns).
      steps_per_epoch: of a whole epoch, on every rank.
      num_dropped: clips of each epoch that `drop_last` leaves out.
    """

    def __init__(
        self,
        version: str,
        split: str,
        source: batches.BatchSource,
    ) -> None:
        self._version = version
        self._split = split
        self._source = source
        self._epoch, self._step = source.plan.epoch, source.plan.begin_step
        self.index = source.index
        self.steps_per_epoch = source.num_steps
        self.num_dropped = source.num_dropped

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

    def __iter__(self) -> Iterator[batches.Batch]:
        source, epoch = self._source_here(), self._epoch
        for step, batch in enumerate(source, self._step):
            is_last = step + 1 == self.steps_per_epoch
            self._epoch, self._step = (epoch + 1, 0) if is_last else (epoch, step + 1)
            yield batch

    def create_dict_iterator(
        self, num_epochs: int = 1, output_numpy: bool = False
    ) -> Iterator[dict[str, Tensor | npt.NDArray[np.generic]]]:
        """Gives batches by COLUMNS, as a MindSpore data set does; one epoch at a time.

        Tensors share the arrays' memory: nothing is copied on the host.
        """
        if num_epochs != 1:
            raise ValueError(f"num_epochs must be 1: one loop an epoch: {num_epochs}")
        for batch in self:
            columns = dict(zip(COLUMNS, batch, strict=True))
            if output_numpy:
                yield columns
            else:
                yield {name: Tensor.from_numpy(a) for name, a in columns.items()}

    def rows(self) -> npt.NDArray[np.int64]:
        """Returns the rows of `index` that the rest of the epoch gives this rank."""
        return self._source_here().rows()

    def state(self) -> reader_state.ReaderState:
        """Returns what `open_split(..., state=...)` continues from."""
        source, plan = self._source, self._source.plan
        # What is not shuffled comes in the order of the table, which shards decide.
        order = [] if source.view.is_random else list(self.index.clip_ids)
        return reader_state.ReaderState(
            split=self._split,
            version=self._version,
            clips_digest=reader_state.digest(self.index.digest, order),
            view_digest=reader_state.digest(source.view, plan.sampling),
            seed=plan.seed,
            batch_size=plan.batch_size,
            drop_last=plan.drop_last,
            epoch=self._epoch,
            step=self._step,
        )

    def resume(self, state: reader_state.ReaderState) -> None:
        """Goes to where `state` was taken, by a reader with any number of ranks.

        Raises:
          StateError: the state is of other clips or arguments.
        """
        state.check_continues(self.state())
        if state.step >= self.steps_per_epoch:
            raise reader_state.StateError(
                f"the state is at step {state.step}, but an epoch has "
                f"{self.steps_per_epoch} steps"
            )
        self._epoch, self._step = state.epoch, state.step

    def _source_here(self) -> batches.BatchSource:
        plan = self._source.plan
        if (plan.epoch, plan.begin_step) != (self._epoch, self._step):
            self._source = self._source.moved(epoch=self._epoch, begin_step=self._step)
        return self._source


def open_split(
    dataset: Path | str | manifests.Version,
    split: str,
    view: views.View,
    *,
    batch_size: int,
    seed: int = 0,
    epoch: int = 0,
    begin_step: int = 0,
    state: reader_state.ReaderState | None = None,
    num_workers: int | None = None,
    version: str | None = None,
    drop_last: bool = False,
    rank: int = 0,
    num_ranks: int = 1,
    sampling: clip_sampling.Sampling | None = None,
    clip_ids: Sequence[str] | None = None,
) -> SplitReader:
    """Opens a split for training or evaluation, at the beginning or where it stopped.

    A TrainView shuffles (see clip_sampling), other views keep the order of the
    table. Which clips global step k of an epoch holds, and what is seen of them, is a
    function of seed, epoch, batch_size, view and clips: not of num_workers, of rank and
    num_ranks, or of shards.

    Args:
      dataset: a path, the URI of a remote data set (see storage), or a version that is
        open already.
      batch_size: clips in a step, over all ranks together.
      seed, epoch: choose order, frames, crops and flips.
      begin_step: 0-based; earlier steps are neither made nor read.
      state: of `SplitReader.state`, also of another number of ranks: reading goes on
        with the next batch. It takes the place of `epoch` and `begin_step`, while the
        other arguments must be those it was made with.
      num_workers: decoders, None for one a processor.
      version: of the data set, None for the newest published one.
      drop_last: leave out a short last batch, which is kept otherwise.
      rank, num_ranks: this process gets its part of every batch: a contiguous slice,
        all slices equally large or by one clip larger. Every rank has equally many
        steps; its part of a short last batch may be empty.
      sampling: which clips make an epoch of a TrainView, None for each of them once.
      clip_ids: read these clips only.

    Raises:
      manifest.ManifestError: there is no such data set or version.
      storage.StorageError: an object store cannot be read.
      clip_index.DatasetError: a shard is missing or has another size than published.
      reader_state.StateError: the state is of other clips or arguments.
      ValueError: an argument is wrong, or the split has no clips.
    """
    if not isinstance(view, views.View):
        raise ValueError(f"view must be one of {_VIEWS}, got {view!r}")
    if sampling is not None and not view.is_random:
        raise ValueError(f"sampling is for a TrainView: {type(view).__name__} sees all")
    plan = batches.BatchPlan(
        batch_size=batch_size,
        seed=seed,
        epoch=epoch,
        begin_step=begin_step,
        drop_last=drop_last,
        rank=rank,
        num_ranks=num_ranks,
        sampling=sampling or clip_sampling.EachOnce(),
    )
    if isinstance(dataset, manifests.Version):
        opened = dataset
    else:
        opened = opening.open_version(dataset, version)
    index = clip_index.read_clip_index(opened, split)
    if clip_ids is not None:
        index = clip_sampling.select(index, clip_ids)
    if state is not None:
        plan = replace(plan, epoch=0, begin_step=0)
    decoders = clip_decoders.ClipDecoders(
        index, view, seed=seed, num_workers=num_workers
    )
    source = batches.BatchSource(
        index, view, plan, decoders=decoders, cache=opened.cache
    )
    reader = SplitReader(opened.manifest.version, split, source)
    if state is not None:
        reader.resume(state)
    if reader.num_dropped:
        logger.info(
            "%s: %d of %d clips are left out of every epoch: they do not fill a batch",
            index.name,
            reader.num_dropped,
            len(index),
        )
    return reader
