"""The batches of one epoch as numpy arrays, decoded by threads, in a fixed order.

What a batch holds is a function of (seed, epoch, batch size) and of the clips in the
split: not of the number of threads, nor of ranks, nor of which shard a clip is in. Any
step can therefore be the first: nothing before it is read.
"""

import contextlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from mindrecord_io.serving import (
    clip_decoders,
    clip_index,
    clip_sampling,
    shards_ahead,
    views,
)
from mindrecord_io.storage import shard_cache

__all__ = ["Batch", "BatchPlan", "BatchSource"]

Batch = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]

_PREFETCHED_BATCHES = 2


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """Which batches of which epoch to make.

    Attributes:
      batch_size: clips in a step, over all ranks together.
      begin_step: 0-based; the first step to make.
      drop_last: leave out the last clips if they do not fill a batch, which spares a
        network that is compiled for one shape a second compilation.
      rank, num_ranks: this process takes its part of every batch: contiguous, and as
        large as the others' or by one clip larger. Of a short last batch it may be
        empty: every rank has equally many steps.
      sampling: which clips a view that is random gets.
    """

    batch_size: int
    seed: int = 0
    epoch: int = 0
    begin_step: int = 0
    drop_last: bool = False
    rank: int = 0
    num_ranks: int = 1
    sampling: clip_sampling.Sampling = field(default_factory=clip_sampling.EachOnce)

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
    """Makes batches: frames uint8 (N, *clip_shape) RGB and label_ids int32 (N,).

    A view that is random gets the clips that the plan's sampling draws, another one all
    of them in table order. Every iteration gives the same batches, in arrays of their
    own; leaving the loop ends what was begun ahead.

    Attributes:
      index, view, plan: as given.
      num_steps: of the whole epoch, those before `begin_step` included.
      num_dropped: clips left out by `drop_last`.
    """

    def __init__(
        self,
        index: clip_index.ClipIndex,
        view: views.View,
        plan: BatchPlan,
        *,
        decoders: clip_decoders.ClipDecoders,
        cache: shard_cache.ShardCache | None = None,
    ) -> None:
        """Checks the plan; nothing is read yet.

        Args:
          decoders: of the same index, view and seed.
          cache: needed where the shards are remote.
        """
        self.index = index
        self.view = view
        self.plan = plan
        self._decoders = decoders
        self._cache = cache
        _check_labels(index, view)
        self.num_steps, self.num_dropped = _count_steps(index, plan)
        if view.is_random:
            self._order = plan.sampling.draw(index, plan.seed, plan.epoch)
        else:
            self._order = np.arange(len(index))
        self._repetitions = clip_sampling.repetitions(self._order)

    def __len__(self) -> int:
        """Returns the number of batches that an iteration gives."""
        return self.num_steps - self.plan.begin_step

    def __iter__(self) -> Iterator[Batch]:
        pending: deque[tuple[int, clip_decoders.PendingBatch]] = deque()
        with contextlib.ExitStack() as undone:
            ahead = undone.enter_context(self._shards_ahead())
            undone.callback(_abandon, pending)
            for step in range(self.plan.begin_step, self.num_steps):
                ahead.ready(step)
                pending.append((step, self._submit(step)))
                if len(pending) > _PREFETCHED_BATCHES:
                    yield self._finish(*pending.popleft(), ahead)
            while pending:
                yield self._finish(*pending.popleft(), ahead)

    def moved(self, *, epoch: int, begin_step: int) -> "BatchSource":
        """Returns the same source at another place."""
        plan = replace(self.plan, epoch=epoch, begin_step=begin_step)
        return BatchSource(
            self.index, self.view, plan, decoders=self._decoders, cache=self._cache
        )

    def rows(self) -> npt.NDArray[np.int64]:
        """Returns the rows of the index that this rank's batches hold, in order."""
        parts = map(self._positions, range(self.plan.begin_step, self.num_steps))
        return np.concatenate([self._order[part] for part in parts])

    def _positions(self, step: int) -> slice:
        """Returns which part of the epoch's order is this rank's part of a step."""
        plan = self.plan
        begin = step * plan.batch_size
        size = min(plan.batch_size, len(self._order) - begin)
        first, end = (size * r // plan.num_ranks for r in (plan.rank, plan.rank + 1))
        return slice(begin + first, begin + end)

    def _submit(self, step: int) -> clip_decoders.PendingBatch:
        part = self._positions(step)
        return self._decoders.submit(
            clip_decoders.Samples(
                self.plan.epoch, self._order[part], self._repetitions[part]
            )
        )

    def _finish(
        self,
        step: int,
        batch: clip_decoders.PendingBatch,
        ahead: shards_ahead.ShardsAhead,
    ) -> Batch:
        finished = batch.result()
        ahead.release(step)
        return finished

    def _shards_ahead(self) -> shards_ahead.ShardsAhead:
        return shards_ahead.ShardsAhead(
            self._cache,
            self.index.remote_shards,
            lambda step: np.unique(
                self.index.shard_indices[self._order[self._positions(step)]]
            ).tolist(),
            range(self.plan.begin_step, self.num_steps),
        )


def _abandon(pending: deque[tuple[int, clip_decoders.PendingBatch]]) -> None:
    for _, batch in pending:
        batch.abandon()


def _count_steps(index: clip_index.ClipIndex, plan: BatchPlan) -> tuple[int, int]:
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


def _check_labels(index: clip_index.ClipIndex, view: views.View) -> None:
    if not isinstance(view, views.TrainView) or view.flip_label_map is None:
        return
    num_labels, highest = len(view.flip_label_map), int(index.label_ids.max())
    if highest >= num_labels:
        raise ValueError(
            f"flip_label_map is for {num_labels} labels, but {index.name} has "
            f"label_id {highest}"
        )
