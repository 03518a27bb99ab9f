"""Remote splits over networks that fail: no wrong pixel, no wait without end."""

import contextlib
import logging
import socket
import threading
import time

import numpy as np
import pytest
from obstore.store import MemoryStore

from mindrecord_io.serving import reader, views, whole_clips
from mindrecord_io.serving.batches import BatchPlan
from mindrecord_io.storage import object_store, range_reads, range_store
from mindrecord_io.storage.patience import Patience
from mindrecord_io.versions import opening
from tests import long_split, s3_server

VIEW = views.TrainView(num_segments=8, crop_px=24)
URI = "s3://bucket/split"
PATIENCE = Patience(2.0, 0.5, 0.5)


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    dataset = tmp_path_factory.mktemp("split") / "dataset"
    return long_split.publish(dataset, num_clips=16, num_shards=4)


@pytest.fixture
def server(bucket, split, monkeypatch):
    monkeypatch.setenv("CLIPMILL_READING", "parts")
    bucket.upload(split.dataset, "bucket/split")
    return bucket


def batches_of(dataset):
    opened = reader.open_split(dataset, "train", VIEW, BatchPlan(4, seed=3))
    return [pixels.copy() for pixels, _ in opened]


def shard_key(split):
    return f"bucket/split/{split.manifest.shards[0].path}"


def test_an_epoch_fetches_a_quarter_of_the_clips_bytes_at_most(server, split):
    version = opening.open_version(URI)
    opened = reader.open_split(version, "train", VIEW, BatchPlan(4, seed=3))
    before = version.cache.reads.num_bytes
    list(opened)
    fetched = version.cache.reads.num_bytes - before
    assert 0.17 < fetched / opened.index.clip_num_bytes().sum() <= 0.25
    assert fetched == opened.forecast.num_bytes


