"""What a configuration makes of a published version's train split."""

import dataclasses

import numpy as np
import pytest

from eval.config import EvalConfig
from model.tsm import TSMConfig
from train import job
from train.config import TrainConfig

RUN = job.RunConfig(
    TSMConfig(num_classes=3, arch="resnet18", width=4, num_segments=2, shift_div=4),
    EvalConfig(crop_px=32, resize_px=32),
    TrainConfig(batch_size=3, seed=5, scales=(1.0,)),
)
FLIPPING = dataclasses.replace(RUN, training=TrainConfig(batch_size=3, flip=True))


@pytest.fixture
def open_epoch(published_version):
    def open_with(settings):
        names = published_version.category_names()
        return job.epoch_opener(published_version, settings, names)

    return open_with


def batches(opened):
    return list(opened.create_dict_iterator(num_epochs=1, output_numpy=True))


def test_batches_are_full_and_have_the_networks_shape(open_epoch):
    """Of seven stored clips one fills no batch."""
    opened = open_epoch(RUN)(0)
    assert opened.get_dataset_size() == 2
    for batch in batches(opened):
        assert batch["frames"].shape == (3, 2, 3, 32, 32)
        assert batch["frames"].dtype == np.uint8
        assert set(batch["label"].tolist()) <= {0, 1, 2}


def test_an_epoch_is_the_same_each_time_and_another_is_not(open_epoch):
    opener = open_epoch(RUN)
    first, again, second = (batches(opener(epoch)) for epoch in (0, 0, 1))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one["frames"], other["frames"])
        np.testing.assert_array_equal(one["label"], other["label"])
    assert any(
        (one["frames"] != other["frames"]).any()
        for one, other in zip(first, second, strict=True)
    )


def test_the_seed_decides_the_order(open_epoch):
    other = dataclasses.replace(RUN, training=dataclasses.replace(RUN.training, seed=6))
    ours, theirs = batches(open_epoch(RUN)(0)), batches(open_epoch(other)(0))
    assert any(
        (one["frames"] != another["frames"]).any()
        for one, another in zip(ours, theirs, strict=True)
    )


def test_flips_happen_only_if_asked(open_epoch):
    """Stored frames are darker on their left (see conftest.py: red 40 against 200)."""

    def is_mirrored(settings):
        return [
            bool(clip[0, 0, :, :8].mean() > clip[0, 0, :, -8:].mean())
            for epoch in range(4)
            for batch in batches(open_epoch(settings)(epoch))
            for clip in batch["frames"]
        ]

    assert not any(is_mirrored(RUN))
    assert 0 < sum(is_mirrored(FLIPPING)) < 24


def test_num_classes_is_the_data_sets_unless_given(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("model: {arch: resnet18}")
    assert job.load_config(path, {}, num_classes=7).model.num_classes == 7
    assert job.load_config(path, {"num_classes": "7"}, num_classes=7).model == (
        TSMConfig(num_classes=7, arch="resnet18")
    )


def test_missing_sections_are_defaults(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("model: {}")
    settings = job.load_config(path, {}, num_classes=7)
    assert settings.evaluation == EvalConfig()
    assert settings.training == TrainConfig()
