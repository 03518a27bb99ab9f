"""RandAugment (arXiv:1909.13719), one draw for all frames of a clip.

A clip has `num_ops` changes, each drawn from OPERATIONS, all of one magnitude in
[0, 10]. None of them mirrors, as left and right are labels. Geometry takes the nearest
pixel and fills with grey; colours are as in Pillow's ImageEnhance and ImageOps.
"""

import hashlib
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

__all__ = ["OPERATIONS", "augment", "draw"]

Frames = npt.NDArray[np.uint8]
"""A clip's frames, (T, 3, H, W)."""

MAX_MAGNITUDE = 10
_FILL = 128
_GREY = np.array([0.299, 0.587, 0.114], np.float32).reshape(1, 3, 1, 1)


def draw(num_ops: int, *, seed: int, step: int, clip: int) -> list[tuple[str, float]]:
    """Returns a clip's operations and the sign of each, +1 or -1.

    Args:
      step: 0-based, counted over all epochs.
      clip: place in the batch of all ranks together.
    """
    text = f"{seed}/{step}/{clip}".encode()
    digest = hashlib.blake2b(text, digest_size=16, person=b"randaugment").digest()
    rng = np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))
    names = list(OPERATIONS)
    indices = rng.integers(0, len(names), num_ops).tolist()
    signs = (1.0 - 2.0 * rng.integers(0, 2, num_ops)).tolist()
    return [(names[index], sign) for index, sign in zip(indices, signs, strict=True)]


def augment(
    frames: Frames, operations: list[tuple[str, float]], magnitude: float
) -> Frames:
    """Returns a clip with all operations done in turn; the clip itself stays."""
    for name, sign in operations:
        frames = OPERATIONS[name](frames, sign * magnitude / MAX_MAGNITUDE)
    return frames


def _affine(frames: Frames, matrix: tuple[float, float, float, float]) -> Frames:
    """Returns frames whose pixel (x, y) from the centre was at matrix @ (x, y)."""
    height, width = frames.shape[-2:]
    centre_y, centre_x = (height - 1) / 2, (width - 1) / 2
    y, x = np.mgrid[:height, :width] - np.array([centre_y, centre_x]).reshape(2, 1, 1)
    a, b, c, d = matrix
    columns = np.rint(a * x + b * y + centre_x).astype(np.int64)
    rows = np.rint(c * x + d * y + centre_y).astype(np.int64)
    return _picked(frames, rows, columns)


def _picked(
    frames: Frames, rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]
) -> Frames:
    height, width = frames.shape[-2:]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    picked = frames[..., rows.clip(0, height - 1), columns.clip(0, width - 1)]
    return np.where(inside, picked, np.uint8(_FILL))


def _rotate(frames: Frames, level: float) -> Frames:
    angle = math.radians(30.0 * level)
    cosine, sine = math.cos(angle), math.sin(angle)
    return _affine(frames, (cosine, -sine, sine, cosine))


def _shear_x(frames: Frames, level: float) -> Frames:
    return _affine(frames, (1.0, 0.3 * level, 0.0, 1.0))


def _shear_y(frames: Frames, level: float) -> Frames:
    return _affine(frames, (1.0, 0.0, 0.3 * level, 1.0))


def _translate(frames: Frames, rows: int, columns: int) -> Frames:
    height, width = frames.shape[-2:]
    y, x = np.mgrid[:height, :width]
    return _picked(frames, y + rows, x + columns)


def _translate_x(frames: Frames, level: float) -> Frames:
    return _translate(frames, 0, round(0.3 * level * frames.shape[-1]))


def _translate_y(frames: Frames, level: float) -> Frames:
    return _translate(frames, round(0.3 * level * frames.shape[-2]), 0)


def _blend(
    frames: Frames, other: npt.NDArray[np.float32] | float, level: float
) -> Frames:
    """Returns frames whose difference from `other` is 1 + 0.9 level times theirs."""
    factor = np.float32(1.0 + 0.9 * level)
    blended = other + factor * (frames.astype(np.float32) - other)
    return np.rint(blended).clip(0, 255).astype(np.uint8)


def _grey(frames: Frames) -> npt.NDArray[np.float32]:
    grey: npt.NDArray[np.float32] = (frames * _GREY).sum(axis=1, keepdims=True)
    return grey


def _saturation(frames: Frames, level: float) -> Frames:
    return _blend(frames, _grey(frames), level)


def _contrast(frames: Frames, level: float) -> Frames:
    return _blend(frames, float(np.rint(_grey(frames).mean())), level)


def _brightness(frames: Frames, level: float) -> Frames:
    return _blend(frames, 0.0, level)


def _posterize(frames: Frames, level: float) -> Frames:
    num_bits_cut = round(4 * abs(level))
    return frames & np.uint8(0xFF << num_bits_cut & 0xFF)


def _solarize(frames: Frames, level: float) -> Frames:
    threshold = round(256 * (1.0 - abs(level)))
    return np.where(frames >= threshold, 255 - frames, frames)


def _stretched(frames: Frames, level: float) -> Frames:
    """Returns each channel stretched to [0, 255] over all frames (autocontrast)."""
    low = frames.min(axis=(0, 2, 3), keepdims=True).astype(np.float32)
    high = frames.max(axis=(0, 2, 3), keepdims=True).astype(np.float32)
    scale = 255.0 / np.maximum(high - low, 1.0)
    flat = high == low
    return np.where(flat, frames, np.rint((frames - low) * scale)).astype(np.uint8)


def _unchanged(frames: Frames, level: float) -> Frames:
    return frames


OPERATIONS: dict[str, Callable[[Frames, float], Frames]] = {
    "identity": _unchanged,
    "rotate": _rotate,
    "shear_x": _shear_x,
    "shear_y": _shear_y,
    "translate_x": _translate_x,
    "translate_y": _translate_y,
    "saturation": _saturation,
    "contrast": _contrast,
    "brightness": _brightness,
    "posterize": _posterize,
    "solarize": _solarize,
    "autocontrast": _stretched,
}
"""By name, of a clip and a level in [-1, 1]."""
