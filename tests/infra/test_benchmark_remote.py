import json

import pytest

from infra.benchmarks import remote, static_store


@pytest.mark.slow
def test_without_a_cache_a_quarter_is_fetched_and_with_one_all_once(tmp_path, capsys):
    words = "--num_clips 24 --num_shards 6 --batch_size 8 --latencies 0 --num_ranks 2"
    flags = [*words.split(), "--caches", "0", "1.2", "--workdir", str(tmp_path)]
    assert remote.main(flags) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    without, whole = result["cases"]
    assert 0.1 < without["over_frames"] <= 0.25
    assert without["reader_ms"] > 0 < without["server_ms"]
    assert (whole["first_over_split"], whole["over_split"]) == (1.0, 0.0)


def test_impossible_numbers_are_refused():
    with pytest.raises(ValueError, match="num_clips must be at least 1"):
        remote.Options(num_clips=0)


@pytest.fixture
def store(tmp_path):
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "a").write_bytes(bytes(range(100)))
    (tmp_path / "CURRENT").write_bytes(b"000001")
    return static_store.StaticStore(tmp_path, "bench")


@pytest.mark.parametrize(
    ("wanted", "status", "expected"),
    [
        ("", b"200 OK", bytes(range(100))),
        ("\r\nRange: bytes=10-19", b"206 Partial Content", bytes(range(10, 20))),
        ("\r\nrange: bytes=90-", b"206 Partial Content", bytes(range(90, 100))),
        ("\r\nrange: bytes=0-99", b"206 Partial Content", bytes(range(100))),
        ("\r\nRange: bytes=-3", b"206 Partial Content", bytes(range(97, 100))),
    ],
)
def test_a_static_store_sends_what_is_asked_for(store, wanted, status, expected):
    request = f"GET /bench/shards/a HTTP/1.1\r\nHost: here{wanted}"
    header, _, body = store.answer(request.encode()).partition(b"\r\n\r\n")
    assert header.startswith(b"HTTP/1.1 " + status)
    assert f"Content-Length: {len(expected)}".encode() in header
    assert body == expected
    assert (store.num_requests, store.num_bytes) == (1, len(expected))


def test_a_static_store_lists_a_folder_and_has_sizes(store):
    query = "list-type=2&prefix=&delimiter=%2F"
    listing = store.answer(f"GET /bench?{query} HTTP/1.1".encode())
    assert b"<Key>CURRENT</Key><Size>6</Size>" in listing
    assert b"<Prefix>shards/</Prefix>" in listing
    assert b"shards/a" not in listing
    assert b"Content-Length: 6\r\n" in store.answer(b"HEAD /bench/CURRENT HTTP/1.1")
    assert b"404 Not Found" in store.answer(b"GET /bench/b HTTP/1.1")
