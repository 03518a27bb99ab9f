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

    def __init__(self, max_num_bytes, num_readers=1):
        self.settings = SimpleNamespace(max_num_bytes=max_num_bytes, folder="cache")
        self.kept, self.fetched, self.next_uses = [], [], []
        self.num_readers = num_readers
        self._lock = threading.Lock()

    def lease(self):
        return self

    def share(self):
        return self.settings.max_num_bytes // self.num_readers

    def hold(self, shards, next_uses=None):
        self.kept.append(sorted(shard.path for shard in shards))
        self.next_uses.append(next_uses)
        return True

    def close(self):
        self.kept.append([])

    def fetch(self, shard):
        with self._lock:
            self.fetched.append(shard.path)
        if shard.path == "9":
            raise object_store.StorageError("shard 9 stays wrong")
        return Path(shard.path)


def sha256_of(i):
    return f"{i:064d}"


def shards_ahead_of(cache, steps=STEPS, begin=0, **options):
    shards = [
        shard_cache.RemoteShard(str(i), records.Fingerprint(10, sha256_of(i)))
        for i in range(10)
    ]
    numbers = range(begin, len(steps))
    return shards_ahead.ShardsAhead(
        cache, shards, steps.__getitem__, numbers, **options
    )


def read_all(ahead, steps=STEPS):
    for step in range(len(steps)):
        ahead.ready(step)
        ahead.release(step)


def test_a_large_cache_gets_all_at_once():
    cache = FakeCache(1000)
    with shards_ahead_of(cache) as ahead:
        ahead.ready(0)
        assert cache.kept[-1] == ["0", "1", "2", "3", "4"]
        ahead.ready(3)
    assert sorted(cache.fetched) == ["0", "1", "2", "3", "4"]
    assert cache.kept[-1] == []


def test_a_small_cache_gets_what_fits():
    cache = FakeCache(30)
    with shards_ahead_of(cache) as ahead:
        read_all(ahead)
    # Steps 0 to 2 read three shards; 3 and 4 fit once 0 and 1 are done with.
    grown = [kept for i, kept in enumerate(cache.kept) if kept not in cache.kept[:i]]
    assert ["0", "1", "2"] in grown
    assert ["2", "3", "4"] in grown
    assert ["0", "3", "4"] in grown
    assert max(map(len, grown)) == 3
    assert sorted(cache.fetched) == ["0", "0", "1", "2", "3", "4"]


def test_what_is_held_is_never_more_than_a_readers_share():
    cache = FakeCache(40, num_readers=2)
    with shards_ahead_of(cache) as ahead:
        read_all(ahead)
    assert max(map(len, cache.kept)) == 2


def test_a_step_that_does_not_fit_is_an_error_with_what_would():
    cache = FakeCache(15)
    expected = (
        "step 0 reads 2 shards of 20 bytes, but the cache cache may have 15: set "
        "CLIPMILL_CACHE_GIB to 1.86e-08 or more, or CLIPMILL_READING=parts"
    )
    with (
        shards_ahead_of(cache) as ahead,
        pytest.raises(shards_ahead.CacheTooSmallError, match=expected),
    ):
        ahead.ready(0)
    assert cache.fetched == []


def test_what_others_hold_is_waited_for_and_then_an_error(monkeypatch):
    monkeypatch.setenv("CLIPMILL_STORE_SECONDS", "0.3")
    cache = FakeCache(1000)
    cache.hold = lambda shards, next_uses=None: False
    with (
        shards_ahead_of(cache) as ahead,
        pytest.raises(shards_ahead.CacheTooSmallError, match="other readers hold"),
    ):
        ahead.ready(0)


def test_there_is_room_for_a_step_only_beside_those_not_released():
    with shards_ahead_of(FakeCache(20)) as ahead:
        ahead.ready(0)
        assert not ahead.can_hold(3)
        ahead.release(0)
        assert ahead.can_hold(3)


def test_shards_that_may_leave_are_closed_first():
    closed = []
    with shards_ahead_of(FakeCache(30), close_files=closed.append) as ahead:
        read_all(ahead)
    assert closed == [[0], [1], [2], [3, 4], [0]]


def test_the_cache_learns_when_other_shards_are_needed_next():
    cache = FakeCache(20)
    following = [[4], [1]]
    with shards_ahead_of(cache, following=lambda: following) as ahead:
        ahead.ready(0)
        named = {sha256_of(i): step for i, step in {2: 1, 3: 3, 4: 3}.items()}
        assert cache.next_uses[-1] == named
        for step in range(4):
            ahead.ready(step)
            ahead.release(step)
        # After step 3 shard 0 is needed by step 4, others in the next epoch alone.
        named = {sha256_of(i): step for i, step in {0: 4, 4: 5, 1: 6}.items()}
        assert cache.next_uses[-1] == named


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
        assert cache.kept[-1] == ["0", "1", "2"]


def test_a_shard_that_cannot_be_fetched_fails_its_step():
    with shards_ahead_of(FakeCache(1000), [[0], [9]]) as ahead:
        ahead.ready(0)
        with pytest.raises(object_store.StorageError, match="shard 9 stays wrong"):
            ahead.ready(1)
