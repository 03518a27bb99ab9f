"""Partial batch norm: what changes in a step of training, and what does not."""

import mindspore
import numpy as np
import pytest
from mindspore import Tensor, nn

from model import non_local
from model.freezing import freeze_norms_but_first


class Small(nn.Cell):
    def __init__(self):
        super().__init__()
        self.first = nn.BatchNorm2d(2)
        self.stage = nn.SequentialCell(
            nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2), nn.SequentialCell(nn.BatchNorm2d(2))
        )
        self.nl = non_local.NonLocal(2, num_segments=1)

    def construct(self, x):
        return self.nl(self.stage(self.first(x)))


@pytest.fixture
def trained():
    """A network before and after a step of training, by parameter."""
    mindspore.set_seed(1)
    network = Small()
    frozen = freeze_norms_but_first(network)
    network.set_train(True)
    before = {p.name: p.asnumpy().copy() for p in network.get_parameters()}
    optimizer = nn.SGD(network.trainable_params(), learning_rate=0.1)
    x = np.random.default_rng(0).normal(3.0, 2.0, size=(8, 2, 4, 4)).astype(np.float32)

    def loss(frames):
        return (network(frames) ** 2).mean()

    optimizer(mindspore.value_and_grad(loss, None, optimizer.parameters)(Tensor(x))[1])
    after = {p.name: p.asnumpy() for p in network.get_parameters()}
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    return frozen, changed


def test_all_norms_but_the_first_are_named(trained):
    assert trained[0] == ["stage.1", "stage.2.0"]


def test_frozen_norms_keep_statistics_and_factors(trained):
    assert not [name for name in trained[1] if name.startswith(("stage.1", "stage.2"))]


def test_the_first_norm_still_learns(trained):
    assert trained[1] >= {
        f"first.{kind}" for kind in ("gamma", "beta", "moving_mean", "moving_variance")
    }


def test_convolutions_still_learn(trained):
    assert "stage.0.weight" in trained[1]


def test_norms_of_non_local_blocks_still_learn(trained):
    """They begin at zero: frozen, the block would never do anything."""
    assert {"nl.W.1.gamma", "nl.W.1.moving_mean"} <= trained[1]


def test_frozen_norms_use_their_statistics_in_training():
    network = Small()
    freeze_norms_but_first(network)
    network.set_train(True)
    x = np.full((2, 2, 1, 1), 5.0, np.float32)
    out = network.stage[1](Tensor(x)).asnumpy()
    np.testing.assert_allclose(out, x / np.sqrt(1 + 1e-5), rtol=1e-5)
