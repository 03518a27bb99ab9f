"""Batch norm's statistics of many batches, against numpy."""

import mindspore
import numpy as np
import pytest
from mindspore import Tensor, nn

from eval import config as eval_config
from model import freezing, layers
from model.tsm import TSM, TSMConfig
from train import precise_norm


@pytest.fixture(autouse=True, scope="module")
def _graph_mode():
    eval_config.use_graph_mode()


def batches(num_batches):
    """Batches of another mean and deviation each, (4, 3, 5, 6)."""
    rng = np.random.default_rng(0)
    return [
        (rng.normal(place, 1 + place, (4, 3, 5, 6)) + 7).astype(np.float32)
        for place in range(num_batches)
    ]


def test_statistics_are_those_of_numpy():
    norm = nn.SequentialCell([layers.norm(3)])
    arrays = batches(5)
    # Unbiased over the 120 values of a channel, as the running variance is.
    means = np.stack([a.mean(axis=(0, 2, 3), dtype=np.float64) for a in arrays])
    variances = [a.var(axis=(0, 2, 3), dtype=np.float64, ddof=1) for a in arrays]
    expected_mean = means.mean(axis=0)
    expected_variance = np.mean(variances, axis=0) + means.var(axis=0)
    inputs = [(Tensor(a),) for a in arrays]
    with precise_norm.in_use(norm, inputs):
        mean, variance = (
            p.asnumpy().copy() for p in (norm[0].moving_mean, norm[0].moving_variance)
        )
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-6)
    np.testing.assert_allclose(variance, expected_variance, rtol=2e-6)
    assert norm[0].moving_mean.asnumpy().tolist() == [0, 0, 0]
    assert norm[0].moving_variance.asnumpy().tolist() == [1, 1, 1]


def test_one_rank_of_two_has_the_statistics_of_both():
    """The other rank's are computed here, and added by a sum over ranks."""
    arrays = batches(4)
    norm = nn.SequentialCell([layers.norm(3)])

    def statistics(parts, ranks=None):
        with precise_norm.in_use(norm, [(Tensor(a),) for a in parts], ranks):
            return [p.asnumpy().copy() for p in norm.get_parameters()][:2]

    class TwoRanks:
        num_ranks = 2

        def __init__(self, mean, variance):
            self.mean, self.variance = mean, variance
            self.own_mean = None

        def summed(self, values):
            if self.own_mean is None:
                self.own_mean = values
                return values + self.mean
            common = (self.own_mean + self.mean) / 2
            return values + self.variance + (self.mean - common) ** 2

    expected = statistics(arrays)
    got = statistics(arrays[:2], TwoRanks(*statistics(arrays[2:])))
    np.testing.assert_allclose(got, expected, rtol=2e-6)


def make_network():
    mindspore.set_seed(1)
    config = TSMConfig(
        num_classes=2, arch="resnet18", width=4, num_segments=2, shift_div=4
    )
    return TSM(config)


def values(network):
    return {p.name: p.asnumpy().copy() for p in network.get_parameters()}


def test_only_norms_that_learn_are_changed_and_all_is_restored():
    network = make_network()
    frozen = freezing.freeze_norms_but_first(network.base_model.layer4)
    frames = np.random.default_rng(0).integers(0, 256, (4, 2, 3, 32, 32), np.uint8)
    kept = np.ones((8, network.base_model.num_features), np.float32)
    before = values(network)
    with precise_norm.in_use(network, [(Tensor(frames), Tensor(kept))] * 2):
        within = values(network)
        assert not network.training
    after = values(network)
    assert before.keys() == after.keys()
    assert all((before[name] == after[name]).all() for name in before)
    changed = {name for name in before if (before[name] != within[name]).any()}
    expected = {
        name
        for name in before
        if name.endswith(("moving_mean", "moving_variance"))
        and not any(f"layer4.{cell}." in name for cell in frozen)
    }
    assert len(frozen) == 4
    assert changed == expected


def test_all_is_restored_where_the_batches_fail():
    network = nn.SequentialCell([layers.norm(3)])

    def failing():
        yield (Tensor(batches(1)[0]),)
        raise OSError("no more")

    with (
        pytest.raises(OSError, match="no more"),
        precise_norm.in_use(network, failing()),
    ):
        pass
    assert network[0].moving_mean.asnumpy().tolist() == [0, 0, 0]
    assert not network.training
