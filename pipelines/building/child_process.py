"""Runs child processes that answer requests and can be killed at any moment.

Parent and child share one socket. A message is a JSON header and raw bytes: 4 bytes
header length, 8 bytes payload length (big-endian), the header, the payload. Nothing is
pickled, so that a child which was taken over by a hostile file cannot make its parent
run code. The child's standard output is redirected to standard error: what a library
prints there mixes neither with the messages nor with the parent's results.
"""

import contextlib
import functools
import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from typing import Any

from mindrecord_io import interrupts
from mindrecord_io.commands import plain_text

__all__ = [
    "ChildDiedError",
    "ChildProcess",
    "ChildRefusedError",
    "ChildTimeoutError",
    "Finish",
    "refuse",
    "serve",
    "serve_overlapped",
]

_LENGTHS = struct.Struct(">IQ")
_MAX_HEADER_NUM_BYTES = 256 << 20
_PARENT_CHECK_SECONDS = 1.0
_START = "pipelines.building.child_start"
_REFUSAL = "cannot run"  # the header of a child that does not come to serve
_MAX_REFUSAL_NUM_CHARS = 1000

# Children move megabytes with every request. glibc's dynamic thresholds return such
# memory to the kernel and fault it in again each time; with fixed ones a frame's
# decoding costs half as much where frames are large, a shard's writing a tenth less.
_ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": "268435456",
    "MALLOC_TRIM_THRESHOLD_": "268435456",
}

Header = dict[str, Any]


class ChildDiedError(RuntimeError):
    """The child process ended before it answered; the message has its exit status.

    Attributes:
      by_signal: the signal that ended it, 0 if none did.
    """

    def __init__(self, text: str, by_signal: int = 0) -> None:
        super().__init__(text)
        self.by_signal = by_signal


class ChildRefusedError(ChildDiedError):
    """The child process cannot run, and another one could not either."""


class ChildTimeoutError(TimeoutError):
    """The child process did not answer in time."""


