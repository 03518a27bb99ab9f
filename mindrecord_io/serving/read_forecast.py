"""Predicts what a split costs to read from an object store, before anything is read.

The order, the frames and so the bytes of every epoch are functions of the plan. Whole
shards are counted exactly; sampled frames by some of the epoch's clips.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mindrecord_io.serving.clip_index import ClipIndex
from mindrecord_io.serving.feeds import Steps, shards_of
from mindrecord_io.serving.parts_ahead import RangePlanner
from mindrecord_io.storage.shard_cache import ShardCache
from mindrecord_io.storage.transfers import num_requests

__all__ = [
    "Forecast",
    "cache_num_bytes",
    "forecast_parts",
    "forecast_shards",
    "simulated_fetches",
]

_NUM_SAMPLED = 2000


@dataclass(frozen=True, slots=True)
class Forecast:
    """What one rank fetches of a split.

    Attributes:
      reading: "shards", whole ones to the cache, or "parts", the sampled frames.
      num_bytes, num_requests: of each epoch after the first.
      first_num_bytes, first_num_requests: of the first epoch.
      cache_num_bytes: the cache with which no shard is fetched twice.
      step_num_bytes, step_num_requests: of the first step.
    """

    reading: str
    num_bytes: int
    num_requests: int
    first_num_bytes: int
    first_num_requests: int
    cache_num_bytes: int
    step_num_bytes: int = 0
    step_num_requests: int = 0

    def total(self, num_epochs: int) -> tuple[int, int]:
        """Returns the bytes and requests of so many epochs from the first on."""
        if num_epochs < 1:
            return 0, 0
        more = num_epochs - 1
        return (
            self.first_num_bytes + more * self.num_bytes,
            self.first_num_requests + more * self.num_requests,
        )


def forecast_parts(planner: RangePlanner, steps: Steps) -> Forecast:
    """Predicts the reading of sampled frames by ranges."""
    samples = [steps.samples(step) for step in steps.steps]
    rows = np.concatenate([s.rows for s in samples])
    repetitions = np.concatenate([s.repetitions for s in samples])
    chosen = np.linspace(0, len(rows) - 1, min(len(rows), _NUM_SAMPLED)).astype(int)
    planned = [
        planner.plan(int(rows[i]), samples[0].epoch, int(repetitions[i]))
        for i in chosen.tolist()
    ]
    # Clips are of very different sizes: what is sampled is the share of their bytes.
    read = sum(clip.num_bytes for clip in planned)
    of_clips = planner.index.clip_num_bytes()
    num_bytes = round(read * of_clips[rows].sum() / of_clips[rows[chosen]].sum())
    num_ranges = round(sum(len(c.ranges) for c in planned) * len(rows) / len(chosen))
    first = len(samples[0].rows) / len(rows)
    return Forecast(
        reading="parts",
        num_bytes=num_bytes,
        num_requests=num_ranges,
        first_num_bytes=num_bytes,
        first_num_requests=num_ranges,
        cache_num_bytes=cache_num_bytes(planner.index),
        step_num_bytes=round(num_bytes * first),
        step_num_requests=round(num_ranges * first),
    )


def forecast_shards(cache: ShardCache, index: ClipIndex, steps: Steps) -> Forecast:
    """Predicts the reading of whole shards through a cache."""
    uses = [shards_of(index, steps, step) for step in steps.steps]
    used = sorted({i for indices in uses for i in indices})
    present = [i for i in used if cache.path(index.remote_shards[i]).exists()]
    missing = [i for i in uses[0] if i not in set(present)]
    needed, limit = cache_num_bytes(index), cache.settings.max_num_bytes
    if needed <= limit:
        first, again = [i for i in used if i not in set(present)], []
    else:
        sizes = [shard.content.num_bytes for shard in index.remote_shards]
        coming = steps.following()
        later = [shards_of(index, coming, step) for step in coming.steps]
        fetched = simulated_fetches(uses + later, sizes, limit, present)
        first = [i for step in fetched[: len(uses)] for i in step]
        again = [i for step in fetched[len(uses) :] for i in step]
    return Forecast(
        reading="shards",
        num_bytes=_num_bytes(index, again),
        num_requests=_num_requests(index, again),
        first_num_bytes=_num_bytes(index, first),
        first_num_requests=_num_requests(index, first),
        cache_num_bytes=needed,
        step_num_bytes=_num_bytes(index, missing),
        step_num_requests=_num_requests(index, missing),
    )


def cache_num_bytes(index: ClipIndex) -> int:
    """Returns the bytes of all shards that have clips of an index."""
    return _num_bytes(index, np.unique(index.shard_indices).tolist())


def simulated_fetches(
    uses: Sequence[Sequence[int]],
    sizes: Sequence[int],
    limit: int,
    present: Sequence[int] = (),
) -> list[list[int]]:
    """Returns the shards fetched by step, if what is needed last leaves first."""
    coming: dict[int, list[int]] = {}
    for step in reversed(range(len(uses))):
        for i in uses[step]:
            coming.setdefault(i, []).append(step)
    stored, queue = set(present), list[tuple[int, int]]()
    for i in stored:
        heapq.heappush(queue, (-(coming.get(i) or [len(uses)])[-1], i))
    num_bytes, fetched = sum(sizes[i] for i in stored), list[list[int]]()
    for indices in uses:
        new = [i for i in indices if i not in stored]
        num_bytes += sum(sizes[i] for i in new)
        stored.update(new)
        fetched.append(new)
        for i in indices:
            coming[i].pop()
            heapq.heappush(queue, (-(coming[i] or [len(uses)])[-1], i))
        held = set(indices)
        kept = list[tuple[int, int]]()
        while num_bytes > limit and queue:
            entry = heapq.heappop(queue)
            is_void = (
                entry[1] not in stored
                or -entry[0] != (coming.get(entry[1]) or [len(uses)])[-1]
            )
            if is_void:
                continue
            if entry[1] in held:
                kept.append(entry)
                continue
            stored.remove(entry[1])
            num_bytes -= sizes[entry[1]]
        for entry in kept:
            heapq.heappush(queue, entry)
    return fetched


def _num_bytes(index: ClipIndex, shards: Sequence[int]) -> int:
    return sum(index.remote_shards[i].content.num_bytes for i in shards)


def _num_requests(index: ClipIndex, shards: Sequence[int]) -> int:
    return sum(num_requests(index.remote_shards[i].content.num_bytes) for i in shards)
