import numpy as np
import pytest

from pipelines.synthetic import motions
from pipelines.synthetic.motions import ACTIONS, Action, Track

X, Y, SCALE, ANGLE = range(4)

PAIRS = [
    ("Approaching something with your camera", "Moving away from something with your "
     "camera"),
    ("Moving something up", "Moving something down"),
    ("Opening something", "Closing something"),
    ("Pushing something from left to right", "Pushing something from right to left"),
    ("Turning the camera right while filming something",
     "Turning the camera left while filming something"),
]  # fmt: skip
SYMMETRIC = ["Holding something in front of something", "Shaking something"]


def _rng(seed: int = 3) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def _action(label: str) -> Action:
    return next(action for action in ACTIONS if action.label == label)


def _track(label: str, seed: int = 3, num_frames: int = 45) -> Track:
    return motions.draw_track(_rng(seed), _action(label), num_frames)


def _travel(values: np.ndarray) -> float:
    return float(values[-1] - values[0])


def test_actions_are_sorted_by_label_as_label_ids_require():
    labels = [action.label for action in ACTIONS]

    assert labels == sorted(labels)
    assert len(set(labels)) == len(labels) == 12


def test_actions_are_the_pairs_and_the_symmetric_ones():
    named = {label for pair in PAIRS for label in pair} | set(SYMMETRIC)

    assert named == {action.label for action in ACTIONS}


def test_label_is_the_template_without_brackets():
    action = Action("Putting [something] next to [something]", "hold")

    assert action.label == "Putting something next to something"


def test_action_rejects_an_unknown_motion():
    with pytest.raises(
        ValueError, match=r"motion must be one of \['approach', .*'fly'"
    ):
        Action("Flying [something]", "fly")


@pytest.mark.parametrize(("forwards", "backwards"), PAIRS)
@pytest.mark.parametrize("num_frames", [8, 45])
def test_a_pair_is_one_motion_and_its_exact_reverse(forwards, backwards, num_frames):
    there = _track(forwards, num_frames=num_frames)
    back = _track(backwards, num_frames=num_frames)

    np.testing.assert_array_equal(there.camera[::-1], back.camera)
    np.testing.assert_array_equal(there.sprites[::-1], back.sprites)
    np.testing.assert_array_equal(there.gain[::-1], back.gain)
    np.testing.assert_array_equal(there.noise_offset[::-1], back.noise_offset)


@pytest.mark.parametrize(
    ("label", "part", "column", "sign"),
    [
        ("Pushing something from left to right", "object", X, 1),
        ("Pushing something from right to left", "object", X, -1),
        ("Moving something up", "object", Y, -1),
        ("Moving something down", "object", Y, 1),
        ("Turning the camera right while filming something", "camera", X, 1),
        ("Turning the camera left while filming something", "camera", X, -1),
        ("Approaching something with your camera", "camera", SCALE, 1),
        ("Moving away from something with your camera", "camera", SCALE, -1),
    ],
)
@pytest.mark.parametrize("seed", range(8))
def test_motion_goes_the_way_the_label_says(label, part, column, sign, seed):
    track = _track(label, seed)
    poses = track.camera if part == "camera" else track.sprites[:, 0]
    values = sign * poses[:, column]

    assert _travel(values) > (0.6 if column == SCALE else 80.0)
    # Monotone but for the shaking of the camera.
    assert np.diff(values).min() > -3.0


@pytest.mark.parametrize("seed", range(8))
def test_opening_widens_the_gap_and_closing_narrows_it(seed):
    for label, sign in (("Opening something", 1), ("Closing something", -1)):
        panels = _track(label, seed).sprites[:, 1:, :2]
        gap = np.linalg.norm(panels[:, 0] - panels[:, 1], axis=1)
        assert sign * _travel(gap) > 119.9
        assert (sign * np.diff(gap)).min() > -1e-9


@pytest.mark.parametrize("seed", range(8))
def test_holding_moves_nothing_and_shaking_comes_back(seed):
    poses = _track("Holding something in front of something", seed).sprites[:, 0]
    shaken = _track("Shaking something", seed).sprites[:, 0, :2]
    steps = np.diff(shaken, axis=0)

    assert (poses == poses[0]).all()
    assert np.ptp(shaken, axis=0).max() > 30.0
    # It turns round at least four times.
    main_axis = steps[:, int(np.abs(steps).sum(axis=0).argmax())]
    assert (np.diff(np.sign(main_axis)) != 0).sum() >= 4


def _seen(track: Track, measure: str) -> np.ndarray:
    """Returns (F,): what a viewer of the single frames can see of the motion."""
    thing = track.sprites[:, 0]
    if measure == "size":
        return track.camera[:, SCALE] * thing[:, SCALE]
    column = {"x": X, "y": Y}[measure]
    return track.camera[:, SCALE] * (thing[:, column] - track.camera[:, column])


@pytest.mark.parametrize(
    ("pair", "measure"),
    # What opens must begin narrow, so that pair's starts differ.
    [(PAIRS[0], "size"), (PAIRS[1], "y"), (PAIRS[3], "x"), (PAIRS[4], "x")],
)
def test_first_frames_of_a_pair_overlap(pair, measure):
    (low_a, high_a), (low_b, high_b) = (
        np.quantile(
            [_seen(_track(label, seed, 10), measure)[0] for seed in range(400)],
            [0.0, 1.0],
        )
        for label in pair
    )

    assert max(low_a, low_b) < min(high_a, high_b)


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.label)
def test_tracks_stay_within_what_the_canvas_covers(action):
    for seed in range(30):
        track = motions.draw_track(_rng(seed), action, 30)
        assert track.camera[:, SCALE].min() >= motions.MIN_CAMERA_SCALE
        assert np.abs(track.camera[:, X]).max() < motions.MAX_PAN_PX
        assert track.noise_offset.min() >= 0
        assert track.gain.min() > 0.9
        assert track.gain.max() < 1.1


@pytest.mark.parametrize("num_frames", [1, 2, 8, 170])
@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.label)
def test_draw_track_gives_the_frames_asked_for(action, num_frames):
    track = motions.draw_track(_rng(), action, num_frames)

    assert track.num_frames == num_frames
    assert np.isfinite(track.camera).all()
    assert np.isfinite(track.sprites).all()


def test_draw_track_rejects_an_empty_clip():
    with pytest.raises(ValueError, match="at least 1 frame, got 0"):
        motions.draw_track(_rng(), ACTIONS[0], 0)


def test_track_rejects_unequal_lengths():
    with pytest.raises(ValueError, match="equal, positive lengths"):
        Track(
            camera=np.zeros((3, 4)),
            sprites=np.zeros((3, 1, 4)),
            gain=np.ones(2),
            noise_offset=np.zeros((3, 2), np.int64),
        )
