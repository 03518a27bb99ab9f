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
from collections.abc import Callable, Sequence
from concurrent import futures
from dataclasses import dataclass, field
from typing import TypeVar

from mindrecord_io.storage import object_store
from mindrecord_io.storage.object_store import StorageError, WrongContentError
from mindrecord_io.storage.patience import Patience
from mindrecord_io.storage.range_store import RangeStore

__all__ = [
    "FileRanges",
    "PendingRead",
    "RangeReads",
    "within",
]

logger = logging.getLogger(__name__)

T = TypeVar("T")

_NUM_AT_ONCE = 8  # ranges of one read, below the ten that obstore asks for at once
_NUM_WRONG = 3  # answers with other bytes; then the file itself is another one
_FIRST_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 0.2, 10.0
_SLOWEST_BYTES_PER_SECOND = 100_000  # of one answer, beyond `request_seconds`
_LOOK_SECONDS = 0.5
_MEASURED_BYTES = 1 << 20
_IDLE_SECONDS = 10.0  # then a thread ends


@dataclass(frozen=True, slots=True)
class FileRanges:
    """Ranges of one remote file whose size was published.

    Attributes:
      ranges: (first byte, byte after the last) of each.
    """

    path: str
    ranges: tuple[tuple[int, int], ...]
    file_num_bytes: int

    @property
    def num_bytes(self) -> int:
        """The bytes of all ranges."""
        return sum(end - begin for begin, end in self.ranges)


@dataclass(slots=True, eq=False)
class PendingRead:
    """Ranges of a file that have been asked for."""

    wanted: FileRanges
    check: Callable[[Sequence[bytes]], str]
    reads: "RangeReads"
    contents: "futures.Future[list[bytes]]" = field(default_factory=futures.Future)
    first_began: float = 0.0
    last_began: float = 0.0
    last_problem: str = "no answer"
    num_wrong: int = 0
    has_failed: bool = False
    came: dict[tuple[int, int], bytes] = field(default_factory=dict)

    def result(self) -> list[bytes]:
        """Waits for the bytes of each range and returns them.

        Raises:
          StorageError: they cannot be read, or are never the published ones.
        """
        has_noticed = False
        while True:
            with_timeout = futures.wait([self.contents], _LOOK_SECONDS)
            if with_timeout.done:
                return self.contents.result()
            has_noticed = self.reads.look_after(self, has_noticed)


