"""Ranges of remote files: the right bytes, or an error of the right kind."""

import http.server
import threading

import pytest

from mindrecord_io.storage import object_store, range_store
from tests import s3_server

NAME = "a b/é#1%25+&='.bin"


@pytest.fixture
def store(bucket):
    bucket.write(f"bucket/set/{NAME}", b"0123456789")
    return range_store.open_range_store("s3://bucket/set/", bucket.environment)


def test_ranges_come_in_the_order_in_which_they_are_asked_for(store):
    assert store.uri == "s3://bucket/set"
    ranges = [(7, 10), (0, 1), *[(i, i + 1) for i in range(10)]]
    expected = [b"789", b"0", *[b"%d" % i for i in range(10)]]
    assert store.read(NAME, ranges) == expected
    assert store.num_bytes(NAME) == 10


@pytest.mark.parametrize("ranges", [[(8, 12)], [(0, 2), (20, 22)]])
def test_a_range_beyond_the_end_is_no_shorter_answer(store, ranges):
    with pytest.raises(EOFError):
        store.read(NAME, ranges)


def test_a_file_that_is_not_there_is_told_apart(store):
    with pytest.raises(FileNotFoundError):
        store.read("other", [(0, 1)])


@pytest.fixture
def answers():
    """A server that answers every request by a status and a body of the test."""
    answer = [200, b""]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = answer
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", "x")
            self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    environment = {**s3_server.S3Server("").environment, "AWS_ENDPOINT_URL": url}
    yield range_store.open_range_store("s3://bucket/set", environment), answer
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "error", "is_refusal"),
    [
        (403, b"<Error><Code>AccessDenied</Code></Error>", PermissionError, True),
        (400, b"<Error><Code>ExpiredToken</Code></Error>", OSError, True),
        (503, b"<Error><Code>SlowDown</Code></Error>", OSError, False),
        (200, b"0123456789", OSError, False),  # the whole file for a range of it
    ],
)
def test_other_answers_are_errors_and_refusals_are_told_apart(
    answers, status, body, error, is_refusal
):
    store, answer = answers
    answer[:] = [status, body]
    with pytest.raises(error) as caught:
        store.read("x", [(2, 4)])
    assert object_store.is_refusal(caught.value) is is_refusal
    assert "\n" not in str(caught.value)


def test_a_bucket_is_named_in_the_host_where_that_is_asked_for():
    environment = {
        "AWS_ENDPOINT_URL": "https://obs.example.com",
        "AWS_S3_ADDRESSING_STYLE": "virtual",
        "AWS_REGION": "north",
    }
    opened = range_store.open_range_store("obs://clips/a/b", environment)
    assert opened.store.config["endpoint"] == "https://clips.obs.example.com"
    assert opened.store.config["region"] == "north"
    assert opened.prefix == "a/b/"


def test_what_cannot_be_opened_is_one_sentence():
    with pytest.raises(object_store.StorageError, match="clips/a: cannot be opened"):
        range_store.open_range_store("obs://clips/a", {})
