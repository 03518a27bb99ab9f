"""Reading a data set in an object store: moto's S3 server, with and without faults."""

import contextlib
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mindrecord_io import naming
from mindrecord_io.serving import clip_index, reader, views, whole_clips
from mindrecord_io.serving.batches import BatchPlan
from mindrecord_io.storage import object_store
from mindrecord_io.versions import manifests, opening, shard_checks

TRAIN = views.TrainView(num_segments=4, crop_px=16)
CENTRE = views.CentreView(num_segments=4, crop_px=16, resize_px=16)
URI = "s3://bucket/sets/tiny"


@pytest.fixture
def remote(bucket, published_version, monkeypatch):
    """The server, with the data set at URI as it was published, and an empty cache."""
    monkeypatch.setattr(object_store, "_FIRST_PAUSE_SECONDS", 0.01)
    bucket.upload(published_version.dataset, "bucket/sets/tiny")
    bucket.requests()
    return bucket


def opened(dataset, split="train", view=TRAIN, num_workers=2, **plan):
    plan = BatchPlan(**{"batch_size": 2, "seed": 3} | plan)
    return reader.open_split(dataset, split, view, plan, num_workers=num_workers)


def assert_same(found, expected):
    found, expected = list(found), list(expected)
    assert len(found) == len(expected)
    for batch, other in zip(found, expected, strict=True):
        for array, expected_array in zip(batch, other, strict=True):
            np.testing.assert_array_equal(array, expected_array)


def shard_sizes(version, split="train"):
    return [e.mindrecord.num_bytes for e in version.manifest.shards if e.split == split]


def limit_cache(monkeypatch, num_bytes):
    monkeypatch.setenv("CLIPMILL_CACHE_GIB", repr(num_bytes / (1 << 30)))


def cached(tmp_path):
    return sorted(p.name for p in (tmp_path / "cache").rglob("*.mindrecord"))


def test_it_gives_the_batches_of_the_local_one(remote, published_version):
    local = opened(published_version.dataset)
    found = opened(URI)
    assert found.state() == local.state()
    for _ in range(2):
        assert_same(found, local)


def test_one_clip_is_read_by_fetching_its_shard_alone(remote, published_version):
    frames = whole_clips.read_clip(URI, "103")
    local = whole_clips.read_clip(published_version, "103")
    np.testing.assert_array_equal(frames, local)
    assert sum(remote.fetched(".mindrecord").values()) == 1


def test_shards_are_fetched_once_and_of_one_split(remote, tmp_path):
    for _ in range(2):
        for _ in range(2):
            list(opened(URI))
    names = ["train-00000-of-00002.mindrecord", "train-00001-of-00002.mindrecord"]
    assert remote.fetched(".mindrecord") == dict.fromkeys(names, 1)
    assert cached(tmp_path) == names


def test_the_table_is_fetched_once_for_a_version(remote):
    for _ in range(2):
        opening.open_version(URI)
    assert remote.fetched(".parquet") == {"clips.parquet": 1}


@pytest.mark.parametrize("rank", range(7))
def test_a_rank_fetches_only_what_it_reads(remote, rank):
    split = opened(URI, view=CENTRE, batch_size=7, rank=rank, num_ranks=7)
    (row,) = split.rows()
    list(split)
    name = split.index.shard_paths[split.index.shard_indices[row]].name
    assert remote.fetched(".mindrecord") == {name: 1}


def test_a_cache_that_is_too_small_works(
    remote, published_version, tmp_path, monkeypatch
):
    limit_cache(monkeypatch, max(shard_sizes(published_version)))
    local, split = opened(published_version.dataset), opened(URI)
    for _ in range(3):
        assert_same(split, local)
        assert cached(tmp_path) == []
    monkeypatch.setenv("CLIPMILL_READING", "shards")
    with pytest.raises(object_store.StorageError, match="reads 2 shards of"):
        list(opened(URI))


@pytest.mark.slow
def test_it_finishes_with_five_percent_of_requests_failing(
    remote, published_version, monkeypatch
):
    limit_cache(monkeypatch, 1)  # so that there are many requests
    split, local = opened(URI), opened(published_version.dataset)
    remote.requests()
    remote.fail(5)
    for _ in range(40):
        assert_same(split, local)
    failed = [end for _, _, end in remote.requests() if end != "answered"]
    assert len(failed) >= 3
    assert set(failed) == {"refused", "cut off"}


def test_a_corrupted_shard_stops_it_by_name(remote):
    key = opened(URI).index.remote_shards[1].path
    content = bytearray(remote.read(f"bucket/sets/tiny/{key}"))
    content[-1] ^= 1
    remote.write(f"bucket/sets/tiny/{key}", bytes(content))
    expected = rf"cannot read {URI}/{key}, tried 6 times: it has {len(content)} bytes"
    with pytest.raises(object_store.StorageError, match=expected):
        list(opened(URI))


def test_what_arrived_wrong_is_not_kept(remote, tmp_path):
    key = opened(URI).index.remote_shards[0].path
    whole = remote.read(f"bucket/sets/tiny/{key}")
    remote.write(f"bucket/sets/tiny/{key}", whole[:-5])
    with pytest.raises(
        object_store.StorageError, match=f"it has {len(whole) - 5} bytes"
    ):
        list(opened(URI))
    left = [p for p in (tmp_path / "cache" / "shards").rglob("*") if p.is_file()]
    assert [path.name for path in left if "00001" not in path.name] == []
    remote.write(f"bucket/sets/tiny/{key}", whole)
    assert len(list(opened(URI))) == 4