class RangeReads:
    """Threads that read ranges of one remote folder's files, each some of one file.

    Attributes:
      uri: the folder's.
      num_in_flight: requests at one moment, at most.
      num_requests, num_bytes: of all answers so far.
    """

    def __init__(
        self,
        store: RangeStore,
        *,
        num_in_flight: int | None = None,
        patience: Patience | None = None,
    ) -> None:
        """Starts nothing yet."""
        self.num_in_flight = num_in_flight or object_store.num_requests()
        self.num_requests = self.num_bytes = 0
        self.uri, self._store = store.uri, store
        self._num_at_once = min(_NUM_AT_ONCE, self.num_in_flight)
        self._max_num_threads = self.num_in_flight // self._num_at_once
        self._patience = patience or Patience.from_environment()
        self._queue: queue.SimpleQueue[PendingRead] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._num_threads = 0
        self._speed: tuple[float, float] | None = None

    def submit(
        self,
        wanted: FileRanges,
        check: Callable[[Sequence[bytes]], str] | None = None,
    ) -> PendingRead:
        """Asks for ranges of a file.

        Args:
          check: returns what is wrong with their bytes, "" if nothing is.
        """
        pending = PendingRead(wanted, check or _accept, self)
        self._start(pending)
        return pending

    def speed(self, path: str, file_num_bytes: int) -> tuple[float, float]:
        """Returns seconds a small answer takes, and bytes per second of a large one.

        Measured once, by a sixteenth of this file or a megabyte.
        """
        if self._speed is None:
            large = min(_MEASURED_BYTES, -(-file_num_bytes // 16))
            seconds = []
            for num_bytes in (1, 1, large):  # the first one connects
                began = time.monotonic()
                wanted = FileRanges(path, ((0, num_bytes),), file_num_bytes)
                self.submit(wanted).result()
                seconds.append(time.monotonic() - began)
            more = max(seconds[2] - seconds[1], 1e-3)
            self._speed = seconds[1], large / more
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
        extra = pending.wanted.num_bytes / _SLOWEST_BYTES_PER_SECOND
        if now - pending.last_began > limits.request_seconds + extra:
            pending.last_problem = f"no whole answer in {limits.request_seconds:.0f} s"
            pending.last_began = now
            self._start(pending, is_beside=True)
        if waited >= limits.notice_seconds and not has_noticed:
            logger.warning(
                "waiting for %s since %.0f s (%s); an error after %.0f s",
                *(self._name(pending.wanted), waited, pending.last_problem),
                limits.total_seconds,
            )
            return True
        return has_noticed

    def _start(self, pending: PendingRead, *, is_beside: bool = False) -> None:
        with self._lock:
            # A thread whose answer does not come is lost for the time being.
            needs_thread = is_beside or self._num_threads < self._max_num_threads
            self._num_threads += needs_thread and not is_beside
            self._queue.put(pending)
        if needs_thread:
            # Daemons: an answer that never comes must not keep the program from ending.
            threading.Thread(
                target=self._work, name="range-reader", daemon=True
            ).start()

    def _work(self) -> None:
        while pending := self._next():
            pause, num_came = _FIRST_PAUSE_SECONDS, 0
            while not pending.contents.done() and not self._attempt(pending):
                if len(pending.came) > num_came:  # the store does answer
                    pause, num_came = _FIRST_PAUSE_SECONDS, len(pending.came)
                time.sleep(pause)
                pause = min(2 * pause, _MAX_PAUSE_SECONDS)
            del pending  # else it stays in memory until the next one comes

    def _next(self) -> PendingRead | None:
        """Returns the next ranges to read, None once there was none for a while."""
        while True:
            try:
                return self._queue.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                with self._lock:
                    if self._queue.empty():
                        self._num_threads = max(0, self._num_threads - 1)
                        return None

    def _attempt(self, pending: PendingRead) -> bool:
        """Tries once to read ranges; returns whether that settled it."""
        pending.last_began = time.monotonic()
        pending.first_began = pending.first_began or pending.last_began
        try:
            contents = self._read(pending)
            problem = pending.check(contents)
            if not problem:
                self._settle(pending, contents)
                return True
        except FileNotFoundError:
            text = f"{self.uri}/{pending.wanted.path}: is not there"
            self._settle(pending, WrongContentError(text))
            return True
        except EOFError as cause:
            problem = str(cause)
        except OSError as cause:
            pending.has_failed = True
            pending.last_problem = object_store.redacted(str(cause))
            if object_store.is_refusal(cause):
                self._fail(pending, f"refused: {pending.last_problem}")
                return True
            return pending.contents.done()
        pending.num_wrong += 1
        pending.last_problem = problem
        pending.came = {}
        if pending.num_wrong < _NUM_WRONG:
            return False
        self._fail(pending, f"{problem}, {_NUM_WRONG} times", WrongContentError)
        return True

    def _read(self, pending: PendingRead) -> list[bytes]:
        """Reads what has not come yet; after a failure each range by itself.

        A call fails as a whole: of a store that refuses every fifth request, hardly
        one for many ranges would ever succeed.
        """
        wanted, came = pending.wanted, pending.came
        missing = [span for span in wanted.ranges if span not in came]
        num_at_once = 1 if pending.has_failed else self._num_at_once
        for i in range(0, len(missing), num_at_once):
            some = missing[i : i + num_at_once]
            try:
                contents = self._store.read(wanted.path, some)
            except EOFError as error:
                num_bytes = self._store.num_bytes(wanted.path)
                if num_bytes == wanted.file_num_bytes:
                    raise OSError(str(error)) from error
                raise EOFError(
                    f"it has {num_bytes} bytes, published were {wanted.file_num_bytes}"
                ) from error
            came |= zip(some, contents, strict=True)
            with self._lock:
                self.num_requests += len(contents)
                self.num_bytes += sum(map(len, contents))
        return [came[span] for span in wanted.ranges]

    def _fail(
        self,
        pending: PendingRead,
        why: str,
        error: type[StorageError] = StorageError,
    ) -> None:
        self._settle(pending, error(f"cannot read {self._name(pending.wanted)}: {why}"))

    def _settle(
        self, pending: PendingRead, outcome: list[bytes] | StorageError
    ) -> None:
        with self._lock:  # two answers may come
            if pending.contents.done():
                return
            if isinstance(outcome, StorageError):
                pending.contents.set_exception(outcome)
            else:
                pending.contents.set_result(outcome)

    def _name(self, wanted: FileRanges) -> str:
        (begin, _), (_, end) = wanted.ranges[0], wanted.ranges[-1]
        return f"{self.uri}/{wanted.path}, bytes {begin} to {end}"


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


def _readable(speed: tuple[float, float]) -> tuple[float, float]:
    return 1e3 * speed[0], speed[1] / 1e6


def _accept(contents: Sequence[bytes]) -> str:
    return ""
