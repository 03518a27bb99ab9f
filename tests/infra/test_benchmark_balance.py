import json

import pytest

from infra.benchmarks import balance


def test_equal_shards_that_divide_among_the_slots_leave_no_excess():
    for way in (balance.dealt, balance.taken):
        assert balance.excess(way([3.0] * 8, 4)) == 0


def test_one_shard_more_than_the_slots_have_in_turn_is_all_excess():
    # Loads 2, 1, 1, 1: the busiest has 2, the mean is 5/4.
    assert balance.excess(balance.dealt([1.0] * 5, 4)) == pytest.approx(0.6)


def test_who_is_free_takes_the_next_and_the_largest_first_ends_sooner():
    assert balance.dealt([1, 4, 1, 4], 2) == [2, 8]
    assert sorted(balance.taken([1, 4, 1, 4], 2)) == [4, 6]
    assert balance.taken([4, 4, 1, 1], 2) == [5, 5]


def test_a_try_is_an_order_of_the_same_shards():
    first, second = balance.drawn_orders([1.0, 2.0, 3.0, 4.0], 2)
    assert first != second
    assert sorted(first) == sorted(second) == [1.0, 2.0, 3.0, 4.0]


def test_every_clip_is_in_one_shard():
    seconds = balance.shard_seconds(1000, 7)
    assert len(seconds) == 7
    assert 2000 < sum(seconds) < 6000


def test_the_last_slot_ends_within_a_tenth_of_the_mean(capsys):
    assert balance.main(["--num_tries", "3", "--num_slots", "64"]) == 0
    actual = json.loads(capsys.readouterr().out)["largest_excess_by_slots"]
    assert set(actual) == {"dealt", "sorted_dealt", "taken", "sorted_taken"}
    assert all(by_slots["64"] < 0.1 for by_slots in actual.values())
    assert actual["sorted_taken"]["64"] < actual["dealt"]["64"]
