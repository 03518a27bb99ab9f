import numpy as np
from mindspore import Tensor

from model import consensus

LOGITS = np.array([[[1, 2], [3, 6]], [[0, 0], [-2, 8]]], np.float32)  # (N, T, K)


def test_average_is_over_the_segments():
    assert consensus.average(Tensor(LOGITS)).asnumpy().tolist() == [[2, 4], [-1, 4]]


def test_identity_keeps_the_segments():
    np.testing.assert_array_equal(consensus.identity(Tensor(LOGITS)).asnumpy(), LOGITS)


def test_names_are_the_authors():
    assert list(consensus.CONSENSUSES) == ["avg", "identity"]
