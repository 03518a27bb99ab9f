"""What is dropped depends on the seed, the step and the clip, and on nothing else."""

import numpy as np
import pytest
from mindspore import Tensor

from eval.evaluate import make_predict
from model.tsm import TSM, TSMConfig
from train import dropout

pytestmark = pytest.mark.usefixtures("small_graphs")

NETWORK = TSMConfig(
    num_classes=2, arch="resnet18", width=4, num_segments=2, shift_div=4, dropout=0.5
)


def test_features_are_dropped_with_the_probability_and_the_others_enlarged():
    kept = dropout.kept_features(1, 0, range(50), (8, 64), 0.2)
    assert kept.shape == (400, 64)
    assert set(np.unique(kept).tolist()) == {0.0, 1.25}
    assert (kept == 0).mean() == pytest.approx(0.2, abs=0.01)
    assert kept.mean() == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(("seed", "step", "first"), [(2, 0, 0), (1, 1, 0), (1, 0, 4)])
def test_seed_step_and_clip_each_change_the_choice(seed, step, first):
    base = dropout.kept_features(1, 0, range(4), (2, 64), 0.5)
    other = dropout.kept_features(seed, step, range(first, first + 4), (2, 64), 0.5)
    assert (base != other).mean() > 0.4


def test_ranks_together_make_the_choice_of_one():
    whole = dropout.kept_features(1, 3, range(4), (2, 8), 0.5)
    halves = [dropout.kept_features(1, 3, range(a, a + 2), (2, 8), 0.5) for a in (0, 2)]
    np.testing.assert_array_equal(np.concatenate(halves), whole)


def test_the_choice_is_stable():
    """Another numpy must not change what a checkpoint goes on with."""
    kept = dropout.kept_features(1, 0, range(1), (1, 16), 0.5)
    assert (kept > 0).astype(int).tolist() == [
        [1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 0, 1]
    ]


def test_a_network_drops_what_was_chosen_in_training_and_nothing_in_use():
    network = TSM(NETWORK)
    chosen = dropout.Dropout(network, 3, first_clip=0, seed=1)
    frames = np.random.default_rng(0).integers(0, 256, (3, 2, 3, 32, 32), np.uint8)
    bias = np.array([1, 2], np.float32)
    network.new_fc.bias.set_data(Tensor(bias))
    used = make_predict(network)(frames)
    network.set_train(False)  # batch norm's statistics as in use; what is kept is given
    for step in (0, 5):
        kept = chosen.draw(step)
        expected = dropout.kept_features(
            1, step, range(3), (2, network.base_model.num_features), 0.5
        )
        np.testing.assert_array_equal(kept, expected)
        ones = network(Tensor(frames), Tensor(np.ones_like(kept))).asnumpy()
        np.testing.assert_allclose(ones, used, rtol=1e-6)
        none = network(Tensor(frames), Tensor(np.zeros_like(kept))).asnumpy()
        np.testing.assert_array_equal(none, [bias] * 3)
        some = network(Tensor(frames), Tensor(kept)).asnumpy()
        assert (some != used).all()


def test_a_network_without_dropout_drops_nothing():
    network = TSM(TSMConfig(num_classes=2, arch="resnet18", width=8, dropout=0.0))
    assert dropout.Dropout(network, 3, first_clip=0, seed=1).draw(0) is None
