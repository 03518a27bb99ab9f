"""Reads a clip's pixels and label by its row in the index."""

import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mindrecord_io.serving.clip_index import ClipIndex
from mindrecord_io.serving.clip_random import ClipRandom
from mindrecord_io.serving.frames import CropDecoder, FrameError, ShardFiles
from mindrecord_io.serving.views import View, ViewDecision

__all__ = ["ClipReader", "decide"]


class ClipReader:
    """Reads clips as a view sees them; one for each thread, as its decoder is.

    What is random about a clip depends on the seed, its id, the epoch and how often it
    came before in that epoch.
    """

    def __init__(
        self, index: ClipIndex, view: View, seed: int, files: ShardFiles
    ) -> None:
        self._index = index
        self._view = view
        self._seed = seed
        self._files = files
        self._decoder = CropDecoder(view.crop_px)

    def decide(self, row: int, epoch: int, repetition: int) -> ViewDecision:
        """Returns which frames and crops of a clip are seen."""
        clip_id = self._index.clip_ids[row]
        rng = ClipRandom(self._seed, epoch, clip_id, repetition)
        return decide(self._index, self._view, row, rng)

    def read(
        self, row: int, epoch: int, repetition: int, out: npt.NDArray[np.uint8]
    ) -> int:
        """Writes a clip's pixels to `out`, of `views.clip_shape`; returns its label_id.

        Raises:
          FrameError: a frame cannot be read or decoded; the message names it.
        """
        decision = self.decide(row, epoch, repetition)
        return self.decode(row, decision, self.read_jpegs(row, decision), out)

    def decode(
        self,
        row: int,
        decision: ViewDecision,
        jpegs: Sequence[bytes],
        out: npt.NDArray[np.uint8],
    ) -> int:
        """Writes what is seen of a clip to `out`, as `read`, from its frames' JPEGs.

        Raises:
          FrameError: a frame cannot be decoded; the message names it.
        """
        by_crop = out.reshape(len(decision.crops), len(jpegs), *out.shape[-3:])
        by_frame = by_crop.swapaxes(0, 1)  # (frames, crops, 3, H, W)
        size = int(self._index.heights[row]), int(self._index.widths[row])
        try:
            self._decoder.decode(jpegs, size, decision.crops, by_frame)
        except ValueError as cause:
            raise self._frame_error(row, decision, jpegs, cause) from cause
        return decision.label_id

    def read_jpegs(self, row: int, decision: ViewDecision) -> list[bytes]:
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
            raise FrameError(f"{self._describe(row)}: {cause}") from cause

    def _frame_error(
        self,
        row: int,
        decision: ViewDecision,
        jpegs: Sequence[bytes],
        error: ValueError,
    ) -> FrameError:
        """Decodes one frame at a time to name the damaged one."""
        size = int(self._index.heights[row]), int(self._index.widths[row])
        frame = np.empty(
            (1, len(decision.crops), 3, self._view.crop_px, self._view.crop_px),
            np.uint8,
        )
        for frame_index, jpeg in zip(decision.frame_indices, jpegs, strict=True):
            try:
                self._decoder.decode([jpeg], size, decision.crops, frame)
            except ValueError as cause:
                return FrameError(f"{self._describe(row, frame_index)}: {cause}")
        return FrameError(f"{self._describe(row)}: {error}")

    def _describe(self, row: int, frame_index: int | None = None) -> str:
        path = self._index.shard_paths[self._index.shard_indices[row]]
        frame = "" if frame_index is None else f", frame {frame_index}"
        return f"clip {self._index.clip_ids[row]}{frame} in {path}"


def decide(index: ClipIndex, view: View, row: int, rng: ClipRandom) -> ViewDecision:
    """Returns which frames and crops a view sees of a clip."""
    return view.decide(
        index.num_frames(row),
        height=int(index.heights[row]),
        width=int(index.widths[row]),
        label_id=int(index.label_ids[row]),
        rng=rng,
    )
