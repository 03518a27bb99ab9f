"""Temporal pooling, on numbers small enough to read."""

import numpy as np
import pytest
from mindspore import Tensor, nn

from model.temporal_pool import TemporalPool, temporal_pool


def pool(values, num_segments):
    """Pools one-channel segments, each a frame of 1 x 1 pixel."""
    frames = np.array(values, np.float32).reshape(-1, 1, 1, 1)
    return temporal_pool(Tensor(frames), num_segments).asnumpy().ravel().tolist()


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        ([1, 2, 3, 4, 5, 6], [2, 4, 6]),  # max(1, 2), max(2, 3, 4), max(4, 5, 6)
        ([6, 5, 4, 3, 2, 1], [6, 5, 3]),
        ([0, 9, 0, 0, 0, 0], [9, 9, 0]),
        ([-1, -2, -3, -4, -5, -6], [-1, -2, -4]),  # nothing is padded with zeros
        ([3, 7], [7]),
    ],
)
def test_every_second_segment_is_the_maximum_of_three(segments, expected):
    assert pool(segments, len(segments)) == expected


def test_clips_do_not_see_each_other():
    assert pool([1, 2, 3, 9, 4, 1, 2, 3], 4) == [2, 9, 4, 3]


def test_channels_and_pixels_stay_apart():
    x = np.random.default_rng(0).normal(size=(4, 3, 2, 5)).astype(np.float32)
    pooled = temporal_pool(Tensor(x), 4).asnumpy()
    expected = np.stack([x[:2].max(axis=0), x[1:4].max(axis=0)])
    np.testing.assert_array_equal(pooled, expected)


def test_wrapped_cell_is_called_net_and_gets_the_pooled_input():
    wrapped = TemporalPool(nn.Conv2d(1, 1, 1, weight_init="ones"), 2)
    assert [p.name for p in wrapped.get_parameters()] == ["net.weight"]
    x = Tensor(np.array([1, 5], np.float32).reshape(2, 1, 1, 1))
    assert wrapped(x).asnumpy().ravel().tolist() == [5]


@pytest.mark.parametrize("num_segments", [0, 1, 3])
def test_odd_numbers_of_segments_are_refused(num_segments):
    with pytest.raises(ValueError, match=f"even number .* got {num_segments}"):
        TemporalPool(nn.Identity(), num_segments)
