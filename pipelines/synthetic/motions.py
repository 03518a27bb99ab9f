"""The actions of drawn clips: what moves where, frame by frame.

A class is a motion and a direction of time. The two classes of a pair share their
motion: a clip of the second is a clip of the first played backwards. A network that
ignores the order of the frames can therefore only guess between the two. Except for the
panels, starts and ends overlap: no place in the frame reveals the direction.

Coordinates are pixels of a 240 px high frame, x to the right and y down, measured
from the centre of the frame; angles are radians.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ACTIONS",
    "MAX_PAN_PX",
    "MIN_CAMERA_SCALE",
    "OPEN_MOTION",
    "PANEL_WIDTH_PX",
    "Action",
    "Track",
    "draw_track",
]

Poses = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Camera (F, 4) and sprites (F, S, 4), as in `Track`."""

X, Y, SCALE, ANGLE = range(4)
"""Columns of the pose arrays in a `Track`."""

MIN_CAMERA_SCALE = 0.85
MAX_PAN_PX = 150.0
PANEL_WIDTH_PX = 130
OPEN_MOTION = "open"


@dataclass(frozen=True, slots=True)
class Track:
    """Poses of the camera and of every sprite at every frame.

    Attributes:
      camera: (F, 4) float64: x, y, scale, angle of the view in the world.
      sprites: (F, S, 4) float64: the same for each sprite, drawn in this order.
      gain: (F,) float64: brightness; 1 leaves the pixels as they are.
      noise_offset: (F, 2) int64: which part of the noise the frame gets.
    """

    camera: NDArray[np.float64]
    sprites: NDArray[np.float64]
    gain: NDArray[np.float64]
    noise_offset: NDArray[np.int64]

    def __post_init__(self) -> None:
        lengths = {
            len(self.camera),
            len(self.sprites),
            len(self.gain),
            len(self.noise_offset),
        }
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError(f"a track needs equal, positive lengths, got {lengths}")

    @property
    def num_frames(self) -> int:
        """Frames of the clip; at least 1."""
        return len(self.camera)

    def played_backwards(self) -> "Track":
        """Returns the same frames in the opposite order."""
        return Track(
            camera=self.camera[::-1],
            sprites=self.sprites[::-1],
            gain=self.gain[::-1],
            noise_offset=self.noise_offset[::-1],
        )


@dataclass(frozen=True, slots=True)
class Action:
    """One class: its template, its motion and whether that runs backwards."""

    template: str
    motion: str
    is_backwards: bool = False

    def __post_init__(self) -> None:
        if self.motion not in MOTIONS:
            raise ValueError(
                f"motion must be one of {sorted(MOTIONS)}, got {self.motion!r}"
            )

    @property
    def label(self) -> str:
        """The template without its square brackets: the text of labels.json."""
        return re.sub(r"[\[\]]", "", self.template)


def draw_track(rng: np.random.Generator, action: Action, num_frames: int) -> Track:
    """Returns random poses of one clip of `action`.

    Two actions of a pair get, from equal generators, exactly reversed tracks.
    """
    if num_frames < 1:
        raise ValueError(f"a clip needs at least 1 frame, got {num_frames}")
    camera, sprites = MOTIONS[action.motion](rng, num_frames)
    camera[:, [X, Y]] += _wobble(rng, num_frames, 2, amplitude=2.5)
    camera[:, [X, Y]] += rng.normal(0.0, 0.4, size=(num_frames, 2))
    camera[:, ANGLE] += _wobble(rng, num_frames, 1, amplitude=0.008)[:, 0]
    track = Track(
        camera=camera,
        sprites=sprites,
        gain=1.0 + _wobble(rng, num_frames, 1, amplitude=0.05)[:, 0],
        noise_offset=rng.integers(0, 32, size=(num_frames, 2)),
    )
    return track.played_backwards() if action.is_backwards else track


def _progress(rng: np.random.Generator, num_frames: int) -> NDArray[np.float64]:
    """Returns (F,) rising from 0 to 1, at rest at either end for up to 8 % of it."""
    rest_before, rest_after = rng.uniform(0.0, 0.08, size=2)
    time = np.linspace(0.0, 1.0, num_frames)
    time = np.clip((time - rest_before) / (1.0 - rest_before - rest_after), 0.0, 1.0)
    # Below 1 in size, so that the motion never turns back.
    easing = rng.uniform(-0.7, 0.7)
    progress: NDArray[np.float64]
    progress = time + easing * np.sin(2 * np.pi * time) / (2 * np.pi)
    return progress


def _wobble(
    rng: np.random.Generator, num_frames: int, num_columns: int, *, amplitude: float
) -> NDArray[np.float64]:
    """Returns (F, num_columns): two slow sines of random phase in each column.

    Its distribution is the same forwards and backwards in time.
    """
    time = np.linspace(0.0, 1.0, num_frames)[:, None]
    total = np.zeros((num_frames, num_columns))
    for _ in range(2):
        cycles = rng.uniform(0.3, 3.0, size=num_columns)
        phase = rng.uniform(0.0, 1.0, size=num_columns)
        size = rng.uniform(0.2, 0.5, size=num_columns) * amplitude
        total += size * np.sin(2 * np.pi * (cycles * time + phase))
    return total


