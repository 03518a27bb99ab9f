"""A stand-in for a Flink JobManager: as much of its REST server as jobs use."""

import contextlib
import http.server
import json
import threading
import time

__all__ = ["JobManager", "serving"]


class JobManager:
    """Takes one job, which runs until it is cancelled or `num_polls` have seen it.

    Attributes:
      requests: method and path of every request, in order.
      state: of the job, in Flink's words.
      jars: the names of those it holds.
      times: when the job was looked at.
    """

    def __init__(self, num_polls):
        self.url = ""
        self.requests = []
        self.state = "CREATED"
        self.jars = []
        self.times = []
        self._num_polls = num_polls

    def answer(self, method, path):
        """Returns the status and the content of the answer to a request."""
        self.requests.append((method, path))
        if path == "/v1/jars/upload":
            self.jars.append("1_beam.jar")
            return 200, {"filename": "/tmp/1_beam.jar"}
        if path == "/v1/jars/1_beam.jar/run":
            self.state = "RUNNING"
            return 200, {"jobid": "0f"}
        if (method, path) == ("DELETE", "/v1/jars/1_beam.jar"):
            self.jars.clear()
            return 200, {}
        if (method, path) == ("PATCH", "/v1/jobs/0f?mode=cancel"):
            self.state = "CANCELED"
            return 202, {}
        if path == "/v1/jobs/0f/exceptions":
            return 200, {"all-exceptions": []}
        if path == "/v1/jobs/0f":
            return 200, {"state": self.state}
        if path == "/v1/jobs/0f/execution-result":
            return 200, {"status": {"id": self._polled()}}
        return 404, {}

    def _polled(self):
        self.times.append(time.monotonic())
        if len(self.times) >= self._num_polls and self.state == "RUNNING":
            self.state = "FINISHED"
        return "IN_PROGRESS" if self.state == "RUNNING" else "COMPLETED"


@contextlib.contextmanager
def serving(num_polls=10**6):
    """Lends a JobManager that answers at its `url`."""
    manager = JobManager(num_polls)

    class Handler(http.server.BaseHTTPRequestHandler):
        def _handle(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, fields = manager.answer(self.command, self.path)
            content = json.dumps(fields).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815

        def log_message(self, *words):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        manager.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield manager
        server.shutdown()
        thread.join()
