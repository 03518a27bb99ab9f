"""Which gradients travel together, and in which order."""

import numpy as np
import pytest
from mindspore import Tensor

from train import gradient_buckets


@pytest.mark.parametrize(
    ("sizes", "order", "expected"),
    [
        ([3, 3, 3], [2, 1, 0], ((2, 1), (0,))),
        ([3, 9, 3, 3], [3, 2, 1, 0], ((3, 2), (1,), (0,))),
        ([1, 1, 1], [1, 2, 0], ((1, 2, 0),)),
    ],
)
def test_buckets_are_full_and_follow_the_order(sizes, order, expected):
    assert gradient_buckets.buckets(sizes, order, 6) == expected


def test_means_come_back_in_the_gradients_order_and_shape():
    mean = gradient_buckets.BucketMean(((2, 0), (1,)), num_ranks=2)
    messages = []

    def sum_over_ranks(flat):
        messages.append(flat.asnumpy().tolist())
        return flat + 4.0

    mean.all_reduce = sum_over_ranks
    gradients = (np.ones((1, 2)), np.full((3,), 2.0), np.full((2, 1), 6.0))
    means = mean.construct(tuple(Tensor(g.astype(np.float32)) for g in gradients))
    assert messages == [[6.0, 6.0, 1.0, 1.0], [2.0, 2.0, 2.0]]
    assert [m.asnumpy().tolist() for m in means] == [
        [[2.5, 2.5]],
        [3.0, 3.0, 3.0],
        [[5.0], [5.0]],
    ]
