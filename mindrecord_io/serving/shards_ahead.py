"""Fetches the shards of the steps to come, as far ahead as the cache allows."""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent import futures
from pathlib import Path

from mindrecord_io.storage import shard_cache

__all__ = ["ShardsAhead"]

_NUM_FETCHERS = 4
_MAX_STEPS_AHEAD = 16


class ShardsAhead:
    """Keeps the shards of a window of steps in the cache; for one reading thread."""

    def __init__(
        self,
        cache: shard_cache.ShardCache | None,
        shards: Sequence[shard_cache.RemoteShard],
        shards_of: Callable[[int], Sequence[int]],
        steps: range,
    ) -> None:
        """Fetches nothing yet.

        Args:
          cache: None if the shards are on this machine: nothing is fetched then.
          shards_of: returns the indices in `shards` that a step reads.
          steps: in the order in which `ready` is called for them.
        """
        self._cache = cache
        self._shards = shards
        self._shards_of = shards_of
        self._waiting = deque(steps)
        self._window: dict[int, Sequence[int]] = {}
        self._num_uses: Counter[int] = Counter()
        self._fetched: dict[int, futures.Future[Path]] = {}
        self._pool = futures.ThreadPoolExecutor(_NUM_FETCHERS, "shard-fetcher")

    def __enter__(self) -> "ShardsAhead":
        return self

    def __exit__(self, *error: object) -> None:
        """Stops fetching and releases every shard."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._cache is not None:
            self._cache.release()

    def ready(self, step: int) -> None:
        """Returns when every shard of a step is in the cache, where it then stays.

        Raises:
          StorageError: a shard cannot be fetched, or is not the published one.
        """
        if self._cache is None:
            return
        self._extend(step, self._cache)
        for shard_index in self._window[step]:
            self._fetched[shard_index].result()

    def release(self, step: int) -> None:
        """Records that a step has been read, so that its shards may leave the cache."""
        for shard_index in self._window.pop(step, ()):
            self._num_uses[shard_index] -= 1
            if not self._num_uses[shard_index]:
                del self._num_uses[shard_index], self._fetched[shard_index]

    def _extend(self, current: int, cache: shard_cache.ShardCache) -> None:
        """Adds steps to the window: the current one, and more if they fit."""
        before = set(self._num_uses)
        while self._waiting:
            step = self._waiting[0]
            indices = self._shards_of(step)
            num_ahead = step - current
            if num_ahead > 0 and not self._fits(indices, num_ahead, cache.settings):
                break
            self._waiting.popleft()
            self._window[step] = indices
            self._num_uses.update(indices)
        new = [i for i in self._num_uses if i not in before]
        if not new:
            return
        cache.hold(self._shards[i] for i in self._num_uses)
        for shard_index in new:
            self._fetched[shard_index] = self._pool.submit(
                cache.fetch, self._shards[shard_index]
            )

    def _fits(
        self,
        indices: Sequence[int],
        num_ahead: int,
        settings: shard_cache.CacheSettings,
    ) -> bool:
        if num_ahead > _MAX_STEPS_AHEAD:
            return False
        kept = {*self._num_uses, *indices}
        num_bytes = sum(self._shards[i].content.num_bytes for i in kept)
        return num_bytes <= settings.max_num_bytes
