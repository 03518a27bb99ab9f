"""The network that a training begins with: by weights, or at random on purpose."""

import dataclasses
import hashlib
import logging

import mindspore
import numpy as np
import pytest

from eval.running import config_file
from model import checkpoint
from model.cards import ModelCard
from model.tsm import TSM, TSMConfig
from train import first_network
from train.config import TrainConfig

CONFIG = TSMConfig(num_classes=3, arch="resnet18", width=4, num_segments=2, shift_div=4)
NAMES = ("Left", "Right", "Rest")


@pytest.fixture
def weights(tmp_path):
    """A checkpoint with a card and the network that is in it."""
    mindspore.set_seed(3)
    network = TSM(CONFIG)
    network.card = ModelCard(class_names=NAMES)
    checkpoint.save(network, tmp_path / "best.ckpt", {})
    return tmp_path / "best.ckpt", network


@pytest.mark.parametrize(
    "changes", [{"fresh_parts": ("classifier",)}, {"trainable": "classifier"}]
)
def test_what_needs_weights_is_refused_without(changes):
    with pytest.raises(config_file.ConfigError, match=r"--tune_from FILE, or"):
        first_network.check(TrainConfig(**changes))
    first_network.check(TrainConfig(**changes, tune_from="random"))
    first_network.check(TrainConfig(**changes, tune_from="file.pth"))
    first_network.check(TrainConfig())


@pytest.mark.parametrize("tune_from", [None, "random"])
def test_random_weights_are_named_as_such(tune_from, caplog):
    with caplog.at_level(logging.INFO):
        network = first_network.make(CONFIG, TrainConfig(tune_from=tune_from))
    assert network.card.weights == "random"
    assert caplog.messages == ["weights: random"]


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_file_of_weights_is_named_with_its_hash(weights, caplog, is_folder):
    path, source = weights
    given = str(path.parent if is_folder else path)
    with caplog.at_level(logging.INFO):
        network = first_network.make(CONFIG, TrainConfig(tune_from=given), NAMES)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert f"weights: {path}, SHA-256 {sha256}" in caplog.messages
    assert network.card == ModelCard(weights="best.ckpt", weights_sha256=sha256)
    np.testing.assert_array_equal(
        network.new_fc.weight.asnumpy(), source.new_fc.weight.asnumpy()
    )


def test_a_classifier_of_other_classes_is_refused_unless_it_begins_anew(weights):
    path, _ = weights
    training = TrainConfig(tune_from=str(path))
    names = ("Right", "Left", "Rest")
    with pytest.raises(ValueError, match=r"0 is 'Left' there and 'Right' here, 1 is"):
        first_network.make(CONFIG, training, names)
    fresh = dataclasses.replace(training, fresh_parts=("classifier",))
    first_network.make(CONFIG, fresh, names)


def test_a_resumed_training_keeps_the_facts_of_its_weights_without_the_file(weights):
    path, _ = weights
    training = TrainConfig(tune_from=str(path))
    card = first_network.make(CONFIG, training, NAMES).card
    path.unlink()
    begun_with = {"training": dataclasses.asdict(training), "card": card.to_json()}
    assert first_network.make_again(CONFIG, training, begun_with).card == card
    earlier = first_network.make_again(
        CONFIG, training, {"training": {"tune_from": "r50.pth"}}
    )
    assert earlier.card.weights == "r50.pth"


def test_flags_of_the_first_weights_are_those_of_the_run():
    training = {"tune_from": "r50.pth", "fresh_parts": ["classifier", "non_local"]}
    assert first_network.flags_of({"training": training}) == {
        "tune_from": "r50.pth",
        "fresh_parts": "classifier, non_local",
    }
    assert first_network.flags_of({"training": {"tune_from": None}}) == {
        "tune_from": "null",
        "fresh_parts": "",
    }
