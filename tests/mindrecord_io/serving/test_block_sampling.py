import itertools
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mindrecord_io import records
from mindrecord_io.serving import (
    block_sampling,
    clip_ids,
    clip_index,
    clip_sampling,
    shards_ahead,
)
from mindrecord_io.shards import sharding
from mindrecord_io.storage import shard_cache

NUM_CLIPS, NUM_SHARDS, BATCH_SIZE = 20_000, 200, 64
SALT = "clipmill"


def made_index(order=1, num_clips=NUM_CLIPS, num_shards=NUM_SHARDS, num_labels=174):
    """Clips of one size, of labels drawn unevenly, in shards as a build places them."""
    numbers = list(range(num_clips))[::order]
    ids = [str(1 + n) for n in numbers]
    weights = 1.0 / np.arange(1, num_labels + 1)
    labels = np.random.default_rng(0).choice(
        num_labels, num_clips, p=weights / weights.sum()
    )
    shards = [sharding.shard_index(i, num_shards, SALT) for i in ids]
    return clip_index.ClipIndex(
        name="split 'train' of nothing",
        clip_ids=clip_ids.ClipIds.of(ids),
        label_ids=labels[numbers].astype(np.int32),
        heights=np.full(num_clips, 240),
        widths=np.full(num_clips, 320),
        shard_paths=tuple(Path(str(i)) for i in range(num_shards)),
        shard_indices=np.array(shards, np.int32),
        frames_offsets=np.zeros(num_clips, np.int64),
        frame_begins=np.arange(num_clips + 1),
        frame_sizes=np.ones(num_clips, np.int32),
    )


def fitted(batch_size=BATCH_SIZE, **options):
    return block_sampling.BlockShuffle(**options).fitted(
        num_shards=NUM_SHARDS, salt=SALT, batch_size=batch_size
    )


def ids_in_order(index, order):
    return [index.clip_ids[row] for row in order.tolist()]


@pytest.mark.parametrize("batch_size", [3, 8, 64, 63, 1000])
def test_each_clip_comes_once(batch_size):
    index = made_index(num_clips=1009)
    order = fitted(batch_size).draw(index, 1, 0)
    assert sorted(order.tolist()) == list(range(1009))


def test_the_order_depends_on_seed_epoch_and_clips_but_not_on_the_table():
    index, turned = made_index(), made_index(order=-1)
    first = ids_in_order(index, fitted().draw(index, 1, 0))
    assert ids_in_order(turned, fitted().draw(turned, 1, 0)) == first
    for seed, epoch in ((1, 1), (2, 0)):
        assert ids_in_order(index, fitted().draw(index, seed, epoch)) != first