def _still(rng: np.random.Generator, num_frames: int, num_sprites: int = 1) -> Poses:
    """Returns resting poses: a camera and sprites that a motion then moves."""
    camera = np.zeros((num_frames, 4))
    camera[:, SCALE] = rng.uniform(0.95, 1.1)
    sprites = np.zeros((num_frames, num_sprites, 4))
    sprites[:, 0, X] = rng.uniform(-40.0, 40.0)
    sprites[:, 0, Y] = rng.uniform(-35.0, 35.0)
    sprites[:, 0, SCALE] = rng.uniform(0.55, 0.8)
    sprites[:, 0, ANGLE] = rng.uniform(-np.pi, np.pi)
    sprites[:, 1:, SCALE] = 1.0
    return camera, sprites


def _push(rng: np.random.Generator, num_frames: int) -> Poses:
    """The object goes from left to right."""
    camera, sprites = _still(rng, num_frames)
    progress = _progress(rng, num_frames) - 0.5
    sprites[:, 0, X] *= 1.6
    sprites[:, 0, X] += rng.uniform(110.0, 175.0) * progress
    sprites[:, 0, Y] += rng.uniform(-20.0, 20.0) * progress
    return camera, sprites


def _lift(rng: np.random.Generator, num_frames: int) -> Poses:
    """The object goes up."""
    camera, sprites = _still(rng, num_frames)
    progress = _progress(rng, num_frames) - 0.5
    sprites[:, 0, Y] *= 1.5
    sprites[:, 0, Y] -= rng.uniform(90.0, 135.0) * progress
    sprites[:, 0, X] += rng.uniform(-20.0, 20.0) * progress
    return camera, sprites


def _turn(rng: np.random.Generator, num_frames: int) -> Poses:
    """The camera looks further and further right: the whole scene goes left."""
    camera, sprites = _still(rng, num_frames)
    # Faster than a push, and at times past the object: the backdrop must tell.
    sprites[:, 0, X] *= 3.2
    camera[:, X] += rng.uniform(200.0, 2 * MAX_PAN_PX - 20.0) * (
        _progress(rng, num_frames) - 0.5
    )
    return camera, sprites


def _approach(rng: np.random.Generator, num_frames: int) -> Poses:
    """The camera comes closer: the whole scene grows."""
    camera, sprites = _still(rng, num_frames)
    sprites[:, 0, [X, Y]] *= 0.5
    sprites[:, 0, SCALE] *= 0.62
    ratio = rng.uniform(1.65, 2.4)
    camera[:, SCALE] = rng.uniform(MIN_CAMERA_SCALE, 1.1)
    camera[:, SCALE] *= ratio ** _progress(rng, num_frames)
    return camera, sprites


def _open(rng: np.random.Generator, num_frames: int) -> Poses:
    """Two panels slide apart; the object comes in sight between them."""
    camera, sprites = _still(rng, num_frames, num_sprites=3)
    sprites[:, 0, [X, Y]] *= 0.5
    narrow, opening = rng.uniform(0.0, 50.0), rng.uniform(120.0, 160.0)
    gap = narrow + opening * _progress(rng, num_frames)
    angle = rng.uniform(-0.35, 0.35) + rng.choice([0.0, np.pi / 2])
    centre = rng.uniform(-15.0, 15.0, size=2)
    for panel, side in ((1, -1.0), (2, 1.0)):
        distance = side * (gap + PANEL_WIDTH_PX) / 2
        sprites[:, panel, X] = centre[0] + distance * np.cos(angle)
        sprites[:, panel, Y] = centre[1] + distance * np.sin(angle)
        sprites[:, panel, ANGLE] = angle
    return camera, sprites


def _hold(rng: np.random.Generator, num_frames: int) -> Poses:
    """Nothing happens."""
    return _still(rng, num_frames)


def _shake(rng: np.random.Generator, num_frames: int) -> Poses:
    """The object swings to and fro along a line."""
    camera, sprites = _still(rng, num_frames)
    num_cycles = min(rng.uniform(2.5, 6.0), num_frames / 5)
    phase = num_cycles * np.linspace(0.0, 1.0, num_frames) + rng.uniform()
    swing = rng.uniform(32.0, 50.0) * np.sin(2 * np.pi * phase)
    direction = rng.uniform(0.0, 2 * np.pi)
    sprites[:, 0, X] += swing * np.cos(direction)
    sprites[:, 0, Y] += swing * np.sin(direction)
    return camera, sprites


MOTIONS: dict[
    str,
    Callable[[np.random.Generator, int], Poses],
] = {
    "approach": _approach,
    "hold": _hold,
    "lift": _lift,
    OPEN_MOTION: _open,
    "push": _push,
    "shake": _shake,
    "turn": _turn,
}

ACTIONS = (
    Action("Approaching [something] with your camera", "approach"),
    Action("Closing [something]", OPEN_MOTION, is_backwards=True),
    Action("Holding [something] in front of [something]", "hold"),
    Action(
        "Moving away from [something] with your camera", "approach", is_backwards=True
    ),
    Action("Moving [something] down", "lift", is_backwards=True),
    Action("Moving [something] up", "lift"),
    Action("Opening [something]", OPEN_MOTION),
    Action("Pushing [something] from left to right", "push"),
    Action("Pushing [something] from right to left", "push", is_backwards=True),
    Action("Shaking [something]", "shake"),
    Action(
        "Turning the camera left while filming [something]", "turn", is_backwards=True
    ),
    Action("Turning the camera right while filming [something]", "turn"),
)
"""Every class, by label_id: sorted by label, as in the real package."""