class ChildProcess:
    """A `python -m MODULE FD` that answers each request by `serve`, in order."""

    def __init__(self, module: str, environment: Mapping[str, str] | None = None):
        own = {**_ENVIRONMENT, **(environment or {})}
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-P", "-m", _START, module, str(theirs.fileno())]
        path = os.pathsep.join(entry or str(os.curdir) for entry in sys.path)
        with theirs:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno() if _has_descriptor(sys.stderr) else None,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # so that its own children die with it
                env={**os.environ, "PYTHONPATH": path, **own},
            )
        self._socket = ours
        self._refusal: ChildRefusedError | None = None
        interrupts.add_clean_up(self.kill)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def send(self, header: Header) -> None:
        """Sends a request; answers come in the order of the requests."""
        try:
            self._socket.settimeout(None)
            _send(self._socket, header, b"")
        except OSError as cause:
            raise self._death() from cause

    def receive(
        self, max_seconds: float | None, max_payload_num_bytes: int
    ) -> tuple[Header, bytes]:
        """Returns the next answer.

        Raises:
          ChildTimeoutError: none came within `max_seconds`.
          ChildRefusedError: the process cannot run.
          ChildDiedError: it ended, or sent what is no answer.
        """
        deadline = None if max_seconds is None else time.monotonic() + max_seconds
        try:
            header, payload = _receive(self._socket, deadline, max_payload_num_bytes)
        except TimeoutError as cause:
            raise ChildTimeoutError(f"no answer within {max_seconds:g} s") from cause
        except (OSError, EOFError, ValueError, RecursionError) as cause:
            raise self._death(cause) from cause
        if _REFUSAL in header:
            why = str(header[_REFUSAL])[:_MAX_REFUSAL_NUM_CHARS]
            self._refusal = ChildRefusedError(f"cannot run: {why}")
            self.kill()
            raise self._refusal
        return header, payload

    def close(self) -> None:
        """Closes the socket, at which an idle child ends; kills it if it does not."""
        self._socket.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        self.kill()

    def kill(self) -> None:
        """Kills the child and every process that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._socket.close()
        interrupts.discard_clean_up(self.kill)

    def _death(self, cause: BaseException | None = None) -> ChildDiedError:
        if self._refusal is not None:  # told to whoever sent the request before
            return self._refusal
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)
        code = self._process.poll()
        if code is None:
            self.kill()
            return ChildDiedError(f"broke the protocol: {cause}")
        if code < 0:
            text = f"killed by {signal.Signals(-code).name}"
            return ChildDiedError(text, by_signal=-code)
        return ChildDiedError(f"exited with status {code}")


Finish = Callable[[], tuple[Header, bytes]]


def serve(answer: Callable[[Header], tuple[Header, bytes]]) -> None:
    """Answers the parent's requests until it closes the socket or dies.

    Args:
      answer: turns a request into a header and a payload.
    """
    with _connection() as connection:
        for header in _requests(connection):
            _reply(connection, functools.partial(answer, header))


def serve_overlapped(begin: Callable[[Header], Finish]) -> None:
    """Answers requests like `serve`, in order, but works on two of them at once.

    Args:
      begin: does the first part of a request and returns a function for the rest, which
        returns the answer. A thread of its own calls that during the next `begin`.
    """

    def finish_and_send(finish: Finish) -> None:
        try:
            _reply(connection, finish)
        except BaseException:
            connection.shutdown(socket.SHUT_RDWR)  # neither side waits any more
            raise

    with _connection() as connection, futures.ThreadPoolExecutor(1) as executor:
        unfinished: futures.Future[None] | None = None
        for header in _requests(connection):
            finish = _begun(begin, header)
            if unfinished is not None:
                unfinished.result()
            unfinished = executor.submit(finish_and_send, finish)
        if unfinished is not None:
            unfinished.result()


def refuse(error: ImportError) -> None:
    """Answers the parent's first request by which library cannot be loaded.

    Raises:
      ImportError: `error`, if that is of a module of ours.
    """
    answer = _refusal(error)
    with _connection() as connection, contextlib.suppress(ConnectionError):
        _send(connection, *answer)


def _refusal(error: ImportError) -> tuple[Header, bytes]:
    if plain_text.is_our_own(error):
        raise error
    return {_REFUSAL: plain_text.sentence(error)}, b""


def _begun(begin: Callable[[Header], Finish], header: Header) -> Finish:
    try:
        return begin(header)
    except ImportError as error:
        return functools.partial(_refusal, error)


def _reply(connection: socket.socket, finish: Finish) -> None:
    """Sends an answer; or, of a library that is loaded late, that it cannot be."""
    try:
        answer = finish()
    except ImportError as error:
        answer = _refusal(error)
    with contextlib.suppress(ConnectionError):  # the parent is gone
        _send(connection, *answer)


def _connection() -> socket.socket:
    connection = socket.socket(fileno=int(sys.argv[1]))
    os.dup2(2, 1)
    _die_with_parent()
    return connection


def _requests(connection: socket.socket) -> Iterator[Header]:
    """Yields requests until the parent closes the socket or dies."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            yield _receive(connection, None, 0)[0]


def _die_with_parent() -> None:
    """Starts a thread that kills this process soon after its parent is gone."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_CHECK_SECONDS)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _send(connection: socket.socket, header: Header, payload: bytes) -> None:
    encoded = json.dumps(header, separators=(",", ":")).encode()
    connection.sendall(_LENGTHS.pack(len(encoded), len(payload)) + encoded)
    if payload:  # to send nothing is an error where the other end is closed
        connection.sendall(payload)


def _receive(
    connection: socket.socket, deadline: float | None, max_payload_num_bytes: int
) -> tuple[Header, bytes]:
    lengths = _receive_exactly(connection, _LENGTHS.size, deadline)
    num_header, num_payload = _LENGTHS.unpack(lengths)
    if num_header > _MAX_HEADER_NUM_BYTES or num_payload > max_payload_num_bytes:
        raise ValueError(f"a message of {num_header} + {num_payload} bytes is too long")
    header = json.loads(_receive_exactly(connection, num_header, deadline))
    if not isinstance(header, dict):
        raise ValueError(f"a header must be a JSON object, got {header!r:.80}")
    return header, _receive_exactly(connection, num_payload, deadline)


def _receive_exactly(
    connection: socket.socket, num_bytes: int, deadline: float | None
) -> bytes:
    # Megabytes are received where they stay: getvalue() returns this buffer itself.
    buffer, done = io.BytesIO(bytes(num_bytes)), 0
    with buffer.getbuffer() as view:
        while done < num_bytes:
            if deadline is not None:
                connection.settimeout(max(0.001, deadline - time.monotonic()))
            received = connection.recv_into(view[done:])
            if received == 0:
                raise EOFError("the other end is closed")
            done += received
    return buffer.getvalue()


def _has_descriptor(stream: Any) -> bool:
    try:
        stream.fileno()
    except (AttributeError, OSError, ValueError):
        return False
    return True
