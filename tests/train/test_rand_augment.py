"""Each operation by values computed by hand; one draw for all frames of a clip."""

import numpy as np
import pytest

from train import rand_augment

CLIP = np.random.default_rng(5).integers(0, 256, (4, 3, 12, 16), np.uint8)


def done(name, level, values):
    """One frame whose three channels are all `values`."""
    frame = np.broadcast_to(np.array(values, np.uint8), (1, 3, *np.shape(values)))
    return rand_augment.OPERATIONS[name](frame, level)[0, 0].tolist()


@pytest.mark.parametrize(
    ("name", "level", "expected"),
    [
        ("identity", 1.0, [[0, 100, 200]]),
        ("brightness", -1.0, [[0, 10, 20]]),
        ("brightness", 1.0, [[0, 190, 255]]),
        ("contrast", -1.0, [[90, 100, 110]]),  # about the mean, 100
        ("saturation", 1.0, [[0, 100, 200]]),  # grey has none
        ("posterize", 1.0, [[0, 96, 192]]),  # 4 bits of 8
        ("posterize", -0.5, [[0, 100, 200]]),  # 6 bits: 100 and 200 end in 00
        ("solarize", 0.5, [[0, 100, 55]]),  # from 128 on
        ("autocontrast", 0.0, [[0, 128, 255]]),  # 127.5
        ("translate_x", 1.0, [[100, 200, 128]]),  # 0.3 of 3 pixels
        ("translate_x", -1.0, [[128, 0, 100]]),
    ],
)
def test_operations_on_a_row(name, level, expected):
    assert done(name, level, [[0, 100, 200]]) == expected


SQUARE = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


@pytest.mark.parametrize(
    ("name", "level", "expected"),
    [
        ("rotate", 3.0, [[3, 6, 9], [2, 5, 8], [1, 4, 7]]),  # 90 degrees
        ("shear_x", 1 / 0.3, [[128, 1, 2], [4, 5, 6], [8, 9, 128]]),
        ("shear_y", 1 / 0.3, [[128, 2, 6], [1, 5, 9], [4, 8, 128]]),
        ("translate_y", 1.0, [[4, 5, 6], [7, 8, 9], [128, 128, 128]]),
    ],
)
def test_geometry_takes_the_nearest_pixel(name, level, expected):
    assert done(name, level, SQUARE) == expected


def test_saturation_moves_from_grey():
    frame = np.array([200, 100, 50], np.uint8).reshape(1, 3, 1, 1)
    grey = 0.299 * 200 + 0.587 * 100 + 0.114 * 50
    changed = rand_augment.OPERATIONS["saturation"](frame, -1.0)
    expected = [round(grey + 0.1 * (value - grey)) for value in (200, 100, 50)]
    assert changed.ravel().tolist() == expected


@pytest.mark.parametrize("name", rand_augment.OPERATIONS)
@pytest.mark.parametrize("level", [-0.7, 0.7])
def test_all_frames_of_a_clip_change_alike(name, level):
    """A clip of one frame repeated stays one; shape and kind of numbers stay too."""
    before = CLIP.copy()
    still = np.repeat(CLIP[:1], 4, axis=0)
    changed = rand_augment.OPERATIONS[name](still, level)
    assert (changed.shape, changed.dtype) == (still.shape, np.uint8)
    assert (changed == changed[:1]).all()
    rand_augment.OPERATIONS[name](CLIP, level)
    np.testing.assert_array_equal(CLIP, before)


def test_a_magnitude_of_zero_changes_nothing_but_the_stretch():
    for name in rand_augment.OPERATIONS.keys() - {"autocontrast"}:
        changed = rand_augment.augment(CLIP, [(name, 1.0)], 0.0)
        if name == "solarize":  # from 256 on
            assert (changed == CLIP).all()
        np.testing.assert_array_equal(changed, CLIP, err_msg=name)


def test_a_draw_is_of_seed_step_and_clip_alone_and_has_all_operations():
    first = rand_augment.draw(2, seed=1, step=3, clip=4)
    assert first == rand_augment.draw(2, seed=1, step=3, clip=4)
    many = [rand_augment.draw(2, seed=1, step=s, clip=4) for s in range(300)]
    assert {name for ops in many for name, _ in ops} == set(rand_augment.OPERATIONS)
    assert {sign for ops in many for _, sign in ops} == {-1.0, 1.0}


def test_operations_are_done_in_turn():
    ops = [("brightness", -1.0), ("solarize", 1.0)]
    both = rand_augment.augment(CLIP, ops, 5)
    once = rand_augment.OPERATIONS["brightness"](CLIP, -0.5)
    np.testing.assert_array_equal(both, rand_augment.OPERATIONS["solarize"](once, 0.5))
