"""The worker processes of one process, lent to whichever thread has a shard to make.

Beam deals shards to its threads before it knows how long each takes, and never deals
again. So there are more threads than workers, and the workers take the shards of all of
them: none idles before the last few shards. A worker is asked for its next shard while
it still proves and publishes the one before.
"""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from pipelines.building import child_process

__all__ = [
    "MAX_ASKED",
    "THREADS_PER_WORKER",
    "Worker",
    "WorkerPool",
    "abandon",
    "acquire",
    "release",
]

MAX_ASKED = 2
"""Shards that a worker is asked for at once: it finishes one and decodes the next."""

THREADS_PER_WORKER = 4
"""Threads that ask, for every worker there may be, where we choose their number."""

_lock = threading.Lock()
_shared: "WorkerPool | None" = None
_num_users = 0


class Worker:
    """One `pipelines.building.shard_child` process, which several threads may use."""

    def __init__(self) -> None:
        self._child = child_process.ChildProcess("pipelines.building.shard_child")
        self._asking = threading.Lock()
        self._awaiting = threading.Lock()

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Returns the answer to a request.

        Raises:
          ChildDiedError: the process ended before it answered.
        """
        # Whoever asks next holds the first lock until it has the second: answers come
        # in the order of the requests, and each finds the thread that asked for it.
        with self._asking:
            self._child.send(request)
            self._awaiting.acquire()
        try:
            answer, _ = self._child.receive(None, 0)
            return answer
        finally:
            self._awaiting.release()

    def kill(self) -> None:
        """Ends the process, whatever it does."""
        self._child.kill()


class WorkerPool:
    """Up to `num_workers` processes, each started when there is work for it."""

    def __init__(self, num_workers: int) -> None:
        self._num_workers = num_workers
        self._num_lent: dict[Worker, int] = {}
        self._changed = threading.Condition()
        self._is_ended = False

    @contextlib.contextmanager
    def lent(self) -> Iterator[Worker]:
        """Lends a worker for one shard; waits while all have enough to do.

        Raises:
          ChildDiedError: that worker died, or the pool has ended.
        """
        with self._changed:
            self._changed.wait_for(self._has_room)
            if self._is_ended:
                raise child_process.ChildDiedError("was ended with its job")
            worker = self._least_busy()
            self._num_lent[worker] += 1
        try:
            yield worker
        except child_process.ChildDiedError:
            with self._changed:
                self._num_lent.pop(worker, None)
            raise
        finally:
            with self._changed:
                if worker in self._num_lent:
                    self._num_lent[worker] -= 1
                self._changed.notify()

    def end(self) -> None:
        """Ends all processes, for good: what they published is on the disk."""
        with self._changed:
            self._is_ended = True
            for worker in self._num_lent:
                worker.kill()
            self._num_lent.clear()
            self._changed.notify_all()

    def _has_room(self) -> bool:
        return (
            self._is_ended
            or len(self._num_lent) < self._num_workers
            or min(self._num_lent.values()) < MAX_ASKED
        )

    def _least_busy(self) -> Worker:
        least = min(self._num_lent, key=self._num_lent.__getitem__, default=None)
        if least is None or (
            self._num_lent[least] and len(self._num_lent) < self._num_workers
        ):
            least = Worker()
            self._num_lent[least] = 0
        return least


def acquire(num_workers: int) -> WorkerPool:
    """Returns the pool that all users in this process share, until they `release` it.

    Args:
      num_workers: where this is the first user, the processes that it may have.
    """
    global _shared, _num_users
    with _lock:
        if _shared is None:
            _shared, _num_users = WorkerPool(num_workers), 0
        _num_users += 1
        return _shared


def release(pool: WorkerPool) -> None:
    """Ends one use of a pool; with the last one its processes end too."""
    global _shared, _num_users
    with _lock:
        if pool is not _shared:  # it was abandoned
            return
        _num_users -= 1
        if _num_users == 0:
            _shared.end()
            _shared = None


def abandon() -> None:
    """Ends the processes of the shared pool, whatever they do; nobody waits for it."""
    global _shared
    with _lock:
        if _shared is not None:
            _shared.end()
            _shared = None
