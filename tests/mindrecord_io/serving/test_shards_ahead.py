import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from mindrecord_io import records
from mindrecord_io.serving import shards_ahead
from mindrecord_io.storage import object_store, shard_cache

STEPS = [[0, 1], [1, 2], [2], [3, 4], [0]]


class FakeCache:
    """Takes note of what is held and fetched; shard 9 cannot be fetched."""

    def __init__(self, max_num_bytes):
        self.settings = SimpleNamespace(max_num_bytes=max_num_bytes)
        self.kept, self.fetched = [], []
        self._lock = threading.Lock()

    def hold(self, shards):
        self.kept.append(sorted(shard.path for shard in shards))

    def release(self):
        self.kept.append([])

    def fetch(self, shard):
        with self._lock:
            self.fetched.append(shard.path)
        if shard.path == "9":
            raise object_store.StorageError("shard 9 stays wrong")
        return Path(shard.path)


def shards_ahead_of(cache, steps=STEPS, begin=0):
    shards = [
        shard_cache.RemoteShard(str(i), records.Fingerprint(10, "0" * 64))
        for i in range(10)
    ]
    numbers = range(begin, len(steps))
    return shards_ahead.ShardsAhead(cache, shards, steps.__getitem__, numbers)


def test_a_large_cache_gets_all_at_once():
    cache = FakeCache(1000)
    with shards_ahead_of(cache) as ahead:
        ahead.ready(0)
        assert cache.kept == [["0", "1", "2", "3", "4"]]
        ahead.ready(3)
    assert sorted(cache.fetched) == ["0", "1", "2", "3", "4"]
    assert cache.kept[-1] == []


def test_a_small_cache_gets_what_fits():
    cache = FakeCache(30)
    with shards_ahead_of(cache) as ahead:
        for step in range(len(STEPS)):
            ahead.ready(step)
            ahead.release(step)
    # Steps 0 to 2 read three shards; 3 and 4 fit once 0 and 1 are done with.
    assert cache.kept == [["0", "1", "2"], ["2", "3", "4"], ["0", "3", "4"], []]
    assert sorted(cache.fetched) == ["0", "0", "1", "2", "3", "4"]


def test_a_step_that_does_not_fit_is_read_all_the_same():
    cache = FakeCache(1)
    with shards_ahead_of(cache) as ahead:
        for step, indices in enumerate(STEPS):
            ahead.ready(step)
            assert set(cache.kept[-1]) >= {str(i) for i in indices}
            ahead.release(step)


def test_steps_before_the_first_are_not_fetched():
    cache = FakeCache(1000)
    with shards_ahead_of(cache, begin=3) as ahead:
        ahead.ready(3)
        ahead.ready(4)
    assert sorted(cache.fetched) == ["0", "3", "4"]


def test_only_so_many_steps_are_taken_ahead(monkeypatch):
    monkeypatch.setattr(shards_ahead, "_MAX_STEPS_AHEAD", 1)
    cache = FakeCache(1000)
    with shards_ahead_of(cache) as ahead:
        ahead.ready(0)
        assert cache.kept == [["0", "1", "2"]]


def test_a_shard_that_cannot_be_fetched_fails_its_step():
    with shards_ahead_of(FakeCache(1000), [[0], [9]]) as ahead:
        ahead.ready(0)
        with pytest.raises(object_store.StorageError, match="shard 9 stays wrong"):
            ahead.ready(1)


def test_without_a_cache_there_is_nothing_to_do():
    with shards_ahead_of(None) as ahead:
        ahead.ready(0)
        ahead.release(0)
