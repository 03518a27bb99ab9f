import cv2
import numpy as np
import pytest

from pipelines.synthetic import scenes, textures
from pipelines.synthetic.motions import ACTIONS, Action, Track
from pipelines.synthetic.scenes import Scene
from pipelines.synthetic.textures import Appearance

WIDTH = 427
BY_LABEL = {action.label: action for action in ACTIONS}


def _rng(seed: int = 3) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def _frames(
    action: Action, seed: int = 3, num_frames: int = 8, width: int = WIDTH
) -> list[np.ndarray]:
    scene = scenes.draw_scene(
        _rng(seed),
        action,
        appearance=textures.draw_appearance(_rng(seed + 1000)),
        num_frames=num_frames,
        width=width,
    )
    return list(scenes.draw_frames(scene))


def _still_scene(pose: tuple[float, float, float, float], **changes: object) -> Scene:
    """One frame of a white 20 px square on black, without noise or camera motion."""
    square = np.full((20, 20, 4), 255, np.uint8)
    camera = np.array([changes.pop("camera", (0.0, 0.0, 1.0, 0.0))])
    return Scene(
        track=Track(
            camera=camera,
            sprites=np.array([[pose]]),
            gain=np.array([changes.pop("gain", 1.0)]),
            noise_offset=np.zeros((1, 2), np.int64),
        ),
        canvas=np.full((400, 600, 3), changes.pop("backdrop", 0), np.uint8),
        sprites=(square,),
        noise=np.full((272, 352, 3), changes.pop("noise", 128), np.uint8),
        width=320,
    )


def _only_frame(scene: Scene) -> np.ndarray:
    (frame,) = scenes.draw_frames(scene)
    return frame


def _white_box(scene: Scene) -> list[int]:
    """Returns left, top, width, height of what is bright."""
    return list(cv2.boundingRect((_only_frame(scene)[:, :, 0] > 127).astype(np.uint8)))


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.label)
def test_frames_have_the_promised_shape_and_number(action):
    frames = _frames(action, num_frames=3, width=320)

    assert len(frames) == 3
    assert {(frame.shape, frame.dtype.name) for frame in frames} == {
        ((240, 320, 3), "uint8")
    }


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.label)
def test_equal_generators_give_equal_frames_and_others_do_not(action):
    first, again, other = (_frames(action, seed, num_frames=2) for seed in (3, 3, 4))

    np.testing.assert_array_equal(first, again)
    assert (np.array(first) != np.array(other)).mean() > 0.5


@pytest.mark.parametrize(
    "motion", sorted({action.motion for action in ACTIONS if action.is_backwards})
)
def test_frames_of_a_pair_are_the_same_pictures_in_opposite_order(motion):
    forwards, backwards = sorted(
        (action for action in ACTIONS if action.motion == motion),
        key=lambda action: action.is_backwards,
    )

    there, back = _frames(forwards), _frames(backwards)

    np.testing.assert_array_equal(there, back[::-1])
    assert (there[0] != there[-1]).mean() > 0.1


def _object_centre_x(frame: np.ndarray, resting: np.ndarray) -> float:
    """Returns the mean x of the pixels that differ most from a frame without it."""
    difference = cv2.absdiff(frame, resting).max(axis=2)
    columns = np.nonzero(difference > 40)[1]
    return float(columns.mean())


def test_pushing_moves_pixels_from_left_to_right():
    frames = _frames(BY_LABEL["Pushing something from left to right"], num_frames=9)
    resting = np.median(frames, axis=0).astype(np.uint8)

    first, last = (_object_centre_x(frames[index], resting) for index in (0, -1))

    assert last - first > 70


def test_holding_changes_little_but_the_noise_of_the_camera():
    frames = _frames(BY_LABEL["Holding something in front of something"])

    changes = [cv2.absdiff(frame, frames[0]).mean() for frame in frames[1:]]

    assert min(changes) > 0.5  # never a repeated frame
    assert max(changes) < 25


def test_objects_stand_out_from_their_background():
    """At least one of 12 percent of the pixels under the object clearly differs."""
    num_visible = 0
    for seed in range(20):
        look = textures.draw_appearance(_rng(seed))
        sprite = textures.draw_object_sprite(_rng(seed), look)
        canvas = textures.draw_background(_rng(seed), look, 160, 160)
        inside = sprite[:, :, 3] == 255
        distance = np.abs(sprite[inside][:, :3].astype(int) - canvas[inside]).max(
            axis=1
        )
        num_visible += (distance > 40).mean() > 0.5
    assert num_visible >= 18


@pytest.mark.parametrize(
    ("pose", "camera", "box"),
    [
        ((0, 0, 1, 0), (0, 0, 1, 0), [150, 110, 20, 20]),
        ((30, -40, 1, 0), (0, 0, 1, 0), [180, 70, 20, 20]),
        ((30, -40, 2, 0), (0, 0, 1, 0), [170, 60, 40, 40]),
        ((0, 0, 1, np.pi / 2), (0, 0, 1, 0), [150, 110, 20, 20]),
        # The camera looks 50 px to the right: the object goes to the left.
        ((0, 0, 1, 0), (50, 0, 1, 0), [100, 110, 20, 20]),
        # Twice as close: twice the size and twice as far from the centre.
        ((30, 0, 1, 0), (0, 0, 2, 0), [200, 100, 40, 40]),
        # Half outside.
        ((-160, 0, 1, 0), (0, 0, 1, 0), [0, 110, 10, 20]),
    ],
)
def test_objects_are_drawn_where_their_pose_says(pose, camera, box):
    assert _white_box(_still_scene(pose, camera=camera)) == pytest.approx(box, abs=1)


@pytest.mark.parametrize("pose", [(900, 0, 1, 0), (0, -500, 1, 0), (-700, 400, 1, 1)])
def test_objects_outside_the_frame_leave_it_alone(pose):
    assert _only_frame(_still_scene(pose)).max() == 0


def test_gain_brightens_and_noise_shifts_the_pixels():
    far = (900, 0, 1, 0)

    brighter = _only_frame(_still_scene(far, backdrop=100, gain=1.2))
    noisier = _only_frame(_still_scene(far, backdrop=100, noise=178))

    assert (brighter == 120).all()
    assert (noisier == 105).all()


def test_brightness_saturates_instead_of_wrapping_round():
    frame = _only_frame(_still_scene((900, 0, 1, 0), backdrop=250, gain=1.2))

    assert (frame == 255).all()


def test_an_opening_scene_has_panels_and_others_have_none():
    sprites = {}
    for action in ACTIONS:
        scene = scenes.draw_scene(
            _rng(),
            action,
            appearance=Appearance("disc", "dotted", "red", "blue", "green", "grey"),
            num_frames=2,
            width=320,
        )
        sprites[action.label] = len(scene.sprites)

    assert sprites.pop("Opening something") == sprites.pop("Closing something") == 3
    assert set(sprites.values()) == {1}
