"""The batches of one epoch as numpy arrays, decoded by threads, in a fixed order.

What a batch holds is a function of (seed, epoch, batch size) and of the clips in the
split: not of the number of threads, nor of ranks, nor of which shard a clip is in. Any
step can therefore be the first: nothing before it is read.
"""

import math
import os
import threading
from collections import deque
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from mindrecord_io import batch_memory, clip_index, clip_sampling, frames, views

__all__ = ["BatchPlan", "BatchSource", "default_num_workers"]

Batch = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]
_Pending = tuple[Batch, list[futures.Future[None]]]

_PREFETCHED_BATCHES = 2
_TASKS_PER_WORKER = 4  # of each batch: few enough to cost nothing, many enough to share


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
    of them in table order.
    Iterating starts the threads and leaving the loop stops them; every iteration gives
    the same batches, in arrays of their own.

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
        num_workers: int | None = None,
    ) -> None:
        self.index = index
        self.view = view
        self.plan = plan
        self._num_workers = (
            default_num_workers() if num_workers is None else num_workers
        )
        if self._num_workers < 1:
            raise ValueError(f"num_workers must be at least 1, got {num_workers}")
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
        files = frames.ShardFiles(self.index.shard_paths)
        reader = _ClipReader(self.index, self.view, self.plan, files)
        pool = futures.ThreadPoolExecutor(
            self._num_workers,
            thread_name_prefix="clip-decoder",
            initializer=frames.allow_inexact_resampling,
        )
        memory = batch_memory.BatchMemory(math.prod(self._shape(self.plan.batch_size)))
        pending: deque[_Pending] = deque()
        try:
            for step in range(self.plan.begin_step, self.num_steps):
                part = self._positions(step)
                pixels = memory.lend(self._shape(part.stop - part.start))
                pending.append(self._submit(pool, reader, part, pixels))
                if len(pending) > _PREFETCHED_BATCHES:
                    yield _finished(pending.popleft())
            while pending:
                yield _finished(pending.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            files.close()

    def moved(self, *, epoch: int, begin_step: int) -> "BatchSource":
        """Returns the same source at another place."""
        plan = replace(self.plan, epoch=epoch, begin_step=begin_step)
        return BatchSource(self.index, self.view, plan, num_workers=self._num_workers)

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

    def _shape(self, num_clips: int) -> tuple[int, ...]:
        return (num_clips, *views.clip_shape(self.view))

    def _submit(
        self,
        pool: futures.Executor,
        reader: "_ClipReader",
        part: slice,
        pixels: npt.NDArray[np.uint8],
    ) -> _Pending:
        rows, repetitions = self._order[part], self._repetitions[part]
        label_ids = np.empty(len(rows), np.int32)
        num_clips = max(1, -(-len(rows) // (self._num_workers * _TASKS_PER_WORKER)))
        slices = (slice(i, i + num_clips) for i in range(0, len(rows), num_clips))
        tasks = [
            pool.submit(reader.fill, rows[s], repetitions[s], pixels[s], label_ids[s])
            for s in slices
        ]
        return (pixels, label_ids), tasks


class _ClipReader:
    """Fills parts of batches; called from all threads."""

    def __init__(
        self,
        index: clip_index.ClipIndex,
        view: views.View,
        plan: BatchPlan,
        files: frames.ShardFiles,
    ) -> None:
        self._index = index
        self._view = view
        self._plan = plan
        self._files = files
        self._of_thread = threading.local()

    def fill(
        self,
        rows: npt.NDArray[np.int64],
        repetitions: npt.NDArray[np.int64],
        pixels: npt.NDArray[np.uint8],
        label_ids: npt.NDArray[np.int32],
    ) -> None:
        """Writes the frames and the label_id of every row's clip."""
        clips = zip(rows.tolist(), repetitions.tolist(), strict=True)
        for i, (row, repetition) in enumerate(clips):
            label_ids[i] = self._read_clip(row, repetition, pixels[i])

    def _read_clip(self, row: int, repetition: int, out: npt.NDArray[np.uint8]) -> int:
        index = self._index
        decision = self._decide(row, repetition)
        size = int(index.heights[row]), int(index.widths[row])
        offsets, num_bytes = index.frame_ranges(row)
        shard_index = int(index.shard_indices[row])
        frame_index = decision.frame_indices[0]
        try:
            with self._files.borrow(shard_index) as descriptor:
                for frame_index, outs in zip(
                    decision.frame_indices, self._outs(out), strict=True
                ):
                    begin, length = (
                        int(offsets[frame_index]),
                        int(num_bytes[frame_index]),
                    )
                    jpeg = os.pread(descriptor, length, begin)
                    self._decoder().decode(jpeg, size, decision.crops, list(outs))
        except (OSError, ValueError) as cause:
            raise frames.FrameError(
                f"clip {index.clip_ids[row]}, frame {frame_index} in "
                f"{index.shard_paths[shard_index]}: {cause}"
            ) from cause
        return decision.label_id

    def _outs(self, out: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.uint8]]:
        """Gives for every frame where its crops belong: (crops, 3, H, W)."""
        frame = (3, self._view.crop_px, self._view.crop_px)
        by_crop = out.reshape(self._view.num_crops, -1, *frame)  # (crops, M*T, ...)
        return iter(by_crop.swapaxes(0, 1))

    def _decide(self, row: int, repetition: int) -> views.ViewDecision:
        index, view = self._index, self._view
        num_frames, label_id = index.num_frames(row), int(index.label_ids[row])
        height, width = int(index.heights[row]), int(index.widths[row])
        if not isinstance(view, views.TrainView):
            return view.decide(
                num_frames, height=height, width=width, label_id=label_id
            )
        clip_id = index.clip_ids[row]
        rng = views.clip_rng(self._plan.seed, self._plan.epoch, clip_id, repetition)
        return view.decide(
            num_frames, height=height, width=width, label_id=label_id, rng=rng
        )

    def _decoder(self) -> frames.CropDecoder:
        decoder: frames.CropDecoder | None = getattr(self._of_thread, "decoder", None)
        if decoder is None:
            decoder = self._of_thread.decoder = frames.CropDecoder(self._view.crop_px)
        return decoder


def default_num_workers() -> int:
    """Returns the number of processors that this process may use."""
    return len(os.sched_getaffinity(0))


def _finished(pending: _Pending) -> Batch:
    batch, tasks = pending
    for task in tasks:
        task.result()
    return batch


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
