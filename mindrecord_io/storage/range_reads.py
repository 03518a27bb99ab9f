"""Reads ranges of remote files: many requests in flight, none waited for without end.

A store may refuse for a while, cut answers off, send them drop by drop or not at all,
or send other bytes. Each range is therefore checked, asked for again after ever longer
pauses, and asked for once more beside an answer that takes too long; after
`Patience.total_seconds` it is an error that names the file.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass, field
from typing import TypeVar

import pyarrow as pa

from mindrecord_io.storage import object_store
from mindrecord_io.storage.object_store import Storage, StorageError, WrongContentError
from mindrecord_io.storage.patience import Patience

__all__ = [
    "FilePart",
    "PendingRead",
    "RangeReads",
    "within",
]

logger = logging.getLogger(__name__)

T = TypeVar("T")

_NUM_WRONG = 3  # answers with other bytes; then the file itself is another one
_FIRST_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 0.2, 10.0
_SLOWEST_BYTES_PER_SECOND = 100_000  # of one answer, beyond `request_seconds`
_LOOK_SECONDS = 0.5
_MEASURED_BYTES = 1 << 20
_IDLE_SECONDS = 10.0  # then a thread ends


@dataclass(frozen=True, slots=True)
class FilePart:
    """A range of a remote file whose size was published."""

    path: str
    begin: int
    num_bytes: int
    file_num_bytes: int


@dataclass(slots=True, eq=False)
class PendingRead:
    """A range that has been asked for."""

    part: FilePart
    check: Callable[[bytes], str]
    reads: "RangeReads"
    content: "futures.Future[bytes]" = field(default_factory=futures.Future)
    first_began: float = 0.0
    last_began: float = 0.0
    last_problem: str = "no answer"
    num_wrong: int = 0

    def result(self) -> bytes:
        """Waits for the bytes and returns them.

        Raises:
          StorageError: they cannot be read, or are never the published ones.
        """
        has_noticed = False
        while True:
            with_timeout = futures.wait([self.content], _LOOK_SECONDS)
            if with_timeout.done:
                return self.content.result()
            has_noticed = self.reads.look_after(self, has_noticed)


class RangeReads:
    """Threads that read ranges of one remote folder's files.

    Attributes:
      num_in_flight: requests at one moment.
      num_requests, num_bytes: of all answers so far, requests for sizes included.
    """

    def __init__(
        self,
        remote: Storage,
        *,
        num_in_flight: int | None = None,
        patience: Patience | None = None,
    ) -> None:
        """Starts nothing yet."""
        self.num_in_flight = num_in_flight or object_store.num_requests()
        self.num_requests = self.num_bytes = 0
        self._remote = remote
        self._patience = patience or Patience.from_environment()
        self._queue: queue.SimpleQueue[PendingRead] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._num_threads = 0
        self._speed: tuple[float, float] | None = None
        self._files: dict[str, futures.Future[pa.NativeFile]] = {}

    def submit(
        self, part: FilePart, check: Callable[[bytes], str] | None = None
    ) -> PendingRead:
        """Asks for a range.

        Args:
          check: returns what is wrong with the bytes, "" if nothing is.
        """
        pending = PendingRead(part, check or _accept, self)
        self._start(pending)
        return pending

    def speed(self, path: str, file_num_bytes: int) -> tuple[float, float]:
        """Returns seconds a small answer takes, and bytes per second of a large one.

        Measured once, by a sixteenth of this file or a megabyte.
        """
        if self._speed is None:
            self.submit(FilePart(path, 0, 1, file_num_bytes)).result()  # connects
            large = min(_MEASURED_BYTES, -(-file_num_bytes // 16))
            seconds = []
            for num_bytes in (1, large):
                began = time.monotonic()
                self.submit(FilePart(path, 0, num_bytes, file_num_bytes)).result()
                seconds.append(time.monotonic() - began)
            more = max(seconds[1] - seconds[0], 1e-3)
            self._speed = seconds[0], large / more
            logger.debug("%s: %.1f ms, %.1f MB/s", path, *_readable(self._speed))
        return self._speed

    def look_after(self, pending: PendingRead, has_noticed: bool) -> bool:
        """Ends or repeats a read that is too slow; returns whether that is logged."""
        now, limits = time.monotonic(), self._patience
        if not pending.first_began:  # others are read before it
            return has_noticed
        waited = now - pending.first_began
        if waited >= limits.total_seconds:
            self._fail(pending, f"waited {waited:.0f} s: {pending.last_problem}")
            return has_noticed
        extra = pending.part.num_bytes / _SLOWEST_BYTES_PER_SECOND
        if now - pending.last_began > limits.request_seconds + extra:
            pending.last_problem = f"no whole answer in {limits.request_seconds:.0f} s"
            pending.last_began = now
            self._start(pending, is_beside=True)
        if waited >= limits.notice_seconds and not has_noticed:
            logger.warning(
                "waiting for %s since %.0f s (%s); an error after %.0f s",
                *(self._name(pending.part), waited, pending.last_problem),
                limits.total_seconds,
            )
            return True
        return has_noticed

    def _start(self, pending: PendingRead, *, is_beside: bool = False) -> None:
        with self._lock:
            # A thread whose answer does not come is lost for the time being.
            needs_thread = is_beside or self._num_threads < self.num_in_flight
            self._num_threads += needs_thread and not is_beside
            self._queue.put(pending)
        if needs_thread:
            # Daemons: an answer that never comes must not keep the program from ending.
            threading.Thread(
                target=self._work, name="range-reader", daemon=True
            ).start()

    def _work(self) -> None:
        while pending := self._next():
            pause = _FIRST_PAUSE_SECONDS
            while not pending.content.done() and not self._attempt(pending):
                time.sleep(pause)
                pause = min(2 * pause, _MAX_PAUSE_SECONDS)
            del pending  # else it stays in memory until the next one comes

    def _next(self) -> PendingRead | None:
        """Returns the next range to read, None once there was none for a while."""
        while True:
            try:
                return self._queue.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                with self._lock:
                    if self._queue.empty():
                        self._num_threads = max(0, self._num_threads - 1)
                        return None

    def _attempt(self, pending: PendingRead) -> bool:
        """Tries once to read a range; returns whether that settled it."""
        pending.last_began = time.monotonic()
        pending.first_began = pending.first_began or pending.last_began
        try:
            content = self._read(pending.part)
            problem = pending.check(content)
        except FileNotFoundError:
            text = f"{self._remote.uri}/{pending.part.path}: is not there"
            self._settle(pending, WrongContentError(text))
            return True
        except _WrongSizeError as cause:
            problem = str(cause)
        except (OSError, futures.CancelledError) as cause:
            self._reopen(pending.part)
            pending.last_problem = object_store.redacted(str(cause))
            if object_store.is_refusal(cause):
                self._fail(pending, f"refused: {pending.last_problem}")
                return True
            return pending.content.done()
        if not problem:
            self._settle(pending, content)
            return True
        self._reopen(pending.part)
        pending.num_wrong += 1
        pending.last_problem = problem
        if pending.num_wrong < _NUM_WRONG:
            return False
        self._fail(pending, f"{problem}, {_NUM_WRONG} times", WrongContentError)
        return True

    def _read(self, part: FilePart) -> bytes:
        file = self._file(part)
        content: bytes = file.read_at(part.num_bytes, part.begin)
        with self._lock:
            self.num_requests += 1
            self.num_bytes += len(content)
        if len(content) != part.num_bytes:
            missing = part.num_bytes - len(content)
            raise OSError(f"the answer ends {missing} bytes too early")
        return content

    def _file(self, part: FilePart) -> pa.NativeFile:
        """Returns a file that all threads read from: its size is asked for once."""
        with self._lock:
            opened = self._files.get(part.path)
            is_own = opened is None
            if opened is None:
                opened = self._files[part.path] = futures.Future()
        if not is_own:
            return opened.result(self._patience.request_seconds)
        try:
            opened.set_result(self._open(part))
        except BaseException as error:
            self._reopen(part)
            opened.set_exception(error)
        return opened.result()

    def _open(self, part: FilePart) -> pa.NativeFile:
        file = self._remote.filesystem.open_input_file(part.path)
        num_bytes = file.size()
        with self._lock:
            self.num_requests += 1
        if num_bytes != part.file_num_bytes:
            raise _WrongSizeError(
                f"it has {num_bytes} bytes, published were {part.file_num_bytes}"
            )
        return file

    def _reopen(self, part: FilePart) -> None:
        with self._lock:
            self._files.pop(part.path, None)

    def _fail(
        self,
        pending: PendingRead,
        why: str,
        error: type[StorageError] = StorageError,
    ) -> None:
        self._settle(pending, error(f"cannot read {self._name(pending.part)}: {why}"))

    def _settle(self, pending: PendingRead, outcome: bytes | StorageError) -> None:
        with self._lock:  # two answers may come to one range
            if pending.content.done():
                return
            if isinstance(outcome, bytes):
                pending.content.set_result(outcome)
            else:
                pending.content.set_exception(outcome)

    def _name(self, part: FilePart) -> str:
        end = part.begin + part.num_bytes
        return f"{self._remote.uri}/{part.path}, bytes {part.begin} to {end}"


def within(patience: Patience, read: Callable[[], T], what: str) -> T:
    """Returns what is read from a store, unless that takes too long.

    Args:
      read: may itself wait for single requests, and repeat them.
      what: a verb and its object, for messages.

    Raises:
      StorageError: nothing came in `patience.total_seconds`; a request that is still
        waited for then ends with the program.
    """
    outcome: futures.Future[T] = futures.Future()

    def run() -> None:
        try:
            outcome.set_result(read())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=run, name="store-reader", daemon=True).start()
    if not futures.wait([outcome], patience.total_seconds).done:
        raise StorageError(
            f"cannot {what}: waited {patience.total_seconds:.0f} s, as "
            f"CLIPMILL_STORE_SECONDS says"
        )
    return outcome.result()


class _WrongSizeError(OSError):
    pass


def _readable(speed: tuple[float, float]) -> tuple[float, float]:
    return 1e3 * speed[0], speed[1] / 1e6


def _accept(content: bytes) -> str:
    return ""
