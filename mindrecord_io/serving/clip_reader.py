"""Reads clips' pixels and labels by their rows in the index."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mindrecord_io.serving.clip_index import ClipIndex
from mindrecord_io.serving.clip_random import ClipRandom
from mindrecord_io.serving.frames import (
    CropDecoder,
    CutFrames,
    FrameError,
    ShardFiles,
)
from mindrecord_io.serving.views import View, ViewDecision

__all__ = ["ClipReader", "SeenClip", "decide"]


@dataclass(frozen=True, slots=True, eq=False)
class SeenClip:
    """What is seen of a clip, and the JPEGs of its frames that are."""

    decision: ViewDecision
    jpegs: list[bytes]


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

    def see(self, row: int, epoch: int, repetition: int) -> SeenClip:
        """Returns what is seen of a clip, its frames not yet decoded.

        Raises:
          FrameError: they cannot be read.
        """
        decision = self.decide(row, epoch, repetition)
        return SeenClip(decision, self.read_jpegs(row, decision))

    def decode(
        self, rows: Sequence[int], clips: Sequence[SeenClip], out: npt.NDArray[np.uint8]
    ) -> None:
        """Writes what is seen of clips to `out`, (clips, *views.clip_shape).

        Raises:
          FrameError: a frame cannot be decoded; the message names it.
        """
        cuts = [self._cut(row, clip) for row, clip in zip(rows, clips, strict=True)]
        for row, clip, cut, pixels in zip(rows, clips, cuts, out, strict=True):
            shape = (len(clip.decision.crops), len(clip.jpegs), *pixels.shape[-3:])
            by_frame = pixels.reshape(shape).swapaxes(0, 1)  # (frames, crops, 3, H, W)
            try:
                self._decoder.decode_cut(cut, by_frame)
            except ValueError as cause:
                raise self._frame_error(row, clip, cause) from cause

    def _cut(self, row: int, clip: SeenClip) -> CutFrames:
        try:
            return self._decoder.cut(clip.jpegs, self._size(row), clip.decision.crops)
        except ValueError as cause:
            raise self._frame_error(row, clip, cause) from cause

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

    def _frame_error(self, row: int, clip: SeenClip, error: ValueError) -> FrameError:
        """Decodes one frame at a time to name the damaged one."""
        crops, crop_px = clip.decision.crops, self._view.crop_px
        frame = np.empty((1, len(crops), 3, crop_px, crop_px), np.uint8)
        for i, jpeg in zip(clip.decision.frame_indices, clip.jpegs, strict=True):
            try:
                self._decoder.decode([jpeg], self._size(row), crops, frame)
            except ValueError as cause:
                return FrameError(f"{self._describe(row, i)}: {cause}")
        return FrameError(f"{self._describe(row)}: {error}")

    def _size(self, row: int) -> tuple[int, int]:
        return int(self._index.heights[row]), int(self._index.widths[row])

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
