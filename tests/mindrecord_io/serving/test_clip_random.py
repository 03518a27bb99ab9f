from collections import Counter

import pytest

from mindrecord_io.serving import clip_random


def drawn(*args, bound=1000, count=20):
    rng = clip_random.ClipRandom(*args)
    return [rng.below(bound) for _ in range(count)]


def test_numbers_are_fixed_for_good():
    # Other values here mean that every training run gives other batches than before.
    assert drawn(0, 0, "78687", count=4) == [525, 634, 421, 975]


def test_numbers_depend_on_seed_epoch_clip_and_repetition():
    streams = [
        (0, 0, "7"),
        (1, 0, "7"),
        (0, 1, "7"),
        (0, 0, "8"),
        (0, 0, "7", 1),
        (0, 7, "0"),
    ]
    assert len({tuple(drawn(*stream)) for stream in streams}) == len(streams)
    assert drawn(0, 0, "7") == drawn(0, 0, "7", 0)


def test_a_stream_does_not_repeat_itself():
    numbers = drawn(3, 1, "7", bound=1 << 31, count=200)
    assert len(set(numbers)) == 200


def test_all_numbers_below_the_bound_are_as_likely():
    counts = Counter(drawn(5, 0, "7", bound=7, count=7000))
    assert set(counts) == set(range(7))
    assert all(abs(count - 1000) < 150 for count in counts.values())


def test_there_is_one_number_below_one():
    assert set(drawn(0, 0, "7", bound=1)) == {0}


@pytest.mark.parametrize("bound", [0, -1, 1 << 32])
def test_impossible_bounds_are_refused(bound):
    with pytest.raises(ValueError, match=f"must be in .*, got {bound}"):
        clip_random.ClipRandom(0, 0, "7").below(bound)
