"""Checkpoints and results in an object store, by the same flags as on a disk."""

import hashlib

import pytest

from eval import export, import_weights, trained
from model import checkpoint, weights
from model.cards import ModelCard
from tests.model.test_tsm import make_network
from train import first_network
from train.config import TrainConfig

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


def test_a_training_begins_with_weights_in_a_store(bucket, tmp_path):
    checkpoint.save(make_network(), tmp_path / "r50.ckpt", {})
    content = (tmp_path / "r50.ckpt").read_bytes()
    bucket.write("runs/r50.ckpt", content)
    training = TrainConfig(tune_from="s3://runs/r50.ckpt")
    network = first_network.make(make_network().config, training)
    sha256 = hashlib.sha256(content).hexdigest()
    assert network.card == ModelCard(weights="r50.ckpt", weights_sha256=sha256)


def test_a_file_that_cannot_be_written_is_noticed_before_the_work(
    tmp_path, caplog, monkeypatch
):
    def fail(location):
        raise AssertionError("the checkpoint is read")

    monkeypatch.setattr(trained, "load", fail)
    words = ["--checkpoint", str(tmp_path), "--output", "/proc/network.onnx"]
    assert export.main(words) == 1
    assert "cannot write /proc/network.onnx" in caplog.text
