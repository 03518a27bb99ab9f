"""Reads shard files, decodes JPEGs and resamples crops.

The calls that do the work release the interpreter lock, and one of them decodes all
frames of a clip: that lets threads share the processors.
"""

import contextlib
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg

from mindrecord_io.serving import views
from mindrecord_io.shards import jpeg_regions

__all__ = [
    "MAX_OPEN_FILES",
    "CropDecoder",
    "CutFrames",
    "FrameError",
    "ShardFiles",
    "allow_inexact_resampling",
]

Pixels = npt.NDArray[np.uint8]

MAX_OPEN_FILES = 128  # a split may have more shards than a process may open files
_DIVISORS = (8, 4, 2)  # sizes at which libjpeg decodes with less work, not more
_MAX_STACKED = 4  # frames: the pixels of more do not stay in a core's cache
_MIN_BUFFER_BYTES = 1 << 22  # from here on numpy asks the system for huge pages


class FrameError(RuntimeError):
    """A frame could not be read or decoded; the message names clip, shard and frame."""


def allow_inexact_resampling() -> None:
    """Makes OpenCV resample with Intel's IPP in the calling thread.

    It takes up to a third less time. Pixels may differ by 1 from OpenCV's own
    arithmetic, and so between processors with and without IPP; on one machine they are
    always equal.
    """
    cv2.ipp.setUseIPP_NotExact(True)


class ShardFiles:
    """Reads from shards by their index, opening them when needed and few at a time.

    Safe to use from several threads. At most `max_open` files stay open, the ones used
    last; more are open only while threads read from more at one moment.
    """

    def __init__(
        self, paths: Sequence[Path], *, max_open: int = MAX_OPEN_FILES
    ) -> None:
        if max_open < 1:
            raise ValueError(f"max_open must be at least 1, got {max_open}")
        self._paths = paths
        self._max_open = max_open
        self._lock = threading.Lock()
        self._open: OrderedDict[int, int] = OrderedDict()  # shard -> descriptor
        self._num_users: dict[int, int] = {}  # descriptor -> threads that read from it

    @property
    def num_open(self) -> int:
        """The number of files open now."""
        return len(self._open)

    @contextlib.contextmanager
    def borrow(self, shard_index: int) -> Iterator[int]:
        """Yields the descriptor of a shard, which stays open until the block ends."""
        descriptor = self._acquire(shard_index)
        try:
            yield descriptor
        finally:
            with self._lock:
                self._num_users[descriptor] -= 1

    def close_some(self, shard_indices: Sequence[int]) -> None:
        """Closes some shards' files, but for those that threads read from."""
        with self._lock:
            for shard_index in shard_indices:
                descriptor = self._open.get(shard_index)
                if descriptor is not None and not self._num_users[descriptor]:
                    self._close(shard_index)

    def close(self) -> None:
        """Closes all files; no thread may be reading."""
        with self._lock:
            for descriptor in self._open.values():
                os.close(descriptor)
            self._open.clear()
            self._num_users.clear()

    def _acquire(self, shard_index: int) -> int:
        with self._lock:
            descriptor = self._open.get(shard_index)
            if descriptor is None:
                self._make_room()
                flags = os.O_RDONLY | os.O_CLOEXEC
                descriptor = os.open(self._paths[shard_index], flags)
                self._open[shard_index] = descriptor
                self._num_users[descriptor] = 0
            self._open.move_to_end(shard_index)
            self._num_users[descriptor] += 1
            return descriptor

    def _make_room(self) -> None:
        idle = [s for s, fd in self._open.items() if self._num_users[fd] == 0]
        for shard_index in idle[: max(0, len(self._open) + 1 - self._max_open)]:
            self._close(shard_index)

    def _close(self, shard_index: int) -> None:
        descriptor = self._open.pop(shard_index)
        del self._num_users[descriptor]
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class _Part:
    """A JPEG of frames one below the other; `size` is its height and width.

    Attributes:
      begin: (top, left) of what it shows of each frame.
    """

    jpeg: bytes | bytearray
    num_frames: int
    begin: tuple[int, int]
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class CutFrames:
    """The JPEGs to decode for crops of some frames, at 1/divisor of the resolution."""

    parts: Sequence[_Part]
    divisor: int
    crops: Sequence[views.CropDecision]