def test_of_a_version_without_checksums_whole_clips_are_read(
    server, split, tmp_path, caplog
):
    old = long_split.publish(
        tmp_path / "old", num_clips=16, num_shards=4, has_checksums=False
    )
    server.upload(old.dataset, "bucket/old")
    for ours, theirs in zip(
        batches_of("s3://bucket/old"), batches_of(split), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    assert "no checksum for each frame" in caplog.text


@pytest.mark.parametrize("percent", [20])
def test_throttling_errors_and_cut_answers_change_no_pixel(server, split, percent):
    expected = batches_of(split)
    version = opening.open_version(URI)
    server.requests()
    server.fail(percent)
    pixels = batches_of(version)
    failed = [end for _, _, end in server.requests() if end != "answered"]
    server.fail(0)
    assert len(failed) > 3
    for ours, theirs in zip(pixels, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("has_checksums", [True, False])
def test_an_object_replaced_by_one_of_its_size_stops_it_by_name(
    server, split, tmp_path, has_checksums
):
    made = long_split.publish(
        tmp_path / "d", num_clips=16, num_shards=4, has_checksums=has_checksums
    )
    server.upload(made.dataset, "bucket/replaced")
    version = opening.open_version("s3://bucket/replaced")
    key = f"bucket/replaced/{made.manifest.shards[0].path}"
    server.write(key, bytes(byte ^ 255 for byte in server.read(key)))
    algorithm = "CRC-32" if has_checksums else "SHA-256"
    with pytest.raises(
        object_store.WrongContentError, match=rf"clip 1\d+ ha.*{algorithm}"
    ) as caught:
        batches_of(version)
    assert algorithm in str(caught.value)
    assert "published was" in str(caught.value)


def test_an_object_replaced_by_another_size_stops_it(server, split, monkeypatch):
    monkeypatch.setenv("CLIPMILL_STORE_SECONDS", "2")
    version = opening.open_version(URI)
    server.write(shard_key(split), b"short")
    with pytest.raises(object_store.StorageError, match="has 5 bytes, published were"):
        batches_of(version)


def test_credentials_that_are_refused_are_named_and_not_shown(
    server, split, caplog, monkeypatch
):
    refused = OSError(
        f"AWS Error UNKNOWN (HTTP status 400): ExpiredToken for {s3_server.SECRET_KEY}"
    )

    def refuse(*_):
        raise refused

    caplog.set_level(logging.DEBUG)
    with pytest.raises(
        object_store.StorageError, match=r"refused.*ExpiredToken"
    ) as raised:
        object_store.retried(refuse, "read it")
    assert s3_server.SECRET_KEY not in str(raised.value) + caplog.text


@pytest.fixture
def dripping(monkeypatch):
    """A server that answers each request by its head and a byte every 0.2 s."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def drip(connection):
        with connection, contextlib.suppress(ConnectionError):  # it may be given up
            request = connection.recv(65536)
            head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nETag: x\r\n\r\n"
            connection.sendall(head)
            while request.startswith(b"GET") and not ended.wait(0.2):
                connection.sendall(b"x")

    def serve():
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=drip, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    environment = {
        **s3_server.S3Server("").environment,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{listener.getsockname()[1]}",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    yield range_store.open_range_store("s3://bucket/a", environment)
    ended.set()
    listener.close()


def test_an_answer_that_comes_byte_by_byte_is_not_waited_for(dripping, caplog):
    reads = range_reads.RangeReads(dripping, num_in_flight=2, patience=PATIENCE)
    began = time.monotonic()
    with pytest.raises(
        object_store.StorageError, match=r"cannot read s3://bucket/a/x, bytes 0 to 900"
    ):
        reads.submit(range_reads.FileRanges("x", ((0, 900),), 1000)).result()
    assert time.monotonic() - began < 20
    assert "an error after 2 s" in caplog.text


def test_a_version_that_comes_byte_by_byte_is_not_waited_for(dripping, monkeypatch):
    monkeypatch.setenv("CLIPMILL_STORE_SECONDS", "2")
    with pytest.raises(
        object_store.StorageError,
        match=r"cannot read CURRENT of s3://bucket/a: waited 2 s, as CLIPMILL_STORE_S",
    ):
        opening.open_version("s3://bucket/a")


def test_one_clip_is_read_by_its_own_bytes_alone(server, split):
    version = opening.open_version(URI)
    clip_id = version.read_clips(["clip_id"])["clip_id"][0].as_py()
    expected = whole_clips.read_clip(split, clip_id)
    server.requests()
    np.testing.assert_array_equal(whole_clips.read_clip(version, clip_id), expected)
    row = version.read_clips(["frame_sizes"])["frame_sizes"][0].as_py()
    assert version.cache.reads.num_bytes == sum(row)
    assert version.cache.num_fetched == 0

    key = shard_key(split)
    server.write(key, bytes(byte ^ 255 for byte in server.read(key)))
    with pytest.raises(object_store.WrongContentError, match=f"clip {clip_id} has ano"):
        whole_clips.read_clip(version, clip_id)


def _reads(monkeypatch, *, failing=()):
    """Returns reads of "x", 0123456789, and what was asked for so far.

    Attempts whose numbers are in `failing` fail.
    """
    store = range_store.RangeStore("s3://bucket", MemoryStore())
    store.store.put("x", b"0123456789")
    attempts, read = [], range_store.RangeStore.read

    def fail_some(self, path, ranges):
        attempts.append(tuple(ranges))
        if len(attempts) in failing:
            raise OSError("SlowDown")
        return read(self, path, ranges)

    monkeypatch.setattr(range_store.RangeStore, "read", fail_some)
    return range_reads.RangeReads(store, patience=Patience()), attempts


WANTED = range_reads.FileRanges("x", ((3, 7), (1, 2)), 10)


def test_what_fails_is_asked_for_again_by_itself_until_it_comes(monkeypatch):
    reads, attempts = _reads(monkeypatch, failing=(1, 2))
    assert reads.submit(WANTED).result() == [b"3456", b"1"]
    assert attempts == [((3, 7), (1, 2)), ((3, 7),), ((3, 7),), ((1, 2),)]
    assert (reads.num_requests, reads.num_bytes) == (2, 5)


def test_pauses_grow_only_while_nothing_comes(monkeypatch):
    reads, _ = _reads(monkeypatch, failing=(1, 2, 4, 6, 7))
    pauses = []
    monkeypatch.setattr(range_reads.time, "sleep", pauses.append)
    wanted = range_reads.FileRanges("x", ((0, 1), (2, 3), (4, 5)), 10)
    assert reads.submit(wanted).result() == [b"0", b"2", b"4"]
    assert pauses == [0.2, 0.4, 0.2, 0.2, 0.4]


def test_wrong_bytes_are_fetched_again_and_then_an_error(monkeypatch):
    reads, _ = _reads(monkeypatch)
    wrong = iter(["first", ""])
    assert reads.submit(WANTED, lambda contents: next(wrong)).result()[0] == b"3456"
    with pytest.raises(object_store.WrongContentError, match="always, 3 times"):
        reads.submit(WANTED, lambda contents: "always").result()


def test_a_file_that_ends_before_a_range_is_another_one(monkeypatch):
    reads, _ = _reads(monkeypatch)
    with pytest.raises(
        object_store.WrongContentError, match="it has 10 bytes, published were 30, 3 ti"
    ):
        reads.submit(range_reads.FileRanges("x", ((0, 2), (8, 12)), 30)).result()


def test_no_more_ranges_are_asked_for_at_one_moment_than_are_allowed(monkeypatch):
    store = range_store.RangeStore("s3://bucket", MemoryStore())
    store.store.put("x", bytes(100))
    now, most, lock = [0], [0], threading.Lock()
    read = range_store.RangeStore.read

    def count(self, path, ranges):
        with lock:
            now[0] += len(ranges)
            most[0] = max(most[0], now[0])
        time.sleep(0.01)
        with lock:
            now[0] -= len(ranges)
        return read(self, path, ranges)

    monkeypatch.setattr(range_store.RangeStore, "read", count)
    reads = range_reads.RangeReads(store, num_in_flight=20, patience=Patience())
    wanted = tuple((i, i + 1) for i in range(11))
    pending = [reads.submit(range_reads.FileRanges("x", wanted, 100)) for _ in range(9)]
    assert all(read.result() == [b"\0"] * 11 for read in pending)
    assert 8 < most[0] <= 20