def test_a_rank_owns_whole_lanes():
    index = made_index()
    order = fitted().draw(index, 1, 0)
    steps = order[: NUM_CLIPS // BATCH_SIZE * BATCH_SIZE].reshape(-1, BATCH_SIZE)
    shards = [
        set(index.shard_indices[part.ravel()].tolist())
        for part in np.split(steps, 8, axis=1)
    ]
    shared = [a & b for a, b in itertools.combinations(shards, 2)]
    # Lanes are equally long, so the range at the end of one begins the next.
    assert sum(map(len, shared)) <= 7
    assert sum(map(len, shards)) <= NUM_SHARDS + 7


def test_the_labels_of_a_step_spread_as_in_a_full_shuffle():
    index = made_index()
    orders = {"full": clip_sampling.EachOnce(), "blocks": fitted()}
    spread = {}
    for name, sampling in orders.items():
        variances = []
        for epoch in range(4):
            order = sampling.draw(index, 1, epoch)
            labels = index.label_ids[order][: 312 * BATCH_SIZE].reshape(312, BATCH_SIZE)
            counts = np.stack([np.bincount(step, minlength=174) for step in labels])
            variances.append(counts.var(axis=0).sum())
        spread[name] = np.mean(variances), np.std(variances)
    (full, noise), (blocks, _) = spread["full"], spread["blocks"]
    assert abs(blocks - full) <= max(4 * noise, 0.01 * full)


def test_sorted_by_label_it_would_not():
    """The measure of the test above sees a split that is not shuffled."""
    index = made_index()
    labels = np.sort(index.label_ids)[: 312 * BATCH_SIZE].reshape(312, BATCH_SIZE)
    counts = np.stack([np.bincount(step, minlength=174) for step in labels])
    assert counts.var(axis=0).sum() > 2 * 64


class CountingCache:
    """Fetches nothing, and counts bytes as the real cache would evict them."""

    def __init__(self, limit):
        self.settings = shard_cache.CacheSettings(Path("cache"), limit)
        self.stored, self.uses, self.num_bytes, self.peak = {}, {}, 0, 0

    def lease(self):
        return self

    def share(self):
        return self.settings.max_num_bytes

    def hold(self, shards, next_uses=None):
        held = {s.content.sha256: s.content.num_bytes for s in shards}
        uses = next_uses or {}
        new = sum(held.values()) - sum(held[k] for k in held if k in self.stored)
        spare = sorted(
            (k for k in self.stored if k not in held),
            key=lambda k: -uses.get(k, float("inf")),
        )
        while sum(self.stored.values()) + new > self.settings.max_num_bytes:
            del self.stored[spare.pop(0)]
        self.num_bytes += new
        self.stored |= held
        self.peak = max(self.peak, sum(self.stored.values()))
        return True

    def fetch(self, shard):
        return Path(shard.path)

    def close(self):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("num_ranks", [1, 2, 8])
def test_with_a_cache_of_a_tenth_the_split_is_fetched_once_an_epoch(num_ranks):
    """Clips, shards and batch of Something-Something-v2's train split, thinned by 2."""
    num_clips, num_shards = 84_456, 392
    index = made_index(num_clips=num_clips, num_shards=num_shards)
    sizes = np.bincount(index.shard_indices, minlength=num_shards) * 437_000
    shards = [
        shard_cache.RemoteShard(str(i), records.Fingerprint(int(n), f"{i:064d}"))
        for i, n in enumerate(sizes)
    ]
    sampling = block_sampling.BlockShuffle().fitted(
        num_shards=num_shards, salt=SALT, batch_size=BATCH_SIZE
    )
    order = sampling.draw(index, 1, 0)
    num_steps, size = num_clips // BATCH_SIZE, BATCH_SIZE // num_ranks
    fetched = 0
    for rank in range(num_ranks):
        cache = CountingCache(int(sizes.sum()) // 10)

        def shards_of(step, rank=rank):
            begin = step * BATCH_SIZE + rank * size
            return np.unique(index.shard_indices[order[begin : begin + size]]).tolist()

        with shards_ahead.ShardsAhead(
            cache, shards, shards_of, range(num_steps)
        ) as ahead:
            for step in range(num_steps):
                ahead.ready(step)
                if step >= 2:
                    ahead.release(step - 2)
        fetched += cache.num_bytes
        assert cache.peak <= cache.settings.max_num_bytes
    assert fetched / sizes.sum() <= 1.05


@pytest.mark.parametrize("name", ["num_ranges", "window", "num_lanes"])
def test_impossible_values_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1: 0"):
        block_sampling.BlockShuffle(**{name: 0})


def test_without_a_version_there_is_no_order():
    with pytest.raises(ValueError, match=re.escape("must be fitted to a version")):
        block_sampling.BlockShuffle().draw(made_index(num_clips=10), 1, 0)


def test_a_window_mixes_so_many_ranges():
    index = made_index()
    order = fitted(num_lanes=1, window=3).draw(index, 1, 0)
    of_steps = [
        Counter(index.shard_indices[order[i : i + BATCH_SIZE]].tolist())
        for i in range(5000, 15_000, BATCH_SIZE)
    ]
    assert 2 < np.mean([len(step) for step in of_steps]) <= 5
