import re
from collections import Counter

import numpy as np
import pytest

from mindrecord_io import records
from mindrecord_io.serving import clip_random, views

CATEGORIES = (
    "Sliding [something] from left to right",
    "Sliding [something] from right to left",
    "Holding [something] upright",
    "Lifting the left one of two leftovers",
    "Left turn",
    "Right turn",
)
FLIPPED = (1, 0, 2, records.UNLABELLED, 5, 4)


def decide(view, clip_id="7", *, epoch=0, seed=0, height=240, width=427, label_id=0):
    return view.decide(
        45,
        height=height,
        width=width,
        label_id=label_id,
        rng=clip_random.ClipRandom(seed, epoch, clip_id),
    )


def many(view, **size):
    return [decide(view, str(number), **size) for number in range(2000)]


def test_train_view_draws_the_sides_of_multi_scale_crop():
    # 240 x (1, 0.875, 0.75, 0.66) = 240, 210, 180, 158.4; neighbours may be mixed.
    actual = Counter(
        (d.crops[0].height, d.crops[0].width) for d in many(views.TrainView())
    )
    assert set(actual) == {
        (240, 240), (240, 210), (210, 240), (210, 210), (210, 180),
        (180, 210), (180, 180), (180, 158), (158, 180), (158, 158),
    }  # fmt: skip
    assert min(actual.values()) > 2000 / 10 * 0.7


def test_train_view_takes_a_crop_near_the_output_at_the_output_size():
    view = views.TrainView(scales=(1, 0.875))
    # 256 x 0.875 = 224; 226 and 222 are within 2 pixels of 224.
    for short_side, expected in ((256, {256, 224}), (226, {224, 197}), (228, {228})):
        sides = {
            side
            for d in many(view, height=short_side, width=400)
            for side in (d.crops[0].height, d.crops[0].width)
        }
        assert sides >= expected


def test_train_view_does_not_take_a_crop_larger_than_the_frame():
    view = views.TrainView(scales=(1,))
    actual = {
        (d.crops[0].height, d.crops[0].width) for d in many(view, height=222, width=300)
    }
    assert actual == {(222, 222)}


def test_train_view_places_crops_at_the_thirteen_fixed_positions():
    view = views.TrainView(scales=(0.75,))
    # 60 pixels are free in height: steps of 15; 247 in width: steps of 61.
    actual = Counter((d.crops[0].top, d.crops[0].left) for d in many(view))
    assert set(actual) == {
        (0, 0), (0, 122), (0, 244),
        (15, 61), (15, 183),
        (30, 0), (30, 122), (30, 244),
        (45, 61), (45, 183),
        (60, 0), (60, 122), (60, 244),
    }  # fmt: skip
    assert min(actual.values()) > 2000 / 13 * 0.7


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (240, 240), (427, 240)])
def test_crops_are_inside_the_frame(size):
    height, width = size
    for d in many(views.TrainView(), height=height, width=width):
        assert d.crops[0].top + d.crops[0].height <= height
        assert d.crops[0].left + d.crops[0].width <= width


def test_train_view_decides_by_seed_epoch_and_clip_alone():
    view = views.TrainView(flip_label_map=FLIPPED)
    first = decide(view)
    assert decide(view) == first
    assert decide(view, "8") != first
    assert decide(view, epoch=1) != first
    assert decide(view, seed=1) != first


def test_what_is_random_of_a_clip_is_fixed_for_good():
    # Another value here means that every training run gives other batches than before.
    assert decide(views.TrainView(flip_label_map=FLIPPED), "78687") == (
        views.ViewDecision(
            frame_indices=(2, 8, 13, 21, 25, 28, 34, 42),
            crops=(views.CropDecision(7, 183, height=210, width=180, flip=True),),
            label_id=1,
        )
    )


def test_train_view_draws_frames_independently_of_its_other_settings():
    first = decide(views.TrainView())
    other = decide(views.TrainView(crop_px=64, scales=(0.5,), flip_label_map=FLIPPED))
    assert other.frame_indices == first.frame_indices


def test_flips_swap_the_labels_of_left_and_right():
    view = views.TrainView(flip_label_map=FLIPPED)
    for label_id, flipped_id in ((0, 1), (1, 0), (2, 2), (5, 4)):
        actual = Counter(
            (d.crops[0].flip, d.label_id) for d in many(view, label_id=label_id)
        )
        assert set(actual) == {(False, label_id), (True, flipped_id)}
        assert min(actual.values()) > 900


@pytest.mark.parametrize("label_id", [3, records.UNLABELLED])
def test_clips_whose_flipped_label_is_unknown_are_not_flipped(label_id):
    view = views.TrainView(flip_label_map=FLIPPED)
    actual = {(d.crops[0].flip, d.label_id) for d in many(view, label_id=label_id)}
    assert actual == {(False, label_id)}


def test_nothing_is_flipped_without_a_label_map():
    assert not any(d.crops[0].flip for d in many(views.TrainView()))


def test_flip_label_map_swaps_words_not_letters():
    assert views.flip_label_map(CATEGORIES) == FLIPPED


def test_flip_label_map_of_labels_without_sides_changes_nothing():
    assert views.flip_label_map(["Holding [something]", "Rest"]) == (0, 1)


SIDED = (
    "Plugging something into something but pulling it right out as you remove your "
    "hand",
    "Pulling something from left to right",
    "Pulling something from right to left",
    "Pushing something from left to right",
    "Pushing something from right to left",
    "Turning the camera left while filming something",
    "Turning the camera right while filming something",
)
"""All labels of Something-Something-v2 with either word."""


def test_flip_label_map_of_something_something_is_mmaction2s():
    """Its map has the three pairs alone, so that the first label is mirrored as is."""
    assert views.flip_label_map(SIDED) == (0, 2, 1, 4, 3, 6, 5)


