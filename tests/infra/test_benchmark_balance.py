import json
import random

import pytest

from infra.benchmarks import balance


def test_equal_shards_that_divide_among_the_slots_leave_no_excess():
    assert balance.excess([3.0] * 8, 4, random.Random(1)) == 0


def test_one_shard_more_than_the_slots_have_in_turn_is_all_excess():
    # Loads 2, 1, 1, 1: the busiest has 2, the mean is 5/4.
    assert balance.excess([1.0] * 5, 4, random.Random(1)) == pytest.approx(0.6)


def test_every_clip_is_in_one_shard():
    seconds = balance.shard_seconds(1000, 7)
    assert len(seconds) == 7
    assert 2000 < sum(seconds) < 6000


def test_the_last_slot_ends_within_a_tenth_of_the_mean(capsys):
    assert balance.main(["--num_tries", "3", "--num_slots", "64"]) == 0
    found = json.loads(capsys.readouterr().out)["largest_excess_by_slots"]
    assert found["64"] < 0.1
