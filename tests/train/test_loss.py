import math

import numpy as np
import pytest
from mindspore import Tensor

from train.loss import make_loss


@pytest.mark.parametrize(
    ("smoothing", "targets"),
    [(0.0, [1.0, 0.0, 0.0, 0.0]), (0.2, [0.85, 0.05, 0.05, 0.05])],
)
def test_loss_is_the_cross_entropy_with_the_smoothed_target(smoothing, targets):
    shares = [0.5, 0.25, 0.125, 0.125]
    logits = Tensor(np.log(np.array([shares], np.float32)))
    label_ids = Tensor(np.array([0], np.int32))
    expected = -sum(t * math.log(p) for t, p in zip(targets, shares, strict=True))
    loss = float(make_loss(smoothing)(logits, label_ids).asnumpy())
    assert loss == pytest.approx(expected, rel=1e-5)


def test_loss_is_the_mean_over_the_clips():
    logits = Tensor(np.log(np.array([[0.5, 0.5], [0.125, 0.875]], np.float32)))
    label_ids = Tensor(np.array([1, 0], np.int32))
    loss = float(make_loss(0.0)(logits, label_ids).asnumpy())
    assert loss == pytest.approx((math.log(2) + math.log(8)) / 2, rel=1e-5)
