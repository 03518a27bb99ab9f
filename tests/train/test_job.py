"""What a configuration makes of a published version's train split."""

import dataclasses

import numpy as np
import pytest

from eval.config import EvalConfig
from eval.running import config_file
from eval.running.rank_group import Ranks
from model import checkpoint
from model.tsm import TSM, TSMConfig
from train import clips, first_network, job, run_config
from train.config import TrainConfig
from train.run_config import RunConfig

RUN = RunConfig(
    TSMConfig(num_classes=3, arch="resnet18", width=4, num_segments=2, shift_div=4),
    EvalConfig(crop_px=32, resize_px=32),
    TrainConfig(batch_size=3, seed=5, scales=(1.0,)),
)
FLIPPING = dataclasses.replace(RUN, training=TrainConfig(batch_size=3, flip=True))


@pytest.fixture
def open_epoch(published_version):
    def open_with(settings):
        names = published_version.category_names()
        open_at = job.epoch_opener(published_version, settings, names)
        return lambda epoch: open_at(epoch, 0)

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
    assert run_config.load(path, {}, num_classes=7).model.num_classes == 7
    assert run_config.load(path, {"num_classes": "7"}, num_classes=7).model == (
        TSMConfig(num_classes=7, arch="resnet18")
    )


def test_missing_sections_are_defaults(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("model: {}")
    settings = run_config.load(path, {}, num_classes=7)
    assert settings.evaluation == EvalConfig()
    assert settings.training == TrainConfig()


def test_a_training_begins_with_the_weights_it_is_given(tmp_path):
    saved = TSM(dataclasses.replace(RUN.model, num_classes=5))
    checkpoint.save(saved, tmp_path / "other.ckpt", {})
    training = dataclasses.replace(
        RUN.training,
        tune_from=str(tmp_path / "other.ckpt"),
        fresh_parts=("classifier",),
        trainable="classifier",
    )
    network = first_network.make(RUN.model, training)
    for name in ("conv1.weight", "bn1.gamma", "layer4.1.conv1.net.weight"):
        mine, theirs = (
            next(p for p in n.get_parameters() if p.name == f"base_model.{name}")
            for n in (network, saved)
        )
        np.testing.assert_array_equal(mine.asnumpy(), theirs.asnumpy())
    assert network.new_fc.weight.shape[0] == 3
    assert [p.name for p in network.trainable_params()] == [
        "new_fc.weight",
        "new_fc.bias",
    ]


def test_weights_of_another_number_of_classes_are_an_error_unless_told(tmp_path):
    saved = TSM(dataclasses.replace(RUN.model, num_classes=5))
    checkpoint.save(saved, tmp_path / "other.ckpt", {})
    training = dataclasses.replace(RUN.training, tune_from=str(tmp_path / "other.ckpt"))
    with pytest.raises(checkpoint.CheckpointError, match=r"new_fc\.weight \(5, 32\)"):
        first_network.make(RUN.model, training)


def test_the_clips_of_a_step_can_be_named(published_version, open_epoch):
    names = published_version.category_names()
    open_at = job.epoch_opener(published_version, RUN, names)
    split = clips.SplitClips(open_at)
    named = [split.clip_ids(2, step, 3) for step in range(split.steps_per_epoch)]
    opened = open_at(2, 0)
    assert [*named[0], *named[1]] == [
        opened.index.clip_ids[r] for r in opened.rows().tolist()
    ]
    label_ids = [int(n) % 3 for n in named[1]]
    split.resume(split.state() | {"epoch": 2, "step": 1})
    (batch,) = split
    assert batch[1].tolist() == label_ids


@pytest.mark.parametrize("missing", ["train", "validation"])
def test_a_split_without_clips_is_refused_before_the_first_epoch(
    published_version, tmp_path, monkeypatch, missing
):
    (tmp_path / "run.yaml").write_text("model: {arch: resnet18, width: 8}")
    listed = published_version.manifest
    left = tuple(entry for entry in listed.shards if entry.split != missing)
    poorer = dataclasses.replace(
        published_version, manifest=dataclasses.replace(listed, shards=left)
    )
    monkeypatch.setattr(job.opening, "open_version", lambda *_: poorer)
    options = job.TrainOptions(
        tmp_path / "run.yaml", published_version.dataset, tmp_path / "output", {}
    )
    with pytest.raises(
        ValueError, match=f"split '{missing}' of version 000001 has no stored clips"
    ):
        job.run(options)
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize(("num_ranks", "is_fine"), [(1, True), (3, True), (2, False)])
def test_a_batch_must_divide_among_the_ranks(num_ranks, is_fine):
    if is_fine:
        job.check_divides(RUN, Ranks(0, num_ranks))
        return
    with pytest.raises(config_file.ConfigError, match="multiple of their number, 2: 3"):
        job.check_divides(RUN, Ranks(0, num_ranks))
