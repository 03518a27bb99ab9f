"""Brings the frames of a step within reach before it is decoded.

From shards on this machine there is nothing to do. Remote ones come whole to the cache
(shards_ahead), or only the sampled frames come to memory (parts_ahead).
"""

from collections.abc import Callable, Sequence
from typing import Protocol, Self

import numpy as np

from mindrecord_io.serving.clip_decoders import Samples
from mindrecord_io.serving.clip_index import ClipIndex
from mindrecord_io.serving.clip_reader import SeenClip
from mindrecord_io.serving.parts_ahead import PartsAhead, RangePlanner
from mindrecord_io.serving.shards_ahead import ShardsAhead
from mindrecord_io.storage.range_reads import RangeReads
from mindrecord_io.storage.shard_cache import ShardCache

__all__ = ["Ahead", "Feed", "LocalFeed", "PartFeed", "ShardFeed", "Steps", "shards_of"]


class Steps(Protocol):
    """The steps of an epoch that are to be read."""

    @property
    def steps(self) -> range:
        """Their numbers, in order."""

    def samples(self, step: int) -> Samples:
        """Returns the clips of a step."""

    def following(self) -> "Steps":
        """Returns the steps of the next epoch."""


class Ahead(Protocol):
    """What is on its way for one loop over steps."""

    def __enter__(self) -> Self:
        """Begins the loop."""

    def __exit__(self, *error: object) -> None:
        """Ends it, and what is on its way."""

    def can_hold(self, step: int) -> bool:
        """Returns whether there is room for a step beside those not yet released."""

    def ready(self, step: int) -> Sequence[SeenClip] | None:
        """Waits for a step; returns its clips, None where shards are to be read."""

    def release(self, step: int) -> None:
        """Records that a step has been decoded."""


class Feed(Protocol):
    """Where the frames of a split come from."""

    def ahead(self, steps: Steps) -> Ahead:
        """Returns what fetches for a loop over these steps."""


class LocalFeed:
    """Shards that lie on this machine."""

    def ahead(self, steps: Steps) -> Ahead:
        """Returns what fetches nothing."""
        return _NothingAhead()


class ShardFeed:
    """Shards that come whole to the cache.

    Args:
      close_files: closes shards that may leave the cache.
    """

    def __init__(
        self,
        cache: ShardCache,
        index: ClipIndex,
        close_files: Callable[[Sequence[int]], None],
    ) -> None:
        self._cache, self._index = cache, index
        self._close_files = close_files

    def ahead(self, steps: Steps) -> Ahead:
        """Returns what fetches the shards of these steps."""

        def following() -> list[list[int]]:
            coming = steps.following()
            return [shards_of(self._index, coming, step) for step in coming.steps]

        return ShardsAhead(
            self._cache,
            self._index.remote_shards,
            lambda step: shards_of(self._index, steps, step),
            steps.steps,
            following=following,
            close_files=self._close_files,
        )


class PartFeed:
    """Shards from which only the sampled frames are read, by ranges."""

    def __init__(self, planner: RangePlanner, reads: RangeReads) -> None:
        self._planner, self._reads = planner, reads

    def ahead(self, steps: Steps) -> Ahead:
        """Returns what fetches the frames of these steps."""
        return PartsAhead(self._planner, self._reads, steps.samples, steps.steps)


class _NothingAhead:
    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def can_hold(self, step: int) -> bool:
        return True

    def ready(self, step: int) -> None:
        return None

    def release(self, step: int) -> None:
        pass


def shards_of(index: ClipIndex, steps: Steps, step: int) -> list[int]:
    """Returns the shards, by their place in the index, that a step reads."""
    shards: list[int] = np.unique(
        index.shard_indices[steps.samples(step).rows]
    ).tolist()
    return shards
