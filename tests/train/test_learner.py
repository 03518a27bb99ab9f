"""Precision, dropout and what is trained, one step at a time."""

import dataclasses

import mindspore
import numpy as np
import pytest

from eval.evaluate import make_predict
from eval.running.rank_group import Ranks
from model import freezing
from model.tsm import TSM, TSMConfig
from tests.train.moving_bars import moving_bars
from train import learner
from train.config import TrainConfig

pytestmark = pytest.mark.usefixtures("small_graphs")

NETWORK = TSMConfig(
    num_classes=2, arch="resnet18", width=4, num_segments=4, shift_div=4, dropout=0.25
)
SETTINGS = TrainConfig(epochs=1, batch_size=2, learning_rate=0.01)


def make(**changes):
    mindspore.set_seed(3)
    network = TSM(NETWORK)
    if changes.get("trainable") == "classifier":
        freezing.freeze_frame_network(network.base_model)
    settings = dataclasses.replace(SETTINGS, **changes)
    return network, learner.Learner(network, settings, 2, Ranks())


def values(network):
    return {p.name: p.asnumpy().copy() for p in network.get_parameters()}


def changed(before, after):
    return {name for name in before if (before[name] != after[name]).any()}


@pytest.mark.slow
@pytest.mark.parametrize("amp_level", ["O2", "O3", "auto"])
def test_every_precision_trains_float32_parameters(amp_level):
    network, trained = make(amp_level=amp_level)
    outcome = trained.learn(moving_bars(2), 0)
    assert outcome.loss == pytest.approx(0.69, abs=0.05)
    assert outcome.logits.shape == (2, 2)
    assert not outcome.is_skipped
    assert {p.dtype for p in network.get_parameters()} == {mindspore.float32}
    assert {"loss_scale", "loss_scale_counter"} <= trained.tensors().keys()
    logits = make_predict(network)(moving_bars(2)[0])
    assert logits.dtype == np.float32


@pytest.mark.slow
def test_an_overflow_is_skipped_until_the_scale_cannot_fall_further():
    network, trained = make(amp_level="O2", loss_scale=1e30)
    before = values(network)
    outcome = trained.learn(moving_bars(2), 0)
    assert outcome.is_skipped
    assert np.isfinite(outcome.loss)
    assert changed(before, values(network)) <= {
        p.name for p in network.get_parameters() if "moving_" in p.name
    }
    trained.tensors()["loss_scale"].set_data(mindspore.Tensor(np.float32(1.0)))
    network.new_fc.bias.set_data(mindspore.Tensor(np.full(2, np.nan, np.float32)))
    assert not trained.learn(moving_bars(2), 1).is_skipped


def test_a_linear_probe_changes_nothing_before_the_classifier():
    network, trained = make(trainable="classifier")
    before = values(network)
    trained.learn(moving_bars(2), 0)
    assert changed(before, values(network)) == {"new_fc.weight", "new_fc.bias"}


def test_a_checkpoint_holds_what_the_optimizer_remembers():
    network, trained = make()
    names = trained.tensors().keys()
    assert {"global_step", "accum.new_fc.weight", "stat.new_fc.bias"} <= names
    assert not names & {p.name for p in network.get_parameters()}


def test_rates_are_of_every_step_and_follow_the_batch():
    _, trained = make(base_batch_size=4, epochs=3, milestones=(1.0,))
    np.testing.assert_allclose(trained.rates, [0.005] * 2 + [0.0005] * 4, rtol=1e-6)


def test_only_batch_norms_statistics_are_averaged_over_the_ranks(monkeypatch):
    _, trained = make()
    averaged = []
    monkeypatch.setattr(
        Ranks, "average", lambda self, parameters: averaged.extend(parameters)
    )
    trained.synchronise_norms()
    assert len(averaged) == 2 * (1 + 4 * 2 + 3)  # stem, blocks, shortcuts
    assert {p.name.rpartition(".")[2] for p in averaged} == {
        "moving_mean",
        "moving_variance",
    }
