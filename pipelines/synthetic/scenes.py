"""Draws clips: textured objects that move over textured backgrounds.

A scene is a function of its action, its size and its generator. Equal generators give
the two actions of a pair the same pictures in opposite order.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.synthetic import motions, textures
from pipelines.synthetic.motions import Action, Track
from pipelines.synthetic.textures import Appearance, Pixels

__all__ = ["FRAME_HEIGHT_PX", "Scene", "draw_frames", "draw_scene"]

FRAME_HEIGHT_PX = 240
NOISE_MARGIN_PX = 32
NOISE_STRENGTH = 0.1
PANEL_HEIGHT_PX = 190
SCENE_MARGIN_PX = 60


@dataclass(frozen=True, slots=True)
class Scene:
    """One clip before it is rendered.

    Attributes:
      track: the poses, in the order in which they are shown.
      canvas: (H, W, 3) uint8 BGR: the background, its centre at the world's origin.
      sprites: premultiplied BGR + alpha images, in drawing order.
      noise: (H, W, 3) uint8 around 128: camera noise, used at random offsets.
      width: of a frame, in pixels; the height is FRAME_HEIGHT_PX.
    """

    track: Track
    canvas: Pixels
    sprites: tuple[Pixels, ...]
    noise: Pixels
    width: int


def draw_scene(
    rng: np.random.Generator,
    action: Action,
    *,
    appearance: Appearance,
    num_frames: int,
    width: int,
    has_grain: bool = True,
) -> Scene:
    """Returns a clip's scene, from which `draw_frames` renders the frames.

    Args:
      has_grain: the background has grain, as what a camera sees.
    """
    track = motions.draw_track(rng, action, num_frames)
    canvas = textures.draw_background(
        rng,
        appearance,
        round(FRAME_HEIGHT_PX / motions.MIN_CAMERA_SCALE) + SCENE_MARGIN_PX,
        round(width / motions.MIN_CAMERA_SCALE) + 2 * round(motions.MAX_PAN_PX),
    )
    if has_grain:
        canvas = textures.with_grain(rng, canvas)
    sprites = [textures.draw_object_sprite(rng, appearance)]
    if action.motion == motions.OPEN_MOTION:
        panel = textures.draw_panel_sprite(
            rng, appearance, PANEL_HEIGHT_PX, motions.PANEL_WIDTH_PX
        )
        sprites += [panel, panel]
    noise_shape = (FRAME_HEIGHT_PX + NOISE_MARGIN_PX, width + NOISE_MARGIN_PX, 3)
    noise = rng.standard_normal(noise_shape, np.float32) * 32 + 128
    return Scene(
        track=track,
        canvas=canvas,
        sprites=tuple(sprites),
        noise=np.clip(noise, 0, 255).astype(np.uint8),
        width=width,
    )


def draw_frames(scene: Scene) -> Iterator[Pixels]:
    """Yields the frames in order: (FRAME_HEIGHT_PX, width, 3) uint8 BGR each."""
    for frame_index in range(scene.track.num_frames):
        yield _draw_frame(scene, frame_index)


def _draw_frame(scene: Scene, frame_index: int) -> Pixels:
    track = scene.track
    size = (scene.width, FRAME_HEIGHT_PX)
    view = _view_matrix(track.camera[frame_index], size)
    frame: Pixels = cv2.warpAffine(
        scene.canvas,
        (view @ _centring(scene.canvas))[:2],
        size,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    for sprite, pose in zip(scene.sprites, track.sprites[frame_index], strict=True):
        _paste(frame, sprite, view @ _pose_matrix(pose) @ _centring(sprite))
    top, left = track.noise_offset[frame_index]
    noise = scene.noise[top : top + FRAME_HEIGHT_PX, left : left + scene.width]
    gain = float(track.gain[frame_index])
    cv2.addWeighted(
        frame, gain, noise, NOISE_STRENGTH, -128.0 * NOISE_STRENGTH, dst=frame
    )
    return frame


def _paste(frame: Pixels, sprite: Pixels, matrix: NDArray[np.float64]) -> None:
    """Draws a premultiplied sprite into the frame; off-frame parts are cut."""
    height, width = sprite.shape[:2]
    corners = np.array([(0, 0, 1), (width, 0, 1), (0, height, 1), (width, height, 1)])
    placed = corners @ matrix[:2].T  # (4, 2)
    left, top = np.maximum(np.floor(placed.min(axis=0)).astype(int) - 1, 0)
    right, bottom = np.ceil(placed.max(axis=0)).astype(int) + 1
    patch = frame[top : max(bottom, top), left : max(right, left)]
    if patch.size == 0:
        return
    shifted = matrix[:2].copy()
    shifted[:, 2] -= (left, top)
    warped = cv2.warpAffine(sprite, shifted, patch.shape[1::-1], flags=cv2.INTER_LINEAR)
    see_through = cv2.bitwise_not(cv2.merge([warped[:, :, 3]] * 3))
    behind = cv2.multiply(patch, see_through, scale=1 / 255)
    cv2.add(behind, np.ascontiguousarray(warped[:, :, :3]), dst=patch)


def _view_matrix(
    camera: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.float64]:
    """Returns (3, 3): world to frame pixels, for a camera's x, y, scale, angle."""
    x, y, scale, angle = camera
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    matrix = np.eye(3)
    matrix[:2, :2] = scale * turn
    matrix[:2, 2] = np.array(size) / 2 - scale * (turn @ (x, y))
    return matrix


def _pose_matrix(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns (3, 3): a sprite's own pixels to the world, for x, y, scale, angle."""
    x, y, scale, angle = pose
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cosine, -sine, x], [sine, cosine, y], [0.0, 0.0, 1.0]])


def _centring(image: Pixels) -> NDArray[np.float64]:
    """Returns (3, 3): moves an image's centre to the origin."""
    height, width = image.shape[:2]
    return np.array([[1.0, 0.0, -width / 2], [0.0, 1.0, -height / 2], [0.0, 0.0, 1.0]])
