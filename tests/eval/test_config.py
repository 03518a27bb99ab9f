import pytest

from eval.config import EvalConfig
from mindrecord_io.serving import views


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"device_target": "TPU"}, r"one of \('CPU', 'GPU', 'Ascend'\), got 'TPU'"),
        ({"crop_px": 16}, "crop_px must be at least 32, got 16"),
        ({"crop_px": 64, "resize_px": 60}, "at least crop_px = 64, got 60"),
        ({"eval_batch_size": 0}, "eval_batch_size must be at least 1, got 0"),
        ({"eval_crops": "five"}, r"one of \('centre', 'three'\), got 'five'"),
        ({"eval_frames": "all"}, r"'centre', 'twice', 'dense'\), got 'all'"),
        ({"average": "votes"}, r"one of \('logits', 'probabilities'\), got 'votes'"),
        ({"num_workers": 0}, "num_workers must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        EvalConfig(**changes)


def test_defaults_are_the_papers_view():
    config = EvalConfig()
    assert (config.crop_px, config.resize_px) == (224, 256)


@pytest.mark.parametrize(
    ("changes", "view"),
    [
        ({}, views.CentreView(8, 224, 256, "centre")),
        (
            {"eval_crops": "three", "eval_frames": "twice", "crop_px": 256},
            views.ThreeCropView(8, 256, 256, "twice"),
        ),
        ({"eval_frames": "dense"}, views.CentreView(8, 224, 256, "dense")),
    ],
)
def test_the_view_is_the_papers_efficient_or_accurate_one(changes, view):
    assert EvalConfig(**changes).view(8) == view
