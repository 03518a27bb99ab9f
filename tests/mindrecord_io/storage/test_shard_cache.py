import hashlib
import os
import re
from pathlib import Path

import pytest
from obstore.store import LocalStore

from mindrecord_io import records
from mindrecord_io.storage import object_store, range_reads, range_store, shard_cache

GIB = 1 << 30


@pytest.fixture
def shards(tmp_path):
    """Four shards of 100 bytes in the folder that `cache_of` takes for the store."""
    (tmp_path / "store").mkdir()
    made = []
    for i in range(4):
        content = bytes([i]) * 100
        name = f"train-0000{i}-of-00004.mindrecord"
        (tmp_path / "store" / name).write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        made.append(shard_cache.RemoteShard(name, records.Fingerprint(100, sha256)))
    return made


def cache_of(tmp_path, max_num_bytes):
    store = LocalStore(tmp_path / "store")
    reads = range_reads.RangeReads(range_store.RangeStore("s3://bucket", store))
    settings = shard_cache.CacheSettings(tmp_path / "cache", max_num_bytes)
    return shard_cache.ShardCache(reads, settings)


def present(cache, shards):
    return [i for i, shard in enumerate(shards) if cache.path(shard).exists()]


def fetch(cache, lease, *shards, next_uses=None):
    """Holds shards and fetches them, each a second after the one before."""
    assert lease.hold(shards, next_uses)
    for shard in shards:
        cache.fetch(shard)
        seconds = 1000 + fetch.count
        os.utime(cache.path(shard), (seconds, seconds))
        fetch.count += 1


fetch.count = 0


def test_a_shard_is_copied_and_keeps_its_name(tmp_path, shards):
    cache = cache_of(tmp_path, 1000)
    path = cache.fetch(shards[2])
    assert path.read_bytes() == bytes([2]) * 100
    assert path.name == "train-00002-of-00004.mindrecord"
    assert path == cache.path(shards[2])
    assert (cache.num_fetched, cache.num_bytes_fetched) == (1, 100)
    cache.fetch(shards[2])
    assert cache.num_fetched == 1


def test_what_came_first_leaves_first_where_no_reader_needs_it_again(tmp_path, shards):
    cache = cache_of(tmp_path, 300)
    lease = cache.lease()
    for shard in shards:
        fetch(cache, lease, shard)
    assert present(cache, shards) == [1, 2, 3]


def test_what_is_needed_last_leaves_first(tmp_path, shards):
    cache = cache_of(tmp_path, 300)
    lease = cache.lease()
    next_uses = {shard.content.sha256: 9 - i for i, shard in enumerate(shards)}
    del next_uses[shards[2].content.sha256]  # never again
    for shard in (shards[0], shards[1], shards[2], shards[3]):
        fetch(cache, lease, shard, next_uses=next_uses)
    assert present(cache, shards) == [0, 1, 3]
    fetch(cache, lease, shards[2], next_uses=next_uses)
    assert present(cache, shards) == [1, 2, 3]  # 0 is needed last


def test_what_another_reader_needs_soon_stays(tmp_path, shards):
    cache = cache_of(tmp_path, 200)
    first, second = cache.lease(), cache.lease()
    fetch(cache, first, shards[0])
    first.hold([], {shards[0].content.sha256: 3})
    fetch(cache, second, shards[1])
    fetch(cache, second, shards[2], next_uses={shards[1].content.sha256: 5})
    assert present(cache, shards) == [0, 2]


def test_more_than_the_limit_is_never_held(tmp_path, shards):
    lease = cache_of(tmp_path, 250).lease()
    assert lease.hold(shards[:2])
    assert not lease.hold(shards[:3])
    assert lease.hold(shards[1:3])


def test_what_another_reader_holds_stays_and_counts(tmp_path, shards):
    first, second = cache_of(tmp_path, 150), cache_of(tmp_path, 150)
    holds, waits = first.lease(), second.lease()
    fetch(first, holds, shards[0])
    assert not waits.hold([shards[1]])
    assert waits.hold([shards[0]])
    holds.close()
    fetch(second, waits, shards[1])
    assert present(first, shards) == [1]


def test_each_reader_has_its_share(tmp_path, shards):
    cache = cache_of(tmp_path, 300)
    first = cache.lease()
    assert first.share() == 300
    second = cache.lease()
    assert (first.share(), second.share()) == (150, 150)
    second.close()
    assert first.share() == 300


def test_what_is_beyond_the_limit_goes_when_it_is_closed(tmp_path, shards):
    large = cache_of(tmp_path, 400)
    lease = large.lease()
    fetch(large, lease, *shards)
    lease.close()
    cache_of(tmp_path, 150).lease().close()
    assert present(large, shards) == [3]


def test_closing_leaves_no_lease(tmp_path, shards):
    lease = cache_of(tmp_path, 1000).lease()
    lease.hold(shards)
    lease.close()
    assert list((tmp_path / "cache" / "leases").iterdir()) == []


def test_a_shard_that_stays_wrong_is_named_with_both_hashes(
    tmp_path, shards, monkeypatch
):
    monkeypatch.setattr(object_store.time, "sleep", lambda seconds: None)
    (tmp_path / "store" / shards[0].path).write_bytes(b"x" * 100)
    actual = hashlib.sha256(b"x" * 100).hexdigest()
    published = shards[0].content.sha256
    expected = (
        f"cannot read s3://bucket/{shards[0].path}, tried 6 times: it has 100 bytes "
        f"with SHA-256 {actual}, published were 100 with {published}"
    )
    cache = cache_of(tmp_path, 100)
    with pytest.raises(object_store.StorageError, match=re.escape(expected)):
        cache.fetch(shards[0])
    assert not list((tmp_path / "cache" / "shards").rglob("*.arriving"))


@pytest.mark.parametrize(
    ("environment", "folder", "num_bytes"),
    [
        (
            {"CLIPMILL_CACHE": "/big/c", "CLIPMILL_CACHE_GIB": "1.5"},
            Path("/big/c"),
            GIB * 3 // 2,
        ),
        ({"XDG_CACHE_HOME": "/x"}, Path("/x/clipmill"), 64 * GIB),
        ({}, Path.home() / ".cache" / "clipmill", 64 * GIB),
    ],
)
def test_the_environment_says_where_and_how_much(environment, folder, num_bytes):
    found = shard_cache.CacheSettings.from_environment(environment)
    assert found == shard_cache.CacheSettings(folder, num_bytes)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("much", "CLIPMILL_CACHE_GIB must be a number, got 'much'"),
        ("inf", "CLIPMILL_CACHE_GIB must be a number, got 'inf'"),
        ("0", "a cache must be of at least 1 byte, got 0"),
    ],
)
def test_impossible_sizes_are_refused(given, expected):
    with pytest.raises(ValueError, match=expected):
        shard_cache.CacheSettings.from_environment({"CLIPMILL_CACHE_GIB": given})


def test_how_to_read_is_one_of_three(tmp_path):
    from_environment = shard_cache.CacheSettings.from_environment
    assert from_environment({}).reading == "auto"
    assert from_environment({"CLIPMILL_READING": "parts"}).reading == "parts"
    with pytest.raises(ValueError, match=r"CLIPMILL_READING must be one of .*'x'"):
        from_environment({"CLIPMILL_READING": "x"})
