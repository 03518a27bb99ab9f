"""From a clip's row in the index to its pixels and its label."""

import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mindrecord_io.serving import clip_index, clip_random, frames, views

__all__ = ["ClipReader"]


class ClipReader:
    """Reads clips as a view sees them; one for each thread, as its decoder is.

    What is random about a clip depends on the seed, its id, the epoch and how often it
    came before in that epoch.
    """

    def __init__(
        self,
        index: clip_index.ClipIndex,
        view: views.View,
        seed: int,
        files: frames.ShardFiles,
    ) -> None:
        self._index = index
        self._view = view
        self._seed = seed
        self._files = files
        self._decoder = frames.CropDecoder(view.crop_px)

    def decide(self, row: int, epoch: int, repetition: int) -> views.ViewDecision:
        """Returns which frames and crops of a clip are seen."""
        index, view = self._index, self._view
        num_frames, label_id = index.num_frames(row), int(index.label_ids[row])
        height, width = int(index.heights[row]), int(index.widths[row])
        if not isinstance(view, views.TrainView):
            return view.decide(
                num_frames, height=height, width=width, label_id=label_id
            )
        clip_id = index.clip_ids[row]
        rng = clip_random.ClipRandom(self._seed, epoch, clip_id, repetition)
        return view.decide(
            num_frames, height=height, width=width, label_id=label_id, rng=rng
        )

    def read(
        self, row: int, epoch: int, repetition: int, out: npt.NDArray[np.uint8]
    ) -> int:
        """Writes a clip's pixels to `out`, of `views.clip_shape`; returns its label_id.

        Raises:
          FrameError: a frame cannot be read or decoded; the message names it.
        """
        decision = self.decide(row, epoch, repetition)
        jpegs = self.read_jpegs(row, decision)
        by_crop = out.reshape(len(decision.crops), len(jpegs), *out.shape[-3:])
        by_frame = by_crop.swapaxes(0, 1)  # (frames, crops, 3, H, W)
        size = int(self._index.heights[row]), int(self._index.widths[row])
        try:
            self._decoder.decode(jpegs, size, decision.crops, by_frame)
        except ValueError as cause:
            raise self._frame_error(row, decision, jpegs, cause) from cause
        return decision.label_id

    def read_jpegs(self, row: int, decision: views.ViewDecision) -> list[bytes]:
        """Returns the JPEGs of the frames that are seen of a clip.

        Raises:
          FrameError: they cannot be read.
        """
        offsets, num_bytes = self._index.frame_ranges(row)
        try:
            with self._files.borrow(int(self._index.shard_indices[row])) as descriptor:
                return [
                    os.pread(descriptor, num_bytes[i], offsets[i])
                    for i in decision.frame_indices
                ]
        except OSError as cause:
            raise frames.FrameError(f"{self._named(row)}: {cause}") from cause

    def _frame_error(
        self,
        row: int,
        decision: views.ViewDecision,
        jpegs: Sequence[bytes],
        error: ValueError,
    ) -> frames.FrameError:
        """Finds out which frame is to blame: all of a clip are decoded at once."""
        size = int(self._index.heights[row]), int(self._index.widths[row])
        frame = np.empty(
            (1, len(decision.crops), 3, self._view.crop_px, self._view.crop_px),
            np.uint8,
        )
        for frame_index, jpeg in zip(decision.frame_indices, jpegs, strict=True):
            try:
                self._decoder.decode([jpeg], size, decision.crops, frame)
            except ValueError as cause:
                return frames.FrameError(f"{self._named(row, frame_index)}: {cause}")
        return frames.FrameError(f"{self._named(row)}: {error}")

    def _named(self, row: int, frame_index: int | None = None) -> str:
        path = self._index.shard_paths[self._index.shard_indices[row]]
        frame = "" if frame_index is None else f", frame {frame_index}"
        return f"clip {self._index.clip_ids[row]}{frame} in {path}"
