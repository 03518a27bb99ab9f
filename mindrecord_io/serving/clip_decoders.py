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
from mindrecord_io.serving.clip_reader import SeenClip

__all__ = ["ClipDecoders", "PendingBatch", "Samples"]

_MAX_CLIPS_IN_TASK = 8  # together they cost less, see CropDecoder.cut
_MAX_OPEN_REMOTE = 8


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
        self._forgotten = weakref.finalize(self, _forget, self._pool, self._files)

    def submit(self, samples: Samples) -> PendingBatch:
        """Begins to read clips into an array (N, *clip_shape)."""
        num_clips = len(samples.rows)
        shape = (num_clips, *views.clip_shape(self._view))
        if math.prod(shape) > self._memory.max_num_bytes:
            self._memory = batch_memory.BatchMemory(math.prod(shape))
        pixels = self._memory.lend(shape)
        label_ids = np.empty(num_clips, np.int32)
        share = -(-num_clips // self._num_workers)
        size = max(1, min(share, _MAX_CLIPS_IN_TASK))
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
        if self._forgotten.detach():
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._files.close()

    def _fill(
        self,
        samples: Samples,
        part: slice,
        pixels: npt.NDArray[np.uint8],
        label_ids: npt.NDArray[np.int32],
    ) -> None:
        reader = self._reader()
        rows, repetitions = samples.rows[part].tolist(), samples.repetitions[part]
        if samples.seen is not None:
            clips = samples.seen[part]
        else:
            samplings = zip(rows, repetitions.tolist(), strict=True)
            clips = [reader.see(row, samples.epoch, r) for row, r in samplings]
        reader.decode(rows, clips, pixels[part])
        label_ids[part] = [clip.decision.label_id for clip in clips]

    def _reader(self) -> clip_reader.ClipReader:
        reader: clip_reader.ClipReader | None
        reader = getattr(self._of_thread, "reader", None)
        if reader is None:
            reader = self._of_thread.reader = clip_reader.ClipReader(
                self._index, self._view, self._seed, self._files
            )
        return reader


def _forget(pool: futures.ThreadPoolExecutor, files: frames.ShardFiles) -> None:
    """Ends idle threads, for tasks refer to the decoders, without waiting for them.

    The garbage collector may run this in a thread that is starting, which holds a lock
    of `threading` that every join needs: waiting here was a deadlock.
    """
    pool.shutdown(wait=False)
    files.close()
