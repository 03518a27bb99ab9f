"""Draws the textures and shapes of drawn clips.

Every function takes its randomness from the generator that it is given and returns
BGR pixels, so a drawing is a function of its seed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "COLOURS",
    "PATTERNS",
    "SHAPES",
    "SPRITE_PX",
    "Appearance",
    "Pixels",
    "draw_appearance",
    "draw_background",
    "draw_object_sprite",
    "draw_panel_sprite",
    "with_grain",
]

Pixels = NDArray[np.uint8]
Field = NDArray[np.float32]
"""(H, W) in [0, 1]: how much of the second colour a pixel gets, before scaling."""
Outline = NDArray[np.float32]
"""(corners, 2): x, y in the pixels of a sprite."""

SPRITE_PX = 160
"""Side of a square sprite; the shape in it has a circumradius of 72 px."""
SHAPE_RADIUS_PX = 72.0
SUBPIXEL_BITS = 4
RIM_BGR = (250, 250, 250)
EDGE_BGR = (18, 18, 18)
GRAIN_LEVELS = 4.5
"""Standard deviation, in grey levels."""
GRAIN_BLUR_PX = 1.2

COLOURS = {
    "red": (48, 48, 205),
    "orange": (40, 130, 240),
    "yellow": (60, 215, 240),
    "lime": (70, 215, 150),
    "green": (70, 140, 50),
    "teal": (150, 150, 30),
    "blue": (200, 100, 40),
    "navy": (105, 45, 30),
    "violet": (190, 60, 130),
    "pink": (190, 150, 245),
    "brown": (45, 75, 120),
    "white": (235, 235, 235),
    "grey": (130, 130, 130),
}


@dataclass(frozen=True, slots=True)
class Appearance:
    """The look of a clip's object and background, in the words of its annotation."""

    shape: str
    pattern: str
    colour: str
    second_colour: str
    backdrop_colour: str
    second_backdrop_colour: str

    @property
    def object_name(self) -> str:
        """For example "striped red disc"."""
        return f"{self.pattern} {self.colour} {self.shape}"

    @property
    def backdrop_name(self) -> str:
        """For example "green and teal wall"."""
        return f"{self.backdrop_colour} and {self.second_backdrop_colour} wall"


def draw_appearance(rng: np.random.Generator) -> Appearance:
    """Returns a random look; its four colours differ."""
    names = [str(name) for name in rng.permutation(list(COLOURS))[:4]]
    return Appearance(
        shape=str(rng.choice(list(SHAPES))),
        pattern=str(rng.choice(list(PATTERNS))),
        colour=names[0],
        second_colour=names[1],
        backdrop_colour=names[2],
        second_backdrop_colour=names[3],
    )


def draw_background(
    rng: np.random.Generator, appearance: Appearance, height: int, width: int
) -> Pixels:
    """Returns a (height, width, 3) uint8 canvas: clouds, a pattern and some clutter."""
    pattern = PATTERNS[str(rng.choice(list(PATTERNS)))]
    field = 0.55 * _clouds(rng, height, width) + 0.45 * pattern(rng, height, width)
    canvas: Pixels = _colourise(
        rng, field, appearance.backdrop_colour, appearance.second_backdrop_colour
    )
    # Darker than objects, which must stand out at 64 px after a few hundred clips.
    canvas = np.right_shift(canvas, 1) + np.uint8(12)
    for _ in range(int(rng.integers(10, 18))):
        _paint_clutter(rng, canvas)
    return canvas


def with_grain(rng: np.random.Generator, canvas: Pixels) -> Pixels:
    """Returns the canvas with fine, soft grain.

    With it a frame's JPEG is as large as that of a frame of Something-Something-v2.
    """
    noise = rng.standard_normal(canvas.shape[:2], np.float32)
    grain = cv2.GaussianBlur(noise, (0, 0), GRAIN_BLUR_PX)
    grain *= GRAIN_LEVELS / grain.std()
    grained: Pixels = np.clip(canvas + grain[..., None], 0, 255).astype(np.uint8)
    return grained


def draw_object_sprite(rng: np.random.Generator, appearance: Appearance) -> Pixels:
    """Returns a (SPRITE_PX, SPRITE_PX, 4) uint8 BGR + alpha sprite, premultiplied."""
    field = PATTERNS[appearance.pattern](rng, SPRITE_PX, SPRITE_PX)
    texture = _colourise(rng, field, appearance.colour, appearance.second_colour)
    outline = SHAPES[appearance.shape](rng)
    cv2.polylines(
        texture,
        [_fixed_point(outline)],
        isClosed=True,
        color=RIM_BGR,
        thickness=19,
        lineType=cv2.LINE_AA,
        shift=SUBPIXEL_BITS,
    )
    return _cut_out(texture, outline)


def draw_panel_sprite(
    rng: np.random.Generator, appearance: Appearance, height: int, width: int
) -> Pixels:
    """Returns a (height, width, 4) uint8 premultiplied sprite: a textured rectangle."""
    field = PATTERNS[str(rng.choice(list(PATTERNS)))](rng, height, width)
    texture = _colourise(rng, field, appearance.second_colour, appearance.colour)
    edge = (width - 3, height - 3)
    cv2.rectangle(texture, (2, 2), edge, EDGE_BGR, thickness=4)
    inner = np.array([(1, 1), (width - 2, 1), (width - 2, height - 2), (1, height - 2)])
    return _cut_out(texture, inner.astype(np.float32))


