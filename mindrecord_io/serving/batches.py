"""Yields the batches of one epoch as numpy arrays, in an order that is fixed.

The content of a batch is a function of (seed, epoch, batch size) and of the clips in
the split, not of the number of threads, of ranks, or of the shard that a clip is in.
Any step can therefore be the first: nothing before it is read.
"""

import contextlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mindrecord_io.serving import clip_sampling
from mindrecord_io.serving.clip_decoders import ClipDecoders, PendingBatch, Samples
from mindrecord_io.serving.clip_index import ClipIndex
from mindrecord_io.serving.clip_random import ClipRandom
from mindrecord_io.serving.clip_reader import decide
from mindrecord_io.serving.clip_sampling import EachOnce, Sampling
from mindrecord_io.serving.feeds import Ahead, Feed, LocalFeed
from mindrecord_io.serving.views import View, check_view

__all__ = ["Batch", "BatchPlan", "BatchSource"]

Batch = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]

_PREFETCHED_BATCHES = 2


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """Which clips make a batch, in which order, and at which batch to begin.

    The clips of global step k, and what is seen of them, are a function of seed, epoch,
    batch_size, the view and the clips: rank and num_ranks only divide them.

    Attributes:
      batch_size: clips in a step, over all ranks together.
      seed, epoch: choose the order, the frames, the crops and the flips.
      begin_step: 0-based; earlier steps are neither made nor read.
      drop_last: leave out a short last batch, which spares a network that is compiled
        for one shape a second compilation.
      rank, num_ranks: this process gets its part of every batch: a contiguous slice,
        all slices equally large or by one clip larger. Every rank has equally many
        steps; its part of a short last batch may be empty.
      sampling: which clips make an epoch of a random view, None for each clip once. A
        view that is not random sees each clip once, in the order of the table.
    """

    batch_size: int
    seed: int = 0
    epoch: int = 0
    begin_step: int = 0
    drop_last: bool = False
    rank: int = 0
    num_ranks: int = 1
    sampling: Sampling | None = None

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.epoch < 0:
            raise ValueError(
                f"batch_size must be at least 1 and epoch at least 0, got "
                f"{self.batch_size} and {self.epoch}"
            )
        if not 0 <= self.rank < self.num_ranks:
            raise ValueError(f"rank must be in [0, {self.num_ranks}), got {self.rank}")
        if self.batch_size < self.num_ranks:
            raise ValueError(
                f"batch_size is for all ranks together and must be at least num_ranks, "
                f"{self.num_ranks}: {self.batch_size}"
            )


class BatchSource:
    """Yields batches: frames uint8 (N, *clip_shape) RGB and label_ids int32 (N,).

    Every iteration yields the same batches, in arrays of their own; leaving the loop
    ends what was begun ahead.

    Attributes:
      index, view, plan: the arguments.
      num_steps: of the whole epoch, those before `begin_step` included.
      num_dropped: clips left out by `drop_last`.
    """

    def __init__(
        self,
        index: ClipIndex,
        view: View,
        plan: BatchPlan,
        *,
        decoders: ClipDecoders,
        feed: Feed | None = None,
    ) -> None:
        """Checks the view and the plan; nothing is read yet.

        Args:
          decoders: of the same index, view and seed.
          feed: where the frames come from; None: from shards on this machine.
        """
        self.index = index
        self.view = view
        self.plan = plan
        self._decoders = decoders
        self._feed = feed or LocalFeed()
        check_view(view)
        _check_labels(index, view, plan)
        self.num_steps, self.num_dropped = _count_steps(index, plan)
        if view.is_random:
            sampling = plan.sampling or EachOnce()
            self._order = sampling.draw(index, plan.seed, plan.epoch)
        elif plan.sampling is None:
            self._order = np.arange(len(index))
        else:
            raise ValueError(
                f"sampling is for a random view such as TrainView: "
                f"{type(view).__name__} sees each clip once"
            )
        self._repetitions = clip_sampling.repetitions(self._order)

    def __len__(self) -> int:
        """Returns the number of batches of an iteration."""
        return self.num_steps - self.plan.begin_step

    def __iter__(self) -> Iterator[Batch]:
        pending: deque[tuple[int, PendingBatch]] = deque()
        with contextlib.ExitStack() as undone:
            ahead = undone.enter_context(self._feed.ahead(self))
            undone.callback(_abandon, pending)
            for step in self.steps:
                while pending and not ahead.can_hold(step):
                    yield self._finish(*pending.popleft(), ahead)
                samples = replace(self.samples(step), seen=ahead.ready(step))
                pending.append((step, self._decoders.submit(samples)))
                if len(pending) > _PREFETCHED_BATCHES:
                    yield self._finish(*pending.popleft(), ahead)
            while pending:
                yield self._finish(*pending.popleft(), ahead)

    def moved(self, *, epoch: int, begin_step: int) -> "BatchSource":
        """Returns the same source at another epoch and step."""
        plan = replace(self.plan, epoch=epoch, begin_step=begin_step)
        return BatchSource(
            self.index, self.view, plan, decoders=self._decoders, feed=self._feed
        )

    @property
    def steps(self) -> range:
        """The steps of the epoch from `begin_step` on."""
        return range(self.plan.begin_step, self.num_steps)

    def following(self) -> "BatchSource":
        """Returns the source of the next epoch."""
        return self.moved(epoch=self.plan.epoch + 1, begin_step=0)

    def samples(self, step: int) -> Samples:
        """Returns the clips of this rank's part of a step."""
        part = self._positions(step)
        return Samples(self.plan.epoch, self._order[part], self._repetitions[part])

    def rows(self) -> npt.NDArray[np.int64]:
        """Returns the rows of the index that this rank's batches hold, in order."""
        parts = map(self._positions, self.steps)
        return np.concatenate([self._order[part] for part in parts])

    def _positions(self, step: int) -> slice:
        """Returns which part of the epoch's order is this rank's part of a step."""
        plan = self.plan
        begin = step * plan.batch_size
        size = min(plan.batch_size, len(self._order) - begin)
        first, end = (size * r // plan.num_ranks for r in (plan.rank, plan.rank + 1))
        return slice(begin + first, begin + end)

    def _finish(self, step: int, batch: PendingBatch, ahead: Ahead) -> Batch:
        finished = batch.result()
        ahead.release(step)
        return finished


def _abandon(pending: deque[tuple[int, PendingBatch]]) -> None:
    for _, batch in pending:
        batch.abandon()


def _count_steps(index: ClipIndex, plan: BatchPlan) -> tuple[int, int]:
    """Returns the steps of an epoch and the clips that are in none of them."""
    num_whole, num_left = divmod(len(index), plan.batch_size)
    has_short = num_left > 0 and not plan.drop_last
    num_steps = num_whole + has_short
    if num_steps == 0:
        raise ValueError(
            f"{index.name} has {len(index)} clips, less than one batch of "
            f"{plan.batch_size}, and drop_last leaves those out"
        )
    if not 0 <= plan.begin_step < num_steps:
        raise ValueError(
            f"begin_step must be in [0, {num_steps}), the steps of an epoch: "
            f"{plan.begin_step}"
        )
    return num_steps, 0 if has_short else num_left


def _check_labels(index: ClipIndex, view: View, plan: BatchPlan) -> None:
    """Tries the view on the clip with the highest label_id, which may be too high."""
    try:
        decide(index, view, int(index.label_ids.argmax()), ClipRandom(plan.seed, 0, ""))
    except ValueError as cause:
        raise ValueError(f"{index.name}: {cause}") from cause
