import pytest

from eval.config import EvalConfig


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"device_target": "TPU"}, r"one of \('CPU', 'GPU', 'Ascend'\), got 'TPU'"),
        ({"crop_px": 16}, "crop_px must be at least 32, got 16"),
        ({"crop_px": 64, "resize_px": 60}, "at least crop_px = 64, got 60"),
        ({"eval_batch_size": 0}, "eval_batch_size must be at least 1, got 0"),
        ({"num_workers": 0}, "num_workers must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        EvalConfig(**changes)


def test_defaults_are_the_papers_view():
    config = EvalConfig()
    assert (config.crop_px, config.resize_px) == (224, 256)
