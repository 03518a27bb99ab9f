"""Averages of weights by hand and by numpy, and the network set to them and back."""

import mindspore
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn

from eval import config as eval_config
from train.weight_average import WeightAverage


@pytest.fixture(autouse=True, scope="module")
def _graph_mode():
    eval_config.use_graph_mode()


class Weights(nn.Cell):
    def __init__(self, values):
        super().__init__()
        self.w = Parameter(Tensor(np.array(values, np.float32)), name="w")

    def set(self, values):
        self.w.set_data(Tensor(np.array(values, np.float32)))


def updated(average, weights, values, *, is_skipped=False):
    weights.set(values)
    average(Tensor(is_skipped, mindspore.bool_))
    return average.averages[0].asnumpy()


def test_averages_by_hand():
    weights = Weights([1.0, 4.0])
    average = WeightAverage(weights, decay=0.15)
    # d = 1/10, which is less than 0.15; then 0.15, which is less than 2/11.
    first = updated(average, weights, [2.0, 8.0])
    np.testing.assert_allclose(first, [1.9, 7.6], rtol=1e-6)
    skipped = updated(average, weights, [99.0, 99.0], is_skipped=True)
    np.testing.assert_allclose(skipped, [1.9, 7.6], rtol=1e-6)
    second = updated(average, weights, [3.0, 0.0])
    np.testing.assert_allclose(second, [2.835, 1.14], rtol=1e-6)


def test_averages_of_many_updates_are_those_of_numpy():
    rng = np.random.default_rng(0)
    weights, decay = Weights(rng.normal(size=7)), 0.9
    average = WeightAverage(weights, decay)
    expected = weights.w.asnumpy().astype(np.float64)
    for number in range(60):
        values = rng.normal(size=7)
        got = updated(average, weights, values)
        d = min(decay, (1 + number) / (10 + number))
        expected = d * expected + (1 - d) * values.astype(np.float32)
        np.testing.assert_allclose(got, expected, atol=1e-6)
    assert average.tensors()["average.updates"].asnumpy() == 60


def test_the_network_has_the_averages_in_the_block_and_its_own_weights_after():
    weights = Weights([1.0, 4.0])
    average = WeightAverage(weights, decay=0.5)
    updated(average, weights, [0.1, 0.2])
    own, averages = weights.w.asnumpy().copy(), average.averages[0].asnumpy().copy()
    with average.in_use():
        np.testing.assert_array_equal(weights.w.asnumpy(), averages)
    np.testing.assert_array_equal(weights.w.asnumpy(), own)
    np.testing.assert_array_equal(average.averages[0].asnumpy(), averages)


def test_a_restart_takes_the_weights_of_that_moment():
    weights = Weights([1.0, 4.0])
    average = WeightAverage(weights, decay=0.5)
    updated(average, weights, [7.0, 8.0])
    average.restart()
    assert average.averages[0].asnumpy().tolist() == [7.0, 8.0]
    assert average.num_updates.asnumpy() == 0
