"""Fetches the shards of the steps to come, as far ahead as the cache allows."""

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent import futures
from pathlib import Path

from mindrecord_io.storage.object_store import StorageError
from mindrecord_io.storage.patience import Patience
from mindrecord_io.storage.shard_cache import Lease, RemoteShard, ShardCache

__all__ = ["CacheTooSmallError", "ShardsAhead"]

_NUM_FETCHERS = 4
_MAX_STEPS_AHEAD = 16
_POLL_SECONDS = 0.1


class CacheTooSmallError(StorageError):
    """The cache cannot hold the shards of one step."""


class ShardsAhead:
    """Keeps the shards of a window of steps in the cache; for one reading thread."""

    def __init__(
        self,
        cache: ShardCache,
        shards: Sequence[RemoteShard],
        shards_of: Callable[[int], Sequence[int]],
        steps: range,
        *,
        following: Callable[[], Sequence[Sequence[int]]] | None = None,
        close_files: Callable[[Sequence[int]], None] = lambda indices: None,
    ) -> None:
        """Fetches nothing yet.

        Args:
          shards_of: returns the indices in `shards` that a step reads.
          steps: in the order in which `ready` is called for them.
          following: returns the indices by step of the epoch after this one.
          close_files: closes shards: while they are open they occupy the disk.
        """
        self._cache, self._shards = cache, shards
        self._shards_of = shards_of
        self._steps, self._waiting = steps, deque(steps)
        self._window: dict[int, Sequence[int]] = {}
        self._num_uses: Counter[int] = Counter()
        self._fetched: dict[int, futures.Future[Path]] = {}
        self._pool = futures.ThreadPoolExecutor(_NUM_FETCHERS, "shard-fetcher")
        self._lease: Lease | None = None
        self._following, self._close_files = following, close_files
        self._uses: dict[int, deque[int]] | None = None
        every = range(len(shards))  # other ranks, and later epochs, read the others
        self._all_fit = self._num_bytes(every) <= cache.settings.max_num_bytes

    def __enter__(self) -> "ShardsAhead":
        self._lease = self._cache.lease()
        return self

    def __exit__(self, *error: object) -> None:
        """Stops fetching and releases every shard."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._lease is not None:
            self._lease.close()

    def ready(self, step: int) -> None:
        """Returns when every shard of a step is in the cache, where it then stays.

        Raises:
          CacheTooSmallError: the cache cannot hold them.
          StorageError: a shard cannot be fetched, or is not the published one.
        """
        assert self._lease is not None  # in the block
        if step not in self._window:
            self._hold_step(self._lease, step)
        self._extend(self._lease, step)
        for shard_index in self._window[step]:
            self._fetched[shard_index].result()

    def release(self, step: int) -> None:
        """Records that a step has been read, so that its shards may leave the cache."""
        released = []
        for shard_index in self._window.pop(step, ()):
            self._num_uses[shard_index] -= 1
            if not self._num_uses[shard_index]:
                del self._num_uses[shard_index], self._fetched[shard_index]
                released.append(shard_index)
        if released and not self._all_fit and self._lease is not None:
            self._close_files(released)
            kept = set(self._num_uses)
            self._lease.hold(self._remote(kept), self._next_uses(step, kept))

    def can_hold(self, step: int) -> bool:
        """Returns whether a step's shards fit beside those still held."""
        kept = {*self._num_uses, *self._shards_of(step)}
        return step in self._window or self._num_bytes(kept) <= self._limit()

    def _hold_step(self, lease: Lease, step: int) -> None:
        """Holds the shards of the step at hand, which may wait for other readers."""
        indices = self._shards_of(step)
        kept = {*self._num_uses, *indices}
        limit = self._cache.settings.max_num_bytes
        if self._num_bytes(kept) > limit:
            raise CacheTooSmallError(
                f"step {step} reads {len(indices)} shards of "
                f"{self._num_bytes(indices)} bytes, but the cache "
                f"{self._cache.settings.folder} may have {limit}: set "
                f"CLIPMILL_CACHE_GIB to {self._num_bytes(kept) / (1 << 30):.3g} or "
                f"more, or CLIPMILL_READING=parts, which needs no cache"
            )
        ends = time.monotonic() + Patience.from_environment().total_seconds
        while not lease.hold(self._remote(kept), self._next_uses(step, kept)):
            if time.monotonic() > ends:
                raise CacheTooSmallError(
                    f"the shards of step {step}, {self._num_bytes(kept)} bytes, do not "
                    f"fit beside what other readers hold of the {limit} bytes of cache "
                    f"{self._cache.settings.folder}: set CLIPMILL_CACHE_GIB higher"
                )
            time.sleep(_POLL_SECONDS)
        self._waiting.popleft()
        self._add(step, indices)

    def _extend(self, lease: Lease, current: int) -> None:
        """Adds the steps that follow, while all fit in this reader's share."""
        added: list[tuple[int, Sequence[int]]] = []
        kept, limit = set(self._num_uses), self._limit()
        while self._waiting and self._waiting[0] - current <= _MAX_STEPS_AHEAD:
            indices = self._shards_of(self._waiting[0])
            if self._num_bytes(kept.union(indices)) > limit:
                break
            kept.update(indices)
            added.append((self._waiting.popleft(), indices))
        last = added[-1][0] if added else current
        if not added or lease.hold(self._remote(kept), self._next_uses(last, kept)):
            for step, indices in added:
                self._add(step, indices)
        else:
            self._waiting.extendleft(step for step, _ in reversed(added))

    def _add(self, step: int, indices: Sequence[int]) -> None:
        self._window[step] = indices
        self._num_uses.update(indices)
        for shard_index in indices:
            if shard_index not in self._fetched:
                self._fetched[shard_index] = self._pool.submit(
                    self._cache.fetch, self._shards[shard_index]
                )

    def _limit(self) -> int:
        if self._all_fit or self._lease is None:
            return self._cache.settings.max_num_bytes
        return self._lease.share()

    def _next_uses(self, step: int, kept: set[int]) -> dict[str, int]:
        """Returns when each shard is needed after a step, which all do not fit."""
        if self._all_fit:
            return {shard.content.sha256: step for shard in self._shards}
        next_uses = {}
        for i, steps in self._all_uses().items():
            while steps and steps[0] <= step:
                steps.popleft()
            if steps and i not in kept:
                next_uses[self._shards[i].content.sha256] = steps[0]
        return next_uses

    def _all_uses(self) -> dict[int, deque[int]]:
        if self._uses is None:
            self._uses = {}
            by_step = [self._shards_of(step) for step in self._steps]
            by_step += self._following() if self._following else []
            for step, indices in enumerate(by_step, self._steps.start):
                for i in indices:
                    self._uses.setdefault(i, deque()).append(step)
        return self._uses

    def _remote(self, indices: set[int]) -> list[RemoteShard]:
        return [self._shards[i] for i in indices]

    def _num_bytes(self, indices: Sequence[int] | set[int]) -> int:
        return sum(self._shards[i].content.num_bytes for i in indices)
