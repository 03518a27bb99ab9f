import gc

import numpy as np
import pytest

from mindrecord_io.serving import batch_memory


def test_lends_arrays_of_the_shape_asked_for():
    memory = batch_memory.BatchMemory(24)
    array = memory.lend((2, 3, 4))
    assert (array.shape, array.dtype) == ((2, 3, 4), np.uint8)
    array[...] = 7
    assert array.flags["C_CONTIGUOUS"]
    assert memory.lend((1, 5)).shape == (1, 5)


def test_memory_is_used_again_once_it_is_free():
    memory = batch_memory.BatchMemory(10)
    for _ in range(5):
        memory.lend((10,))
    assert memory.num_blocks == 1


@pytest.mark.parametrize(
    "keep",
    [
        lambda array: array,
        lambda array: array[1:],
        lambda array: array[1:].reshape(3, 3).T[0],
        memoryview,
        np.asarray,
        lambda array: np.frombuffer(array, np.uint8),
        lambda array: [array[3:][1:]],
    ],
)
def test_memory_that_anything_refers_to_is_left_alone(keep):
    memory = batch_memory.BatchMemory(10)
    array = memory.lend((10,))
    array[...] = range(10)
    kept = keep(array)
    expected = np.array(kept).copy()
    del array
    gc.collect()
    memory.lend((10,))[...] = 99
    np.testing.assert_array_equal(np.array(kept), expected)
    assert memory.num_blocks == 2
    del kept
    gc.collect()
    arrays = [memory.lend((10,)) for _ in range(2)]
    assert memory.num_blocks == len(arrays)


def test_arrays_outlive_the_memory_they_are_from():
    memory = batch_memory.BatchMemory(4)
    array = memory.lend((4,))
    array[...] = 5
    del memory
    gc.collect()
    assert array.tolist() == [5, 5, 5, 5]


def test_more_than_a_block_holds_is_refused():
    with pytest.raises(ValueError, match="cannot reshape"):
        batch_memory.BatchMemory(4096).lend((4097,))
