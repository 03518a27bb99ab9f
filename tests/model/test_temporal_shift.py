"""The shift: which channels move where, on numbers small enough to read."""

import mindspore
import numpy as np
import pytest
from mindspore import Tensor, nn

from model.temporal_shift import (
    SHIFT_MODES,
    TemporalShift,
    online_shift,
    temporal_shift,
)


def shift(values, num_segments, shift_div, function=temporal_shift):
    """Shifts a table of segments x channels, each a frame of 1 x 1 pixel."""
    frames = np.array(values, np.float32)[:, :, None, None]
    shifted = function(Tensor(frames), num_segments, shift_div).asnumpy()
    return shifted[:, :, 0, 0].tolist()


def test_first_fold_comes_from_the_next_segment_and_second_from_the_previous():
    segments = [[11, 12, 13, 14], [21, 22, 23, 24], [31, 32, 33, 34]]
    assert shift(segments, 3, 4) == [
        [21, 0, 13, 14],
        [31, 12, 23, 24],
        [0, 22, 33, 34],
    ]


def test_clips_do_not_see_each_other():
    two_clips = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16]]
    assert shift(two_clips, 2, 4) == [
        [5, 0, 3, 4],
        [0, 2, 7, 8],
        [13, 0, 11, 12],
        [0, 10, 15, 16],
    ]


def test_remainder_of_the_division_stays():
    segments = [list(range(11)), list(range(100, 111))]
    assert shift(segments, 2, 4) == [
        [100, 101, 0, 0, 4, 5, 6, 7, 8, 9, 10],
        [0, 0, 2, 3, 104, 105, 106, 107, 108, 109, 110],
    ]


def test_shift_div_two_leaves_no_channel_in_place():
    assert shift([[1, 2], [3, 4]], 2, 2) == [[3, 0], [0, 2]]


def test_online_fold_comes_from_the_previous_segment():
    segments = [[11, 12, 13, 14], [21, 22, 23, 24], [31, 32, 33, 34]]
    assert shift(segments, 3, 4, online_shift) == [
        [0, 12, 13, 14],
        [11, 22, 23, 24],
        [21, 32, 33, 34],
    ]


def test_online_clips_do_not_see_each_other():
    two_clips = [[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]]
    assert shift(two_clips, 2, 3, online_shift) == [
        [0, 2, 3],
        [1, 5, 6],
        [0, 8, 9],
        [7, 11, 12],
    ]


def test_online_remainder_of_the_division_stays():
    segments = [list(range(7)), list(range(100, 107))]
    assert shift(segments, 2, 3, online_shift) == [
        [0, 0, 2, 3, 4, 5, 6],
        [0, 1, 102, 103, 104, 105, 106],
    ]


def test_modes():
    assert list(SHIFT_MODES.items()) == [
        ("offline", temporal_shift),
        ("online", online_shift),
    ]


def test_wrapped_cell_gets_the_online_shift_if_asked():
    wrapped = TemporalShift(
        nn.Identity(), in_channels=2, num_segments=2, shift_div=2, mode="online"
    )
    x = Tensor(np.arange(4, dtype=np.float32).reshape(2, 2, 1, 1))
    assert wrapped(x).asnumpy()[:, :, 0, 0].tolist() == [[0, 1], [0, 3]]


def test_equals_the_authors_formulation():
    x = np.random.default_rng(0).normal(size=(6, 16, 5, 7)).astype(np.float32)
    clips, fold = x.reshape(2, 3, 16, 5, 7), 2
    expected = np.zeros_like(clips)
    expected[:, :-1, :fold] = clips[:, 1:, :fold]
    expected[:, 1:, fold : 2 * fold] = clips[:, :-1, fold : 2 * fold]
    expected[:, :, 2 * fold :] = clips[:, :, 2 * fold :]
    shifted = temporal_shift(Tensor(x), 3, 8).asnumpy()
    np.testing.assert_array_equal(shifted, expected.reshape(x.shape))


@pytest.mark.parametrize("function", SHIFT_MODES.values())
def test_compiled_and_eager_shift_agree(function):
    x = Tensor(np.random.default_rng(0).normal(size=(4, 8, 2, 2)).astype(np.float32))

    @mindspore.jit
    def compiled(frames):
        return function(frames, 2, 4)

    np.testing.assert_array_equal(compiled(x).asnumpy(), function(x, 2, 4).asnumpy())


def test_gradients_flow_back_to_where_values_came_from():
    x = Tensor(np.zeros((3, 4, 1, 1), np.float32))
    weights = np.arange(1, 13, dtype=np.float32).reshape(3, 4, 1, 1)

    def weighted(frames):
        return (temporal_shift(frames, 3, 4) * Tensor(weights)).sum()

    gradient = mindspore.grad(weighted)(x).asnumpy()[:, :, 0, 0]
    assert gradient.tolist() == [[0, 6, 3, 4], [1, 10, 7, 8], [5, 0, 11, 12]]


def test_wrapped_cell_is_called_net():
    wrapped = TemporalShift(
        nn.Conv2d(8, 2, 1), in_channels=8, num_segments=2, shift_div=4
    )
    assert [p.name for p in wrapped.get_parameters()] == ["net.weight"]


def test_wrapped_cell_gets_the_shifted_input():
    wrapped = TemporalShift(nn.Identity(), in_channels=4, num_segments=2, shift_div=4)
    x = Tensor(np.arange(8, dtype=np.float32).reshape(2, 4, 1, 1))
    assert wrapped(x).asnumpy()[:, :, 0, 0].tolist() == [[4, 0, 2, 3], [0, 1, 6, 7]]


@pytest.mark.parametrize(
    ("num_segments", "shift_div", "message"),
    [
        (1, 4, "needs at least 2 segments, got 1"),
        (2, 9, r"shift_div must be in \[2, 8\].*got 9"),
        (2, 1, r"shift_div must be in \[2, 8\].*got 1"),
    ],
)
def test_a_shift_that_could_move_nothing_is_refused(num_segments, shift_div, message):
    with pytest.raises(ValueError, match=message):
        TemporalShift(
            nn.Identity(),
            in_channels=8,
            num_segments=num_segments,
            shift_div=shift_div,
        )