def test_a_shard_that_is_gone_stops_it_by_name(remote):
    key = opened(URI).index.remote_shards[0].path
    remote.delete(f"bucket/sets/tiny/{key}")
    with pytest.raises(object_store.StorageError, match=f"{URI}/{key}: is not there"):
        list(opened(URI))


def test_a_version_open_already_can_be_read(remote, published_version):
    version = opening.open_version(URI, "000001")
    assert version.uri == URI
    assert version.category_names() == published_version.category_names()
    assert_same(opened(version), opened(published_version))
    shard_checks.check_hashes(version, "train")  # nothing to do: hashed on arrival


def test_another_data_set_at_the_same_place_is_noticed(remote):
    first = opening.open_version(URI)
    key = "bucket/sets/tiny/versions/000001/manifest.json"
    remote.write(key, remote.read(key).replace(b"2025-01-02", b"2025-01-03"))
    second = opening.open_version(URI)
    assert first.manifest.created_at[:10] == "2025-01-02"
    assert second.manifest.created_at[:10] == "2025-01-03"
    assert first.dataset != second.dataset


def test_a_table_that_is_not_the_published_one_is_refused(remote):
    key = "bucket/sets/tiny/versions/000001/clips.parquet"
    remote.write(key, remote.read(key)[:-1])
    with pytest.raises(
        object_store.StorageError,
        match=r"clips.parquet, tried 6 times: it has \d+ bytes with SHA-256",
    ):
        opening.open_version(URI)


@pytest.mark.parametrize(
    ("uri", "version", "expected"),
    [
        (f"{URI}x", None, f"{URI}x: no data set here, or none published yet"),
        ("s3://nobucket/x", None, "s3://nobucket/x: no data set here"),
        (URI, "000007", "no version 000007, there are ['000001']"),
        (URI, "../x", f"{URI}: version '../x': a version is named like '000003', got"),
    ],
)
def test_what_is_not_there_is_named(remote, uri, version, expected):
    with pytest.raises(manifests.ManifestError, match=re.escape(expected)):
        opening.open_version(uri, version)


@pytest.mark.parametrize("name", ["clips.parquet", "labels/category.txt"])
def test_a_version_that_lacks_a_file_is_incomplete(remote, name, tmp_path):
    remote.delete(f"bucket/sets/tiny/versions/000001/{name}")
    with pytest.raises(manifests.ManifestError, match="version 000001 is incomplete"):
        opening.open_version(URI)
    assert list((tmp_path / "cache" / "versions").iterdir()) == []


DIE_WHILE_COPYING = """
import os, signal, sys
from mindrecord_io.storage import transfers
from mindrecord_io.versions import opening
def half(remote, path, target, expected):
    target.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
transfers.download = half
opening.open_version(sys.argv[1])
"""


def test_a_copy_cut_off_by_a_kill_is_swept_by_the_next_opening(
    remote, pythonpath, tmp_path
):
    killed = subprocess.run([sys.executable, "-c", DIE_WHILE_COPYING, URI], check=False)
    assert killed.returncode == -signal.SIGKILL
    versions = tmp_path / "cache" / "versions"
    (left,) = versions.iterdir()
    assert naming.is_incomplete(left)
    assert any(path.read_bytes() == b"half" for path in left.rglob("*.*"))
    version = opening.open_version(URI)
    assert list(versions.iterdir()) == [version.dataset]


FETCH_ALL = """
import sys
import time
from mindrecord_io.serving import clip_index
from mindrecord_io.versions import opening
version = opening.open_version(sys.argv[1])
lease = version.cache.lease()
shards = clip_index.read_clip_index(version, "train").remote_shards
for _ in range(int(sys.argv[2])):
    for shard in shards:
        while not lease.hold([shard]):
            time.sleep(0.01)
        path = version.cache.fetch(shard)
        with path.open("rb") as file:
            assert len(file.read()) == shard.content.num_bytes
        lease.hold([])
"""


def fetch_all(num_processes, num_rounds):
    arguments = [sys.executable, "-c", FETCH_ALL, URI, str(num_rounds)]
    processes = [subprocess.Popen(arguments) for _ in range(num_processes)]
    return [process.wait() for process in processes]


@pytest.fixture
def pythonpath(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))


def test_processes_of_one_host_fetch_a_shard_once(remote, pythonpath):
    assert fetch_all(3, 1) == [0, 0, 0]
    assert set(remote.fetched(".mindrecord").values()) == {1}


@pytest.mark.slow
def test_processes_do_not_take_shards_from_each_other(
    remote, pythonpath, monkeypatch, published_version
):
    limit_cache(monkeypatch, max(shard_sizes(published_version)))
    assert fetch_all(3, 10) == [0, 0, 0]


HOLD = """
import sys
from mindrecord_io.serving import clip_index
from mindrecord_io.versions import opening
version = opening.open_version(sys.argv[1])
shard = clip_index.read_clip_index(version, "train").remote_shards[0]
lease = version.cache.lease()
assert lease.hold([shard])
version.cache.fetch(shard)
print("held", flush=True)
sys.stdin.read()
"""


def test_what_a_living_process_holds_stays_and_what_a_dead_one_held_goes(
    remote, pythonpath, monkeypatch, published_version, tmp_path
):
    limit_cache(monkeypatch, max(shard_sizes(published_version)))
    version = opening.open_version(URI)
    first, second = clip_index.read_clip_index(version, "train").remote_shards
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, URI],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with contextlib.closing(version.cache.lease()) as lease, process:
        assert process.stdout.readline() == "held\n"
        assert not lease.hold([second])
        assert cached(tmp_path) == [Path(first.path).name]
        process.kill()
        process.wait()
        assert lease.hold([second])
        version.cache.fetch(second)
    assert cached(tmp_path) == [Path(second.path).name]
