"""A Google Cloud Storage server on this machine for tests, as a process of its own."""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator

from pyarrow import fs

_PROGRAM = """
import email.utils, hashlib, http.server, logging, sys
from gcp_storage_emulator import server
logging.disable()
# As Google's own, it answers a second connection while the first stays open.
http.server.HTTPServer = http.server.ThreadingHTTPServer
# As Google's own, it names an object's time and content, also without sending it.
close = server.Response.close
def close_named(response):
    response["Last-Modified"] = email.utils.formatdate(usegmt=True)
    response["ETag"] = '"one"'
    close(response)
server.Response.close = close_named
server.RequestHandler.do_HEAD = server.RequestHandler.do_GET
made = server.create_server(
    "127.0.0.1", int(sys.argv[1]), in_memory=True, default_bucket="clips"
)
made.start()
sys.stdout.write("ready\\n")
sys.stdout.flush()
sys.stdin.read()
"""


@contextlib.contextmanager
def serving() -> Iterator[tuple[str, fs.FileSystem]]:
    """Lends a server's address, and what is in it; a bucket is "clips"."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(port)],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "ready\n"
        host = f"127.0.0.1:{port}"
        yield (
            host,
            fs.GcsFileSystem(anonymous=True, scheme="http", endpoint_override=host),
        )
    finally:
        process.kill()
        process.wait()
