import numpy as np
import pytest

from mindrecord_io.serving.growing_array import GrowingArray


def test_pieces_come_out_end_to_end():
    array = GrowingArray(np.int64)
    for begin in range(0, 1_000, 7):
        array.extend(np.arange(begin, min(begin + 7, 1_000)))
    found = array.finish()
    assert found.dtype == np.int64
    assert found.tolist() == list(range(1_000))


def test_nothing_is_an_empty_array():
    array = GrowingArray(np.uint16, np.int32)
    array.extend(np.empty(0, np.int32))
    assert array.finish().shape == (0,)


@pytest.mark.parametrize(
    ("pieces", "dtype"),
    [
        ([[0, 65_535], [3]], np.uint16),
        ([[0, 65_536], [3]], np.int32),
        ([[1, 2], [3, 4], [2**31 - 1, 5]], np.int32),
        ([[7], [-1]], np.int32),
    ],
)
def test_the_narrowest_type_that_holds_everything_is_used(pieces, dtype):
    array = GrowingArray(np.uint16, np.int32)
    for piece in pieces:
        array.extend(np.array(piece))
    found = array.finish()
    assert found.dtype == dtype
    assert found.tolist() == [value for piece in pieces for value in piece]