class CropDecoder:
    """Decodes JPEGs and cuts crops of `crop_px` out of them; one for each thread.

    It keeps its buffers: otherwise every frame would cost fresh memory pages. Pixels
    have a fourth byte, of no meaning: resampling four channels and taking them apart
    afterwards takes two thirds of the time of resampling three planes one by one.
    """

    def __init__(self, crop_px: int) -> None:
        self._crop_px = crop_px
        self._decoded: Pixels = np.empty(0, np.uint8)
        self._resized = _pixels_by_channels(crop_px)
        self._flipped = _pixels_by_channels(crop_px)
        self._spare: Pixels = np.empty((crop_px, crop_px), np.uint8)
        self._grid: jpeg_regions.RestartGrid | None = None

    def decode(
        self,
        jpegs: Sequence[bytes],
        size: tuple[int, int],
        crops: Sequence[views.CropDecision],
        out: Pixels,
    ) -> None:
        """Writes the pixels of the same crops of several frames to `out`.

        Only the cells under the crops are decoded where the JPEGs have restart markers
        (see jpeg_regions), and only 1/2, 1/4 or 1/8 of the resolution where every crop
        is at least so much larger than the output. The first changes no pixel; the
        second may move a crop's edges by half a pixel of the smaller picture.

        Args:
          jpegs: JPEG files of one size.
          size: their (height, width); other dimensions are an error.
          crops: in pixels of the whole frame.
          out: uint8 (jpegs, crops, 3, crop_px, crop_px) in RGB order, every plane
            contiguous.

        Raises:
          ValueError: not a JPEG, a damaged one, or one of another size.
        """
        self.decode_cut(self.cut(jpegs, size, crops), out)

    def cut(
        self,
        jpegs: Sequence[bytes],
        size: tuple[int, int],
        crops: Sequence[views.CropDecision],
    ) -> CutFrames:
        """Returns what is to be decoded; the arguments and errors are decode's.

        This is Python's part. Done for several clips one after the other, it takes a
        third less time than between the decoding of one and of the next, which leaves
        none of it in the processor's caches.
        """
        side = min(min(crop.height, crop.width) for crop in crops)
        divisor = _size_divisor(side, self._crop_px)
        grid = self._common_grid(jpegs)
        if grid is None:
            whole = [_Part(jpeg, 1, (0, 0), size) for jpeg in jpegs]
            return CutFrames(whole, divisor, crops)
        if (grid.height, grid.width) != size:
            raise _size_error((grid.height, grid.width), size)
        stacks = jpeg_regions.stacks(jpegs, grid, _bounds(crops), _MAX_STACKED)
        parts = [
            _Part(
                *(stack.jpeg, stack.num_frames, (stack.top, stack.left)),
                (stack.num_frames * stack.height, stack.width),
            )
            for stack in stacks
        ]
        return CutFrames(parts, divisor, crops)

    def decode_cut(self, cut: CutFrames, out: Pixels) -> None:
        """Writes the crops of what `cut` returned to `out`, as `decode` does."""
        first = 0
        for part in cut.parts:
            pixels = self._decode_at(part.jpeg, part.size, cut.divisor)
            frames = pixels.reshape(part.num_frames, -1, *pixels.shape[1:])
            planes = out[first : first + part.num_frames]
            self._crop(frames, part.begin, cut, planes)
            first += part.num_frames

    def crop(
        self, pixels: Pixels, crops: Sequence[views.CropDecision], out: Pixels
    ) -> None:
        """Writes crops of one frame that is decoded already to `out`.

        Args:
          pixels: RGB (height, width, 3), contiguous.
          out: uint8 (crops, 3, crop_px, crop_px), every plane contiguous.
        """
        self._crop(pixels[None], (0, 0), CutFrames([], 1, crops), out[None])

    def _crop(
        self, frames: Pixels, begin: tuple[int, int], cut: CutFrames, out: Pixels
    ) -> None:
        """Writes crops of frames that are shown from `begin` on."""
        divisor, half = cut.divisor, cut.divisor // 2  # rounds to the nearest edge
        for i, crop in enumerate(cut.crops):
            y, x = crop.top - begin[0], crop.left - begin[1]
            top, bottom = ((p + half) // divisor for p in (y, y + crop.height))
            left, right = ((p + half) // divisor for p in (x, x + crop.width))
            regions = frames[:, top:bottom, left:right]
            self._finish(regions, crop.flip, out[:, i])

    def _finish(self, regions: Pixels, flip: bool, out: Pixels) -> None:
        """Writes the planes of regions of three or four channels, resampled."""
        _, height, width, num_channels = regions.shape
        size = (self._crop_px, self._crop_px)
        # Bilinear reads every pixel as long as it shrinks by less than 2.
        shrinks = max(height, width) >= 2 * self._crop_px
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        resized, flipped = self._resized[num_channels], self._flipped[num_channels]
        spare = [self._spare] * (num_channels - 3)
        for region, planes in zip(regions, out, strict=True):
            pixels = region
            if (height, width) != size:
                pixels = cv2.resize(pixels, size, resized, interpolation=method)
            if flip:
                pixels = cv2.flip(pixels, 1, flipped)
            cv2.split(pixels, [*planes, *spare])

    def _common_grid(self, jpegs: Sequence[bytes]) -> jpeg_regions.RestartGrid | None:
        """Returns the cells of all the JPEGs, None if they have none in common."""
        # The frames of a clip have one header, mostly those of a whole data set.
        if self._grid is None or not jpegs[0].startswith(self._grid.header):
            self._grid = jpeg_regions.read_grid(jpegs[0])
        if self._grid is None:
            return None
        header = self._grid.header
        return self._grid if all(jpeg.startswith(header) for jpeg in jpegs) else None

    def _decode_at(
        self, jpeg: bytes | bytearray, size: tuple[int, int], divisor: int
    ) -> Pixels:
        height, width = (-(-side // divisor) for side in size)
        self._decoded = _at_least(self._decoded, height * width * 4)
        pixels: Pixels = simplejpeg.decode_jpeg(
            jpeg,
            "RGBX",
            fastdct=True,
            fastupsample=True,
            min_height=height if divisor > 1 else 0,
            min_width=width if divisor > 1 else 0,
            min_factor=divisor,
            buffer=self._decoded,
        )
        if pixels.shape != (height, width, 4):
            raise _size_error(pixels.shape[:2], (height, width))
        return pixels


def _at_least(buffer: Pixels, num_bytes: int) -> Pixels:
    if buffer.size >= num_bytes:
        return buffer
    return np.empty(max(num_bytes, _MIN_BUFFER_BYTES), np.uint8)


def _pixels_by_channels(crop_px: int) -> dict[int, Pixels]:
    return {n: np.empty((crop_px, crop_px, n), np.uint8) for n in (3, 4)}


def _bounds(crops: Sequence[views.CropDecision]) -> tuple[int, int, int, int]:
    """Returns (top, left, height, width) of the rectangle around all crops."""
    top, left = min(c.top for c in crops), min(c.left for c in crops)
    bottom = max(c.top + c.height for c in crops)
    right = max(c.left + c.width for c in crops)
    return top, left, bottom - top, right - left


def _size_error(size: tuple[int, ...], expected: tuple[int, int]) -> ValueError:
    return ValueError(
        f"is {size[1]}x{size[0]} pixels, expected {expected[1]}x{expected[0]}"
    )


def _size_divisor(short_side_px: int, crop_px: int) -> int:
    """Returns the largest reduction that leaves a crop no smaller than the output."""
    fitting = (d for d in _DIVISORS if short_side_px >= d * crop_px)
    return next(fitting, 1)
