"""Serves a folder as one read-only S3 bucket, with a pause before every answer.

    python static_store.py FOLDER BUCKET SECONDS

Moto takes milliseconds of processor time for a request; beside it no rate can be
measured. This takes a tenth of one: GET with ranges, HEAD and ListObjectsV2; signatures
are not checked. It prints its port; on a line of standard input it prints what it has
sent and used so far, as a JSON object.
"""

import asyncio
import json
import os
import sys
import time
import urllib.parse
from pathlib import Path
from xml.sax.saxutils import escape

__all__ = ["StaticStore", "main"]

_DATE = "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT"
_END_OF_HEADER = b"\r\n\r\n"


class StaticStore:
    """The objects, and what was sent of them.

    Attributes:
      num_requests, num_bytes: of all answers so far, the bytes of their bodies.
    """

    def __init__(self, folder: Path, bucket: str) -> None:
        """Lists the folder; files that come later are not there."""
        self.num_requests = self.num_bytes = 0
        self._folder, self._bucket = folder, f"/{bucket}"
        self._sizes = {
            path.relative_to(folder).as_posix(): path.stat().st_size
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        self._descriptors: dict[str, int] = {}

    def answer(self, request: bytes) -> bytes:
        """Returns the answer to a request, which has no body."""
        self.num_requests += 1
        method, target, _ = request.split(b"\r\n", 1)[0].decode("ascii").split(" ")
        path, _, query = target.partition("?")
        key = urllib.parse.unquote(path).removeprefix(self._bucket).strip("/")
        if "list-type=2" in query:
            return _answer("200 OK", self._listing(query))
        if key not in self._sizes:
            body = b"" if method == "HEAD" else b"<Error><Code>NoSuchKey</Code></Error>"
            return _answer("404 Not Found", body)
        size = self._sizes[key]
        if method == "HEAD":
            return _answer("200 OK", b"", size=size)
        asked = _range(request, size)
        begin, end = asked or (0, size)
        body = os.pread(self._descriptor(key), end - begin, begin)
        self.num_bytes += len(body)
        if asked is None:
            return _answer("200 OK", body)
        part = f"Content-Range: bytes {begin}-{end - 1}/{size}\r\n"
        return _answer("206 Partial Content", body, part)

    def _descriptor(self, key: str) -> int:
        if key not in self._descriptors:
            self._descriptors[key] = os.open(self._folder / key, os.O_RDONLY)
        return self._descriptors[key]

    def _listing(self, query: str) -> bytes:
        words = urllib.parse.parse_qs(query)
        prefix, delimiter = (words.get(w, [""])[0] for w in ("prefix", "delimiter"))
        entries, folders = [], dict[str, None]()
        for key, size in self._sizes.items():
            if not key.startswith(prefix):
                continue
            name, found, _ = key.removeprefix(prefix).partition(delimiter or "\0")
            if found:
                folders[f"{prefix}{name}{delimiter}"] = None
                continue
            entries.append(
                f"<Contents><Key>{escape(key)}</Key><Size>{size}</Size>"
                "<LastModified>2026-01-01T00:00:00.000Z</LastModified>"
                '<ETag>"0"</ETag><StorageClass>STANDARD</StorageClass></Contents>'
            )
        common = [
            f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"
            for name in folders
        ]
        return (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult>'
            f"<Name>{self._bucket[1:]}</Name><Prefix>{escape(prefix)}</Prefix>"
            f"<KeyCount>{len(entries) + len(common)}</KeyCount>"
            f"<MaxKeys>1000000</MaxKeys><IsTruncated>false</IsTruncated>"
            f"{''.join(entries + common)}</ListBucketResult>"
        ).encode()


class _Connection(asyncio.Protocol):
    """Answers the requests of one connection in turn, each after a pause."""

    def __init__(self, store: StaticStore, seconds: float) -> None:
        self._store, self._seconds, self._received = store, seconds, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # of a server of TCP
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while _END_OF_HEADER in self._received:
            request, _, self._received = self._received.partition(_END_OF_HEADER)
            loop = asyncio.get_running_loop()
            loop.call_later(self._seconds, self._send, request)

    def _send(self, request: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(self._store.answer(request))


def _answer(status: str, body: bytes, more: str = "", *, size: int = -1) -> bytes:
    num_bytes = len(body) if size < 0 else size
    header = (
        f"HTTP/1.1 {status}\r\nContent-Length: {num_bytes}\r\n{more}{_DATE}\r\n"
        'ETag: "0"\r\nAccept-Ranges: bytes\r\nContent-Type: binary/octet-stream\r\n\r\n'
    )
    return header.encode("ascii") + body


def _range(request: bytes, size: int) -> tuple[int, int] | None:
    """Returns the (begin, end) that a request asks for, None without a range."""
    _, is_there, rest = request.lower().partition(b"\r\nrange: bytes=")
    if not is_there:
        return None
    first, _, last = rest.split(b"\r\n", 1)[0].partition(b"-")
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1 if last else size)


async def _serve(folder: Path, bucket: str, seconds: float) -> None:
    store, loop = StaticStore(folder, bucket), asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: _Connection(store, seconds), "127.0.0.1", 0, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    while await loop.run_in_executor(None, sys.stdin.readline):
        result = {
            "num_requests": store.num_requests,
            "num_bytes": store.num_bytes,
            "cpu_seconds": time.process_time(),
        }
        print(json.dumps(result), flush=True)  # noqa: T201


def main(words: list[str]) -> None:
    """Serves until standard input ends; see the module."""
    asyncio.run(_serve(Path(words[0]), words[1], float(words[2])))


if __name__ == "__main__":
    main(sys.argv[1:])
