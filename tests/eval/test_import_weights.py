"""The command that makes a checkpoint of published weights."""

import hashlib
import json

import numpy as np
import pytest
import safetensors.numpy

from eval import import_weights
from model import checkpoint, weights
from tests.model.test_tsm import make_network

CONFIG = """
model:
  arch: resnet18
  width: 8
  num_segments: 4
  shift_div: 4
training:
  epochs: 1
evaluation:
  crop_px: 32
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run.yaml").write_text(CONFIG)

    def call(*words):
        paths = {
            "--config_path": tmp_path / "run.yaml",
            "--weights": tmp_path / "published.safetensors",
            "--output": tmp_path / "made" / "published.ckpt",
        }
        flags = [str(word) for pair in paths.items() for word in pair]
        return import_weights.main([*flags, *words])

    return call


@pytest.fixture
def published(tmp_path):
    network = make_network()
    weights.save_safetensors(network, tmp_path / "published.safetensors", {})
    return network


def test_a_checkpoint_is_made(run, published, tmp_path, capsys):
    assert run("--num_classes", "5") == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    output = tmp_path / "made" / "published.ckpt"
    num_tensors = len(list(published.get_parameters()))
    assert result == {
        "output": str(output),
        "num_taken": num_tensors,
        "num_fresh": 0,
        "num_ignored": 0,
    }
    network, facts = checkpoint.load(output)
    assert network.config.num_segments == 4
    assert facts == {"weights": "published.safetensors", "fresh": []}
    np.testing.assert_array_equal(
        network.new_fc.weight.asnumpy(), published.new_fc.weight.asnumpy()
    )


def test_the_classifier_begins_anew_if_asked(run, published, tmp_path, capsys):
    assert run("--num_classes", "7", "--fresh", "classifier") == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["num_fresh"], result["num_ignored"]) == (2, 2)
    network, facts = checkpoint.load(tmp_path / "made" / "published.ckpt")
    assert network.new_fc.weight.shape == (7, 64)
    assert facts["fresh"] == ["classifier"]


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ((), 2, "give --num_classes N, or --labels FILE"),
        (("--num_classes", "5", "--epochs", "3"), 2, "--epochs is no key"),
        (("--num_classes", "7"), 1, "2 of another shape: new_fc.bias (5,)"),
        (("--num_classes", "5", "--arch", "resnet34"), 1, "missing: base_model"),
    ],
)
def test_what_does_not_fit_is_explained(
    run, published, tmp_path, caplog, words, status, message
):
    assert run(*words) == status
    (error,) = [r.message for r in caplog.records if r.levelname == "ERROR"]
    assert message in error
    assert not (tmp_path / "made" / "published.ckpt").exists()


def test_the_checkpoint_says_how_it_is_used(run, published, tmp_path):
    (tmp_path / "labels.txt").write_text("a\nb\nc\nd\ne\n")
    assert run("--labels", str(tmp_path / "labels.txt"), "--resize_px", "36") == 0
    network, _ = checkpoint.load(tmp_path / "made" / "published.ckpt")
    card, content = network.card, (tmp_path / "published.safetensors").read_bytes()
    assert card.class_names == ("a", "b", "c", "d", "e")
    assert (card.view["crop_px"], card.view["resize_px"]) == (32, 36)
    assert card.weights == "published.safetensors"
    assert card.weights_sha256 == hashlib.sha256(content).hexdigest()


def test_labels_of_another_number_are_wrong_usage(run, published, tmp_path, caplog):
    (tmp_path / "labels.txt").write_text("a\nb\n")
    assert run("--labels", str(tmp_path / "labels.txt"), "--num_classes", "5") == 2
    assert "has 2 labels, num_classes is 5" in caplog.text


def test_unknown_parts_are_wrong_usage(run, capsys):
    with pytest.raises(SystemExit) as stopped:
        run("--fresh", "head")
    assert stopped.value.code == 2
    assert "'classifier', 'non_local'" in capsys.readouterr().err


def test_a_foreign_file_is_named(run, tmp_path, caplog):
    safetensors.numpy.save_file({"x": np.zeros(1)}, tmp_path / "published.safetensors")
    assert run("--num_classes", "5") == 1
    assert "unknown: x" in caplog.text