@pytest.mark.parametrize(
    ("label", "is_sided"),
    [
        ("Pulling it right out", False),
        ("Putting it right back into the box", False),
        ("Moving from left to right out of sight", True),
        ("Lifting it to the right", True),
        ("Turning it right", True),
        ("Right of the box", True),
        ("Pushing the right upwards", True),
    ],
)
def test_right_before_a_particle_is_no_side(label, is_sided):
    expected = records.UNLABELLED if is_sided else 0
    assert views.flip_label_map([label]) == (expected,)


@pytest.mark.parametrize("label_map", [(1, 2, 0), (3, 1), (-2, 1)])
def test_flip_label_map_must_lead_back(label_map):
    expected = f"must lead back: 0 becomes {label_map[0]}, which does not become 0"
    with pytest.raises(ValueError, match=expected):
        views.TrainView(flip_label_map=label_map)


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        # 240 x 224/256 = 210; (240-210)/2 = 15; (427-210)/2 = 108.5.
        (240, 427, (15, 108, 210, 210)),
        (427, 240, (108, 15, 210, 210)),
        (256, 256, (16, 16, 224, 224)),
        (100, 101, (6, 6, 88, 88)),  # 87.5
        (1, 1, (0, 0, 1, 1)),
    ],
)
def test_centre_view_cuts_the_middle_square(height, width, expected):
    decision = views.CentreView().decide(48, height=height, width=width, label_id=5)
    assert decision.crops[0] == views.CropDecision(*expected, flip=False)
    assert decision.frame_indices == (3, 9, 15, 21, 27, 33, 39, 45)
    assert decision.label_id == 5


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        # Squares of the whole height at 0, (427 - 240) / 2 and 427 - 240.
        (240, 427, [(0, 0), (0, 93), (0, 187)]),
        (427, 240, [(0, 0), (93, 0), (187, 0)]),
        (240, 240, [(0, 0), (0, 0), (0, 0)]),
    ],
)
def test_three_crop_view_cuts_along_the_longer_side(height, width, expected):
    decision = views.ThreeCropView().decide(48, height=height, width=width, label_id=5)
    assert [(c.top, c.left) for c in decision.crops] == expected
    sides = {(c.height, c.width, c.flip) for c in decision.crops}
    assert sides == {(240, 240, False)}
    centres, starts = (3, 9, 15, 21, 27, 33, 39, 45), (0, 6, 12, 18, 24, 30, 36, 42)
    assert decision.frame_indices == centres + starts
    assert decision.label_id == 5


def test_three_crop_view_of_a_part_is_centred_across():
    view = views.ThreeCropView(crop_px=224, frame_sampling="centre")
    decision = view.decide(8, height=256, width=340, label_id=0)
    assert [(c.top, c.left) for c in decision.crops] == [(16, 0), (16, 58), (16, 116)]
    assert {(c.height, c.width) for c in decision.crops} == {(224, 224)}


@pytest.mark.parametrize(
    ("view", "num_views", "shape"),
    [
        (views.TrainView(), 1, (8, 3, 224, 224)),
        (views.TrainView(num_segments=16), 1, (16, 3, 224, 224)),
        (views.CentreView(crop_px=200), 1, (8, 3, 200, 200)),
        (views.CentreView(frame_sampling="twice"), 2, (2, 8, 3, 224, 224)),
        (views.CentreView(frame_sampling="dense"), 10, (10, 8, 3, 224, 224)),
        (views.ThreeCropView(), 6, (6, 8, 3, 256, 256)),
        (views.ThreeCropView(frame_sampling="centre"), 3, (3, 8, 3, 256, 256)),
    ],
)
def test_shapes_of_views(view, num_views, shape):
    assert (view.num_views, views.clip_shape(view)) == (num_views, shape)


def test_frames_can_be_sampled_densely():
    rng = clip_random.ClipRandom(0, 0, "7")
    view = views.TrainView(frame_sampling="dense")
    decision = view.decide(64, height=240, width=427, label_id=0, rng=rng)
    assert decision.frame_indices == (0, 8, 16, 24, 32, 40, 48, 56)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (
            lambda: views.TrainView(frame_sampling="twice"),
            "frame_sampling must be one of ('segments', 'dense'), got 'twice'",
        ),
        (
            lambda: views.CentreView(frame_sampling="segments"),
            "frame_sampling must be one of ('centre', 'twice', 'dense'), got 'segmen",
        ),
        (lambda: views.ThreeCropView(crop_px=300), "resize_px must be at least crop_p"),
        (lambda: views.TrainView(num_segments=0), "num_segments must be at least 1"),
        (lambda: views.TrainView(crop_px=0), "crop_px must be at least 1, got 0"),
        (lambda: views.TrainView(scales=()), "scales must be in (0, 1], got ()"),
        (
            lambda: views.TrainView(scales=(1.5,)),
            "scales must be in (0, 1], got (1.5,)",
        ),
        (lambda: views.CentreView(crop_px=300), "resize_px must be at least crop_px"),
        (lambda: views.CropDecision(-1, 0, 5, 5), "not a rectangle inside a frame"),
        (lambda: views.CropDecision(0, 0, 0, 5), "not a rectangle inside a frame"),
    ],
)
def test_impossible_views_are_refused(make, expected):
    with pytest.raises(ValueError, match=re.escape(expected)):
        make()


def test_decisions_are_plain_values():
    crop = decide(views.TrainView()).crops[0]
    assert all(type(v) is int for v in (crop.top, crop.left, crop.height, crop.width))
    assert not any(
        isinstance(i, np.integer) for i in decide(views.TrainView()).frame_indices
    )
