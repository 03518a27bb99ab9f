"""Mixtures by hand, and what the shares depend on."""

import numpy as np
import pytest
from mindspore import Tensor

from train import mixup
from train.step import make_loss


def test_neighbours_are_mixed_and_so_are_their_labels():
    frames = np.array([[100, 0], [200, 10], [50, 50]], np.uint8)
    own = np.array([0.75, 0.75, 0.4], np.float32)
    mixed, targets = mixup.mix(frames, np.array([2, 0, 1], np.int32), own, 3)
    # 0.75 x 100 + 0.25 x 200; 0.75 x 200 + 0.25 x 100; the last has no neighbour.
    assert mixed.tolist() == [[125, 2], [175, 8], [50, 50]]
    assert mixed.dtype == np.uint8
    expected = [[0.25, 0, 0.75], [0.75, 0, 0.25], [0, 1, 0]]
    np.testing.assert_allclose(targets, expected, atol=1e-6)


def test_frames_of_any_shape_are_mixed():
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 3, 4, 4), np.uint8)
    own = np.array([0.3, 0.3], np.float32)
    mixed, _ = mixup.mix(frames, np.array([0, 1], np.int32), own, 2)
    exact = 0.3 * frames + 0.7 * frames[::-1].astype(float)
    assert np.abs(mixed - exact).max() <= 0.5001


def test_shares_are_of_pairs_and_the_same_for_any_number_of_ranks():
    whole = mixup.shares(0.2, 8, first_clip=0, seed=1, step=3)
    halves = [mixup.shares(0.2, 4, first_clip=a, seed=1, step=3) for a in (0, 4)]
    np.testing.assert_array_equal(np.concatenate(halves), whole)
    assert (whole[::2] == whole[1::2]).all()
    assert len(set(whole.tolist())) == 4
    for other in ({"seed": 2, "step": 3}, {"seed": 1, "step": 4}):
        assert (mixup.shares(0.2, 8, first_clip=0, **other) != whole).all()


def test_shares_are_of_a_beta_distribution():
    own = mixup.shares(0.2, 4000, first_clip=0, seed=1, step=0)
    assert own.mean() == pytest.approx(0.5, abs=0.03)
    # The variance of Beta(a, a) is 1 / (4 (2 a + 1)).
    assert own.var() == pytest.approx(1 / 5.6, abs=0.01)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_that_of_both_labels_in_their_shares(smoothing):
    rng = np.random.default_rng(1)
    logits = rng.standard_normal((2, 4)).astype(np.float32)
    own = np.array([0.7, 0.7], np.float32)
    frames = np.zeros((2, 1), np.uint8)
    _, targets = mixup.mix(frames, np.array([1, 3], np.int32), own, 4)
    actual = float(make_loss(smoothing)(Tensor(logits), Tensor(targets)).asnumpy())
    log_shares = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    smooth = (1 - smoothing) * targets + smoothing / 4
    assert actual == pytest.approx(-(smooth * log_shares).sum(axis=1).mean(), abs=1e-6)
