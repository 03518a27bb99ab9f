"""An S3 server (moto) on loopback for tests, and one in front of it that fails."""

import http.client
import http.server
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow.fs
from moto.server import ThreadedMotoServer

BUCKET = "clips"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "an-id-for-tests",
    "AWS_SECRET_ACCESS_KEY": "a-secret-for-tests",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def running(monkeypatch) -> Iterator[pyarrow.fs.S3FileSystem]:
    """Lends an empty bucket; the environment names the server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        for name, value in ENVIRONMENT.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        files = pyarrow.fs.S3FileSystem(
            endpoint_override=f"127.0.0.1:{port}",
            scheme="http",
            region="us-east-1",
            allow_bucket_creation=True,
        )
        # All servers of a process have one memory.
        reset = http.client.HTTPConnection("127.0.0.1", port)
        reset.request("POST", "/moto-api/reset")
        reset.getresponse().read()
        files.create_dir(BUCKET)
        yield files
    finally:
        server.stop()


class FailingProxy:
    """Passes requests on; fails every n-th in one of the ways that stores have.

    Attributes:
      num_failures: how many requests were failed.
    """

    def __init__(self, port: int, every: int) -> None:
        self._target = port
        self._every = every
        self._num_requests = 0
        self._lock = threading.Lock()
        self.num_failures = 0

    def next_failure(self) -> str:
        """Returns "" or how to fail the request that came."""
        with self._lock:
            self._num_requests += 1
            if self._num_requests % self._every:
                return ""
            ways = ("throttled", "broken", "cut")
            way = ways[self.num_failures % len(ways)]
            self.num_failures += 1
            return way

    def forward(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        """Answers one request."""
        body = _body(handler)
        way = self.next_failure()
        if way == "cut":
            handler.close_connection = True
            handler.connection.close()
            return
        if way:
            self._refuse(handler, 503 if way == "throttled" else 500)
            return
        connection = http.client.HTTPConnection("127.0.0.1", self._target)
        headers = {
            name: value
            for name, value in handler.headers.items()
            if name.lower() not in ("content-length", "expect", "transfer-encoding")
        }
        headers["Content-Length"] = str(len(body))
        connection.request(handler.command, handler.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        handler.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in (
                "connection",
                "content-length",
                "transfer-encoding",
            ):
                handler.send_header(name, value)
        is_head = handler.command == "HEAD"
        length = answer.getheader("Content-Length", "0") if is_head else len(content)
        handler.send_header("Content-Length", str(length))
        handler.end_headers()
        handler.wfile.write(content)
        connection.close()

    def _refuse(self, handler: http.server.BaseHTTPRequestHandler, status: int) -> None:
        code = "SlowDown" if status == 503 else "InternalError"
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>".encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/xml")
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(text)


def _body(handler: http.server.BaseHTTPRequestHandler) -> bytes:
    if handler.headers.get("Transfer-Encoding") != "chunked":
        return handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    parts = []
    while length := int(handler.rfile.readline().partition(b";")[0], 16):
        parts.append(handler.rfile.read(length))
        handler.rfile.readline()
    handler.rfile.readline()
    return b"".join(parts)


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


@contextmanager
def failing(monkeypatch, port: int, every: int) -> Iterator[FailingProxy]:
    """Puts a server that fails in front of the one at `port`."""
    proxy = FailingProxy(port, every)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args):
            pass

        def handle_expect_100(self):
            self.send_response_only(100)
            self.end_headers()
            return True

        def do(self):
            proxy.forward(self)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do  # noqa: N815

    with _Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        try:
            yield proxy
        finally:
            server.shutdown()


def selector(folder: str) -> pyarrow.fs.FileSelector:
    """Everything below a folder."""
    return pyarrow.fs.FileSelector(folder, recursive=True, allow_not_found=True)
