import hashlib
import os
import re
from pathlib import Path

import pytest
from pyarrow import fs

from mindrecord_io import records
from mindrecord_io.storage import object_store, shard_cache

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
    filesystem = fs.SubTreeFileSystem(str(tmp_path / "store"), fs.LocalFileSystem())
    remote = object_store.Storage("s3://bucket", filesystem)
    settings = shard_cache.CacheSettings(tmp_path / "cache", max_num_bytes)
    return shard_cache.ShardCache(remote, settings)


def present(cache, shards):
    return [i for i, shard in enumerate(shards) if cache.path(shard).exists()]


def fetch(cache, *shards):
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


def test_what_was_leased_longest_ago_leaves_first(tmp_path, shards):
    cache = cache_of(tmp_path, 300)
    fetch(cache, *shards[:3])
    cache.hold([shards[0]])
    cache.hold([])
    fetch(cache, shards[3])
    assert present(cache, shards) == [0, 2, 3]


def test_what_is_held_stays_also_beyond_the_limit(tmp_path, shards):
    cache = cache_of(tmp_path, 150)
    cache.hold(shards[:3])
    fetch(cache, *shards[:3])
    assert present(cache, shards) == [0, 1, 2]
    cache.hold([shards[3]])
    fetch(cache, shards[3])
    assert present(cache, shards) == [3]


def test_what_another_reader_holds_stays(tmp_path, shards):
    first, second = cache_of(tmp_path, 100), cache_of(tmp_path, 100)
    first.hold([shards[0]])
    fetch(first, shards[0])
    fetch(second, shards[1])
    assert present(first, shards) == [0, 1]
    first.close()
    fetch(second, shards[2])
    assert present(second, shards) == [2]


def test_what_is_beyond_the_limit_goes_when_it_is_released(tmp_path, shards):
    cache = cache_of(tmp_path, 150)
    cache.hold(shards[:3])
    fetch(cache, *shards[:3])
    cache.release()
    assert present(cache, shards) == [2]


def test_closing_leaves_no_lease(tmp_path, shards):
    cache = cache_of(tmp_path, 100)
    cache.hold(shards)
    cache.close()
    assert list((tmp_path / "cache" / "leases").iterdir()) == []


def test_a_shard_that_stays_wrong_is_named_with_both_hashes(
    tmp_path, shards, monkeypatch
):
    monkeypatch.setattr(object_store.time, "sleep", lambda seconds: None)
    (tmp_path / "store" / shards[0].path).write_bytes(b"x" * 100)
    found = hashlib.sha256(b"x" * 100).hexdigest()
    expected = (
        f"cannot read s3://bucket/{shards[0].path}, tried 6 times: it has 100 bytes "
        f"with SHA-256 {found}, published were 100 with {shards[0].content.sha256}"
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
