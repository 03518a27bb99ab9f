"""An S3 server on this machine for tests: moto's, with faults on request.

`with serving() as server` runs it as a process of its own; this file is that program.
What begins with /-/ is for the test: the share of requests that shall fail, and the
list of requests so far.
"""

import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pyarrow import fs

REPOSITORY = Path(__file__).resolve().parent.parent
ACCESS_KEY, SECRET_KEY = "an-id-for-tests", "a-secret-for-tests"


@dataclass(frozen=True)
class S3Server:
    endpoint: str

    @property
    def environment(self) -> Mapping[str, str]:
        """What a program needs to use the server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def reset(self) -> None:
        """Forgets all buckets, requests and failures."""
        self.fail(0)
        self._ask("POST", "/moto-api/reset")
        self.requests()

    def contents(self, folder: str) -> dict[str, bytes]:
        """Returns all files below a folder, by their path there."""
        return {path: self.read(f"{folder}/{path}") for path in self.paths(folder)}

    def paths(self, folder: str) -> list[str]:
        """Returns the path of each file below a folder, from there."""
        selector = fs.FileSelector(folder, recursive=True, allow_not_found=True)
        infos = self.filesystem().get_file_info(selector)
        return [info.path.removeprefix(f"{folder}/") for info in infos if info.is_file]

    def make_bucket(self, name: str) -> None:
        self.filesystem().create_dir(name)

    def upload(self, folder: Path, bucket_and_path: str) -> None:
        """Copies a folder with all that is in it."""
        for path in sorted(p for p in folder.rglob("[!.]*") if p.is_file()):
            key = f"{bucket_and_path}/{path.relative_to(folder).as_posix()}"
            self.write(key, path.read_bytes())

    def write(self, key: str, content: bytes) -> None:
        with self.filesystem().open_output_stream(key) as file:
            file.write(content)

    def read(self, key: str) -> bytes:
        with self.filesystem().open_input_stream(key) as file:
            return file.read()

    def delete(self, key: str) -> None:
        self.filesystem().delete_file(key)

    def fail(self, percent: float) -> None:
        """Lets so many of the coming requests fail: "refused" by 503 or 500, or "cut
        off" within the answer or, of those that write, after they were done.

        Which ones depends on their number since this call alone.
        """
        self._ask("PUT", f"/-/fail/{percent}")

    def requests(self) -> list[tuple[str, str, str]]:
        """Returns and forgets all requests: method, path, what became of it."""
        return [tuple(entry) for entry in json.loads(self._ask("GET", "/-/requests"))]

    def fetched(self, ending: str) -> Counter[str]:
        """Returns how often each file of this ending was sent, and forgets it."""
        return Counter(
            path.rpartition("/")[2]
            for method, path, _ in self.requests()
            if method == "GET" and path.endswith(ending)
        )

    def filesystem(self) -> fs.FileSystem:
        host = self.endpoint.removeprefix("http://")
        return fs.S3FileSystem(
            access_key=ACCESS_KEY,
            secret_key=SECRET_KEY,
            endpoint_override=host,
            scheme="http",
            region="us-east-1",
            allow_bucket_creation=True,
        )

    def _ask(self, method: str, path: str) -> bytes:
        request = urllib.request.Request(self.endpoint + path, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read()


@contextlib.contextmanager
def serving() -> Iterator[S3Server]:
    process = subprocess.Popen(
        [sys.executable, __file__],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )
    try:
        port = int(process.stdout.readline())
        yield S3Server(f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.wait()


class _Faulty:
    """Lets requests to an application fail, and keeps a list of them."""

    def __init__(self, application) -> None:
        self._application = application
        self._share, self._chance = 0.0, random.Random(1)
        self._requests = []

    def __call__(self, environ, start_response):
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if path.startswith("/-/"):
            return [self._control(path, start_response)]
        if self._chance.random() >= self._share:
            self._requests.append((method, path, "answered"))
            return self._application(environ, start_response)
        way = self._chance.choice(("503 Slow Down", "500 Internal Error", "cut", "cut"))
        if way == "cut":
            self._requests.append((method, path, "cut off"))
            return self._cut(environ, start_response)
        self._requests.append((method, path, "refused"))
        start_response(way, [("Content-Length", "0")])
        return [b""]

    def _cut(self, environ, start_response):
        whole = b"".join(self._application(environ, start_response))
        if environ["REQUEST_METHOD"] == "GET":
            return [whole[: len(whole) // 2]]  # the header's length is the whole's
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return [b""]

    def _control(self, path, start_response) -> bytes:
        content = b""
        if path == "/-/requests":
            content = json.dumps(self._requests).encode()
            self._requests = []
        else:
            self._share = float(path.removeprefix("/-/fail/")) / 100
            self._chance = random.Random(1)
        start_response("200 OK", [("Content-Length", str(len(content)))])
        return content


def main() -> None:
    import logging

    from moto import server as moto
    from werkzeug import serving as werkzeug

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application = _Faulty(moto.DomainDispatcherApplication(moto.create_backend_app))
    server = werkzeug.make_server(
        "127.0.0.1",
        0,
        application,
        threaded=True,
        request_handler=moto.MotoRequestHandler,
    )
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
