import pytest

from infra.benchmarks import slot


@pytest.mark.parametrize(
    ("intervals", "seconds"),
    [
        ([], 0.0),
        ([(1.0, 3.0)], 2.0),
        ([(5.0, 6.0), (1.0, 3.0)], 3.0),
        ([(1.0, 4.0), (2.0, 3.0), (3.5, 6.0)], 5.0),
    ],
)
def test_seconds_in_which_two_shards_are_made_count_once(intervals, seconds):
    assert slot.union_seconds(intervals) == seconds


def test_fewer_shards_than_are_under_way_are_refused():
    with pytest.raises(ValueError, match="num_shards must be at least 3: 2"):
        slot.Options(num_shards=2)
