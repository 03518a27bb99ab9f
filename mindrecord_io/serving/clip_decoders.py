"""Reads clips into batches with threads.

Threads, not processes: decoding and resampling, nine tenths of the time, happen in C
without the interpreter's lock, and pixels need not be moved between processes.
"""

import math
import os
import threading
import weakref
from collections.abc import Sequence
from concurrent import futures
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mindrecord_io.serving import batch_memory, clip_index, clip_reader, frames, views

__all__ = ["ClipDecoders", "PendingBatch", "Samples", "SeenClip"]

_TASKS_PER_WORKER = 4  # of each batch: few enough to cost nothing, many enough to share
_MAX_OPEN_REMOTE = 8


@dataclass(frozen=True, slots=True, eq=False)
class SeenClip:
    """What is seen of a clip, and the JPEGs of its frames that are."""

    decision: views.ViewDecision
    jpegs: list[bytes]


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Rows of the index to read, and how often each came before in the epoch.

    Attributes:
      seen: the same clips, where their frames are in memory; else None.
    """

    epoch: int
    rows: npt.NDArray[np.int64]
    repetitions: npt.NDArray[np.int64]
    seen: Sequence[SeenClip] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PendingBatch:
    """A batch that is being filled."""

    pixels: npt.NDArray[np.uint8]
    label_ids: npt.NDArray[np.int32]
    tasks: tuple[futures.Future[None], ...]

    def result(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
        """Waits for the batch and returns it.

        Raises:
          FrameError: a frame cannot be read or decoded; the message names it.
        """
        try:
            for task in self.tasks:
                task.result()
        except BaseException:
            self.abandon()
            raise
        return self.pixels, self.label_ids

    def abandon(self) -> None:
        """Returns when no thread writes to the batch's memory any more."""
        for task in self.tasks:
            task.cancel()
        futures.wait(self.tasks)


class ClipDecoders:
    """Threads that fill batches from one index, as one view sees its clips.

    They and the open shards last until `close`, or as long as they are referred to.
    """

    def __init__(
        self,
        index: clip_index.ClipIndex,
        view: views.View,
        *,
        seed: int,
        num_workers: int | None = None,
    ) -> None:
        """Starts nothing yet.

        Args:
          num_workers: threads, None for one per processor.
        """
        if num_workers is None:
            num_workers = len(os.sched_getaffinity(0))
        if num_workers < 1:
            raise ValueError(f"num_workers must be at least 1, got {num_workers}")
        self._num_workers = num_workers
        self._index, self._view, self._seed = index, view, seed
        # A shard that left the cache still occupies the disk while it is open.
        is_remote = bool(index.remote_shards)
        max_open = _MAX_OPEN_REMOTE if is_remote else frames.MAX_OPEN_FILES
        self._files = frames.ShardFiles(index.shard_paths, max_open=max_open)
        self._memory = batch_memory.BatchMemory(0)
        self._of_thread = threading.local()
        self._pool = futures.ThreadPoolExecutor(
            self._num_workers,
            thread_name_prefix="clip-decoder",
            initializer=frames.allow_inexact_resampling,
        )
        self._closing = weakref.finalize(self, _close, self._pool, self._files)

    def submit(self, samples: Samples) -> PendingBatch:
        """Begins to read clips into an array (N, *clip_shape)."""
        num_clips = len(samples.rows)
        shape = (num_clips, *views.clip_shape(self._view))
        if math.prod(shape) > self._memory.max_num_bytes:
            self._memory = batch_memory.BatchMemory(math.prod(shape))
        pixels = self._memory.lend(shape)
        label_ids = np.empty(num_clips, np.int32)
        size = max(1, -(-num_clips // (self._num_workers * _TASKS_PER_WORKER)))
        tasks = tuple(
            self._pool.submit(
                self._fill, samples, slice(i, i + size), pixels, label_ids
            )
            for i in range(0, num_clips, size)
        )
        return PendingBatch(pixels, label_ids, tasks)

    def close_files(self, shard_indices: Sequence[int]) -> None:
        """Closes shards that may leave the disk: open ones still occupy it."""
        self._files.close_some(shard_indices)

    def close(self) -> None:
        """Ends the threads and closes the files."""
        self._closing()

    def _fill(
        self,
        samples: Samples,
        part: slice,
        pixels: npt.NDArray[np.uint8],
        label_ids: npt.NDArray[np.int32],
    ) -> None:
        reader = self._reader()
        if samples.seen is not None:
            for i, clip in enumerate(samples.seen[part], part.start):
                row = int(samples.rows[i])
                label_ids[i] = reader.decode(row, clip.decision, clip.jpegs, pixels[i])
            return
        rows, repetitions = samples.rows[part], samples.repetitions[part]
        clips = zip(rows.tolist(), repetitions.tolist(), strict=True)
        for i, (row, repetition) in enumerate(clips, part.start):
            label_ids[i] = reader.read(row, samples.epoch, repetition, pixels[i])

    def _reader(self) -> clip_reader.ClipReader:
        reader: clip_reader.ClipReader | None
        reader = getattr(self._of_thread, "reader", None)
        if reader is None:
            reader = self._of_thread.reader = clip_reader.ClipReader(
                self._index, self._view, self._seed, self._files
            )
        return reader


def _close(pool: futures.ThreadPoolExecutor, files: frames.ShardFiles) -> None:
    pool.shutdown(wait=True, cancel_futures=True)
    files.close()