def _stripes(rng: np.random.Generator, height: int, width: int) -> Field:
    """Returns bars at a random angle."""
    angle = rng.uniform(0.0, np.pi)
    period_px = rng.uniform(16.0, 34.0)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * (2 * np.pi / period_px))
    return _limited(0.5 + 1.5 * wave)


def _checks(rng: np.random.Generator, height: int, width: int) -> Field:
    """Returns a turned chessboard."""
    angle = rng.uniform(0.0, np.pi)
    period_px = rng.uniform(28.0, 52.0)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) * (2 * np.pi / period_px)
    along = np.sin(x * np.cos(angle) + y * np.sin(angle))
    across = np.sin(y * np.cos(angle) - x * np.sin(angle))
    return _limited(0.5 + 4.0 * along * across)


def _dots(rng: np.random.Generator, height: int, width: int) -> Field:
    """Returns a grid of soft dots."""
    period_px = rng.uniform(22.0, 38.0)
    phase = rng.uniform(0.0, 2 * np.pi, size=2)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) * (2 * np.pi / period_px)
    return _limited(2.0 * (np.cos(x + phase[0]) + np.cos(y + phase[1])))


def _clouds(rng: np.random.Generator, height: int, width: int) -> Field:
    """Returns three octaves of value noise."""
    field = np.zeros((height, width), np.float32)
    for octave, cell_px in enumerate((64, 28, 12)):
        grid = rng.random((height // cell_px + 3, width // cell_px + 3), np.float32)
        layer = cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        field += layer * 0.5**octave
    low, high = float(field.min()), float(field.max())
    return _limited((field - low) / (high - low))


def _limited(field: NDArray[np.floating[Any]]) -> Field:
    return np.clip(field, 0.0, 1.0).astype(np.float32)


PATTERNS: dict[str, Callable[[np.random.Generator, int, int], Field]] = {
    "striped": _stripes,
    "checked": _checks,
    "dotted": _dots,
    "marbled": _clouds,
}


def _polygon(
    num_corners: int, inner: float = 1.0
) -> Callable[[np.random.Generator], Outline]:
    """Returns a maker of regular polygons, or of stars where `inner` is below 1."""

    def outline(rng: np.random.Generator) -> Outline:
        num_points = num_corners if inner == 1.0 else 2 * num_corners
        turns = np.arange(num_points) / num_points + rng.uniform()
        radii = np.full(num_points, SHAPE_RADIUS_PX)
        if inner != 1.0:
            radii[1::2] *= inner
        circle = np.stack([np.cos(turns * 2 * np.pi), np.sin(turns * 2 * np.pi)])
        corners: Outline = (circle * radii).T.astype(np.float32) + SPRITE_PX / 2
        return corners

    return outline


SHAPES: dict[str, Callable[[np.random.Generator], Outline]] = {
    "disc": _polygon(48),
    "triangle": _polygon(3),
    "square": _polygon(4),
    "hexagon": _polygon(6),
    "star": _polygon(5, inner=0.5),
    "cog": _polygon(9, inner=0.75),
}


def _colourise(
    rng: np.random.Generator, field: Field, first: str, second: str
) -> Pixels:
    """Blends two named, slightly varied colours by `field` in [0, 1]; BGR uint8."""
    low, high = (
        np.clip(np.array(COLOURS[name]) + rng.uniform(-18, 18, size=3), 0, 255)
        for name in (first, second)
    )
    # `first` keeps most of the weight, so that the object's name stays true.
    weight = (0.65 * field)[..., None].astype(np.float32)
    blend = low.astype(np.float32) * (1 - weight) + high.astype(np.float32) * weight
    colours: Pixels = blend.astype(np.uint8)
    return colours


def _paint_clutter(rng: np.random.Generator, canvas: Pixels) -> None:
    """Paints one flat, slightly transparent ellipse onto the canvas."""
    height, width = canvas.shape[:2]
    centre = (int(rng.integers(width)), int(rng.integers(height)))
    axes = (int(rng.integers(8, 36)), int(rng.integers(8, 36)))
    colour = rng.integers(10, 190, size=3).tolist()
    left, top = max(0, centre[0] - 40), max(0, centre[1] - 40)
    patch = canvas[top : centre[1] + 40, left : centre[0] + 40]
    painted = patch.copy()
    middle = (centre[0] - left, centre[1] - top)
    cv2.ellipse(painted, middle, axes, 0.0, 0.0, 360.0, colour, -1, cv2.LINE_AA)
    patch[...] = cv2.addWeighted(patch, 0.3, painted, 0.7, 0.0)


def _cut_out(texture: Pixels, outline: Outline) -> Pixels:
    """Returns the texture inside `outline` as premultiplied BGR + alpha."""
    alpha = np.zeros(texture.shape[:2], np.uint8)
    cv2.fillPoly(
        alpha, [_fixed_point(outline)], 255, lineType=cv2.LINE_AA, shift=SUBPIXEL_BITS
    )
    colour = cv2.multiply(texture, cv2.merge([alpha] * 3), scale=1 / 255)
    sprite: Pixels = np.dstack([colour, alpha])
    return sprite


def _fixed_point(outline: Outline) -> NDArray[np.int32]:
    fixed: NDArray[np.int32] = np.rint(outline * (1 << SUBPIXEL_BITS)).astype(np.int32)
    return fixed
