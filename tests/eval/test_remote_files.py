"""Checkpoints and results in an object store, by the same flags as on a disk."""

import dataclasses
import hashlib
from pathlib import Path

import pytest

from eval import export, import_weights, job, trained
from model import checkpoint, weights
from model.cards import ModelCard
from model.tsm import TSM
from tests.model.test_tsm import make_network
from train import first_network
from train.config import TrainConfig

FILES = ("output", "report", "submission")
CONFIG = """
model: {arch: resnet18, width: 8, num_segments: 4, shift_div: 4, num_classes: 5}
"""


def test_a_checkpoint_goes_from_store_to_store(bucket, tmp_path):
    (tmp_path / "run.yaml").write_text(CONFIG)
    weights.save_safetensors(make_network(), tmp_path / "a.safetensors", {})
    words = ["--config_path", str(tmp_path / "run.yaml")]
    words += ["--weights", str(tmp_path / "a.safetensors")]
    assert import_weights.main([*words, "--output", "s3://runs/r50/best.ckpt"]) == 0
    assert list(bucket.contents("runs/r50")) == ["best.ckpt"]
    assert trained.load("s3://runs/r50/best.ckpt").config == make_network().config
    words = ["--checkpoint", "s3://runs/r50", "--output", "s3://runs/r50/n.safetensors"]
    assert export.main(words) == 0
    assert sorted(bucket.contents("runs/r50")) == ["best.ckpt", "n.safetensors"]


def test_a_checkpoint_that_is_not_there_is_named(bucket):
    with pytest.raises(
        checkpoint.CheckpointError, match=r"no checkpoint s3://runs/none/best\.ckpt"
    ):
        trained.load("s3://runs/none")


@pytest.mark.parametrize(
    ("given", "name"),
    [("s3://runs/r50.ckpt", "r50.ckpt"), ("s3://runs/r.50", "r.50/best.ckpt")],
)
def test_a_training_begins_with_weights_in_a_store(bucket, tmp_path, given, name):
    checkpoint.save(make_network(), tmp_path / "r50.ckpt", {})
    content = (tmp_path / "r50.ckpt").read_bytes()
    bucket.write(f"runs/{name}", content)
    network = first_network.make(make_network().config, TrainConfig(tune_from=given))
    sha256 = hashlib.sha256(content).hexdigest()
    name = name.rpartition("/")[2]
    assert network.card == ModelCard(weights=name, weights_sha256=sha256)


def test_an_evaluation_writes_its_files_to_a_store(
    bucket, published_version, tmp_path, monkeypatch
):
    monkeypatch.setattr(job.config, "use_device", lambda *_, **__: None)
    names = tuple(published_version.category_names())
    network = TSM(dataclasses.replace(make_network().config, num_classes=len(names)))
    network.card = ModelCard(
        class_names=names, view={"crop_px": 32, "resize_px": 32}, weights="random"
    )
    checkpoint.save(network, tmp_path / "best.ckpt", {})
    bucket.upload(tmp_path, "runs/r50")
    files = {name: f"s3://runs/scored/{name}" for name in FILES}
    options = job.EvalOptions(published_version.dataset, "s3://runs/r50", {}, **files)
    assert job.run(options).num_clips == 4
    local = {name: tmp_path / name for name in FILES}
    job.run(dataclasses.replace(options, **local))
    assert bucket.contents("runs/scored") == {
        name: path.read_bytes() for name, path in local.items()
    }


def test_a_file_that_cannot_be_written_is_noticed_before_the_work(
    tmp_path, caplog, monkeypatch
):
    def fail(location):
        raise AssertionError("the checkpoint is read")

    monkeypatch.setattr(trained, "load", fail)
    words = ["--checkpoint", str(tmp_path), "--output", "/proc/network.onnx"]
    assert export.main(words) == 1
    assert "cannot write /proc/network.onnx" in caplog.text


@pytest.mark.parametrize("name", FILES)
def test_an_evaluations_files_are_tried_before_it_scores(
    published_version, tmp_path, monkeypatch, name
):
    def fail(location):
        raise AssertionError("the checkpoint is read")

    monkeypatch.setattr(trained, "load", fail)
    location = {name: Path("/proc/scored")}
    options = job.EvalOptions(published_version.dataset, tmp_path, {}, **location)
    with pytest.raises(OSError, match="cannot write /proc/scored"):
        job.run(options)
