import random

import numpy as np
import pyarrow as pa
import pytest

from mindrecord_io.serving.clip_ids import ClipIds

MIXED = ["b", "é", "a", "Z", "10", "9", "\U0001f600", "\uffee", "ab", "a"]


@pytest.mark.parametrize(
    "given",
    [
        MIXED,
        (name for name in MIXED),
        pa.array(MIXED),
        pa.array(["left out", *MIXED]).slice(1),
        pa.chunked_array([MIXED[:3], MIXED[3:]]),
    ],
)
def test_ids_are_what_they_were_made_of(given):
    ids = ClipIds.of(given)
    assert list(ids) == MIXED
    assert ids == MIXED
    assert ids == tuple(MIXED)
    assert [ids[i] for i in (0, 6, -1)] == ["b", "\U0001f600", "a"]
    assert ids[2:4] == ["a", "Z"]
    assert "é" in ids
    assert ClipIds.of(ids) is ids


def test_no_ids_are_false_and_equal_nothing_else():
    empty = ClipIds.of(pa.chunked_array([], pa.string()))
    assert not empty
    assert list(empty) == []
    assert empty != ["a"]
    assert empty.order().tolist() == []


def test_an_index_beyond_the_end_is_refused():
    with pytest.raises(IndexError):
        ClipIds.of(["a"])[1]


def test_order_is_that_of_sorted_with_equal_ids_as_they_come():
    expected = sorted(range(len(MIXED)), key=MIXED.__getitem__)
    assert ClipIds.of(MIXED).order().tolist() == expected
    rng = random.Random(1)
    many = ["".join(rng.choices("ab1é\uffee\U0001f600_", k=3)) for _ in range(2_000)]
    expected = sorted(range(len(many)), key=many.__getitem__)
    assert ClipIds.of(many).order().tolist() == expected


def test_places_are_of_the_first_alike_and_minus_one_for_others():
    assert ClipIds.of(MIXED).places_in(["9", "a", "x", "a"]).tolist() == [
        -1, -1, 1, -1, -1, 0, -1, -1, -1, 1,
    ]  # fmt: skip
    assert ClipIds.of(["a", "b"]).places_in([]).tolist() == [-1, -1]


def test_rows_are_taken_in_their_order():
    assert ClipIds.of(MIXED).take(np.array([5, 0, 5])) == ["9", "b", "9"]


def test_iterating_goes_through_more_than_a_block():
    many = [str(number) for number in range(150_000)]
    assert list(ClipIds.of(many)) == many
