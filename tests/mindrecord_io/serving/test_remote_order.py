"""The batches of a split in an object store are those of the same split on a disk.

Whatever the cache, the way of reading, the ranks and the interruptions: every frame
comes through the real reader from a real S3 server, and is compared by its pixels.
"""

import itertools
import random
from collections.abc import Iterator

import pytest

from mindrecord_io.serving import clip_sampling, reader, views
from mindrecord_io.serving.batches import BatchPlan
from mindrecord_io.serving.block_sampling import BlockShuffle
from mindrecord_io.versions import opening
from tests import long_split

VIEW = views.TrainView(num_segments=8, crop_px=24)
BATCH_SIZE, SEED, NUM_EPOCHS = 8, 3, 2
URI = "s3://bucket/split"
SAMPLINGS = {
    "each_once": clip_sampling.EachOnce(),
    "class_balanced": clip_sampling.ClassBalanced(),
    "weighted": clip_sampling.Weighted.of({"1003": 5.0}),
    "blocks": BlockShuffle(window=2, num_lanes=2),
}
WAYS = {
    "parts, no cache": ("parts", 1e-9),
    "shards, a cache of half": ("shards", 0.5),
    "shards, a cache of all": ("shards", 1.2),
    "what is cheaper, half": ("auto", 0.5),
    "what is cheaper, all": ("auto", 1.2),
}


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    """48 clips in 24 shards: a step of 8 reads 7 of them or so."""
    dataset = tmp_path_factory.mktemp("split") / "dataset"
    return long_split.publish(dataset, num_clips=48)


@pytest.fixture(scope="module")
def server(s3_process, split):
    s3_process.reset()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_process.environment.items():
            patch.setenv(name, value)
        s3_process.make_bucket("bucket")
        s3_process.upload(split.dataset, "bucket/split")
        yield s3_process


def plan_of(sampling: str, rank: int = 0, num_ranks: int = 1) -> BatchPlan:
    chosen = SAMPLINGS[sampling]
    return BatchPlan(
        BATCH_SIZE, seed=SEED, rank=rank, num_ranks=num_ranks, sampling=chosen
    )


def steps_of(opened: reader.SplitReader) -> Iterator[tuple[bytes, list[int]]]:
    while opened.epoch < NUM_EPOCHS:
        for pixels, label_ids in opened:
            yield pixels.tobytes(), label_ids.tolist()


@pytest.fixture(scope="module")
def expected(split):
    """The steps of one rank from this machine's disk, by sampling."""
    steps = {}
    for sampling in SAMPLINGS:
        opened = reader.open_split(split, "train", VIEW, plan_of(sampling))
        steps[sampling] = list(steps_of(opened))
    return steps


@pytest.fixture
def opened(server, split, tmp_path, monkeypatch):
    """Opens the remote split: `opened(way, sampling, rank, num_ranks, state)`."""

    def open_it(way, sampling, rank=0, num_ranks=1, state=None):
        reading, share = WAYS[way]
        limit = max(1, int(share * long_split.num_bytes(split)))
        monkeypatch.setenv("CLIPMILL_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("CLIPMILL_CACHE_GIB", repr(limit / (1 << 30)))
        monkeypatch.setenv("CLIPMILL_READING", reading)
        version = opening.open_version(URI)
        plan = plan_of(sampling, rank, num_ranks)
        return reader.open_split(
            version, "train", VIEW, plan, state=state, num_workers=2
        )

    return open_it


def global_steps(readers):
    """The steps of several ranks, put together."""
    for parts in zip(*map(steps_of, readers), strict=True):
        pixels, label_ids = zip(*parts, strict=True)
        yield b"".join(pixels), list(itertools.chain(*label_ids))


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_reading_gives_the_same_pixels(opened, expected, way, sampling):
    assert list(steps_of(opened(way, sampling))) == expected[sampling]


@pytest.mark.parametrize("num_ranks", [2, 8])
@pytest.mark.parametrize("way", WAYS)
def test_ranks_of_one_host_give_the_same_pixels(opened, expected, way, num_ranks):
    if way == "shards, a cache of half" and num_ranks == 8:
        pytest.skip("an eighth of half the split is less than a shard")
    readers = [opened(way, "each_once", rank, num_ranks) for rank in range(num_ranks)]
    assert list(global_steps(readers)) == expected["each_once"]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_interrupted_goes_on_in_another_way(opened, expected, way):
    choices = random.Random(way)
    for _ in range(3):
        step = choices.randrange(1, len(expected["each_once"]))
        before = choices.choice(list(WAYS))
        interrupted = opened(before, "each_once")
        list(itertools.islice(steps_of(interrupted), step))
        state = interrupted.state()
        num_ranks = choices.choice([1, 2])
        readers = [
            opened(way, "each_once", rank, num_ranks, state)
            for rank in range(num_ranks)
        ]
        assert list(global_steps(readers)) == expected["each_once"][step:]
