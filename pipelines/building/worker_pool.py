"""Shares worker processes, which make shards, among all threads of this process.

Beam assigns shards to threads once, without knowing how long each takes. So there are
more threads than workers, and every worker serves all threads: none is idle before the
last few shards. A worker receives its next shard while it still reads back and
publishes the one before.
"""

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Any

from pipelines.building import child_process

__all__ = [
    "Worker",
    "WorkerPool",
    "abandon",
    "acquire",
    "num_threads",
    "release",
]

_MAX_REQUESTS = 2  # of a worker at once: it finishes one shard and decodes the next
_THREADS_PER_WORKER = 4

_lock = threading.Lock()
_shared: "WorkerPool | None" = None
_num_users = 0


class Worker:
    """One `pipelines.building.shard_child` process, used by several threads."""

    def __init__(self) -> None:
        self._child = child_process.ChildProcess("pipelines.building.shard_child")
        self._sending = threading.Lock()
        self._receiving = threading.Lock()

    def request(self, header: dict[str, Any]) -> dict[str, Any]:
        """Sends a request and returns the answer.

        Raises:
          ChildDiedError: the process ended before it answered.
        """
        # The next thread keeps the first lock until it has the second: answers come in
        # the order of the requests, so each reaches the thread that sent its request.
        with self._sending:
            self._child.send(header)
            self._receiving.acquire()
        try:
            answer, _ = self._child.receive(None, 0)
            return answer
        finally:
            self._receiving.release()

    def kill(self) -> None:
        """Ends the process at once."""
        self._child.kill()


class WorkerPool:
    """Starts up to `num_workers` processes, each when there is work for it."""

    def __init__(self, num_workers: int) -> None:
        self._num_workers = num_workers
        self._num_lent: dict[Worker, int] = {}
        self._changed = threading.Condition()
        self._is_ended = False
        self._places = threading.BoundedSemaphore(num_threads(num_workers))

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Waits until fewer shards are under way than keep all workers at work."""
        with self._places:
            yield

    @contextlib.contextmanager
    def lent(self) -> Iterator[Worker]:
        """Reserves a worker for one shard; waits while all have enough to do.

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
        """Ends all processes, and refuses new work; what they published stays."""
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
            or min(self._num_lent.values()) < _MAX_REQUESTS
        )

    def _least_busy(self) -> Worker:
        least = min(self._num_lent, key=self._num_lent.__getitem__, default=None)
        if least is None or (
            self._num_lent[least] and len(self._num_lent) < self._num_workers
        ):
            least = Worker()
            self._num_lent[least] = 0
        return least


def num_threads(num_workers: int | None) -> int:
    """Returns how many threads, on the local runner, keep so many workers at work."""
    return _THREADS_PER_WORKER * (num_workers or _num_cores())


def acquire(num_workers: int | None) -> WorkerPool:
    """Returns the one pool of this process; every user must `release` it.

    Args:
      num_workers: most processes of the pool, if this call creates it; None for one
        to every core.
    """
    global _shared, _num_users
    with _lock:
        if _shared is None:
            _shared, _num_users = WorkerPool(num_workers or _num_cores()), 0
        _num_users += 1
        return _shared


def release(pool: WorkerPool) -> None:
    """Ends one use of a pool, and with the last use its processes."""
    global _shared, _num_users
    with _lock:
        if pool is not _shared:  # it was abandoned
            return
        _num_users -= 1
        if _num_users == 0:
            _shared.end()
            _shared = None


def abandon() -> None:
    """Kills the processes of the shared pool, without waiting for their work."""
    global _shared
    with _lock:
        if _shared is not None:
            _shared.end()
            _shared = None


def _num_cores() -> int:
    return os.cpu_count() or 1
