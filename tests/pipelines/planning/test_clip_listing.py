"""The same listing and the same shards, whatever the number of partitions."""

import pytest

from mindrecord_io.shards import sharding
from pipelines.planning import clip_listing, matching
from pipelines.sources import clip_files
from tests import listings

NUM_CLIPS = 300


@pytest.fixture(params=[1, 3, 64, 1000])
def num_partitions(request, monkeypatch):
    monkeypatch.setattr(sharding, "NUM_PARTITIONS", request.param)
    return request.param


def annotations():
    label_ids = {f"{n * 37}": n % 2 for n in range(NUM_CLIPS)}
    return listings.annotations({"train": label_ids})


@pytest.fixture
def listing(num_partitions):
    """Every tenth clip is missing, and 20 files are not annotated."""
    names = [c.clip_id for n, c in enumerate(annotations().clips) if n % 10]
    names += [f"other {n:02d}" for n in range(20)]
    uris = {name: f"/clips/{name}.webm" for name in names}
    return matching.match(annotations(), listings.files_of(uris))


def test_clips_are_those_that_have_a_file(listing):
    positions = [clip.position for clip in listings.clips_of(listing)]
    assert positions == [n for n in range(NUM_CLIPS) if n % 10]
    assert listing.num_clips == {"train": 270}


def test_missing_clips_are_counted_and_named_in_annotation_order(listing):
    assert len(listing.missing) == 30
    assert listing.missing.first == ("0", "370", "740", "1110", "1480")


def test_unlisted_files_come_sorted_from_all_partitions(listing):
    assert list(listing.unlisted()) == [f"other {n:02d}" for n in range(20)]
    assert listing.num_unlisted == 20


@pytest.mark.parametrize("num_shards", [1, 2, 7, 100])
def test_every_shard_has_the_clips_that_the_hash_gives_it(listing, num_shards):
    expected = {}
    for clip in listings.clips_of(listing):
        index = sharding.shard_index(clip.clip_id, num_shards)
        expected.setdefault(("train", index), set()).add(clip.clip_id)

    shards = list(clip_listing.by_shard(listing, {"train": num_shards}))

    assert len(shards) == len(expected)
    for split, index, clips in shards:
        assert {*clips.column("clip_id").to_pylist()} == expected[split, index]
    assert [index for _, index, _ in shards] == sorted(i for _, i in expected)


def test_of_many_clips_few_are_in_memory_at_once(monkeypatch):
    """What a step holds goes by the partition: here 4 of 300 clips, on average."""
    monkeypatch.setattr(sharding, "NUM_PARTITIONS", 75)
    uris = {c.clip_id: f"/clips/{c.clip_id}.webm" for c in annotations().clips}
    listing = matching.match(annotations(), listings.files_of(uris))
    num_read, num_live, most = 0, 0, 0
    own = clip_listing.ClipListing.rows

    def counted(self, partition):
        nonlocal num_read, num_live, most
        for rows in own(self, partition):
            num_read += rows.num_rows
            num_live += rows.num_rows
            most = max(most, num_live)
            yield rows

    monkeypatch.setattr(clip_listing.ClipListing, "rows", counted)
    for _, _, clips in clip_listing.by_shard(listing, {"train": 75}):
        num_live -= clips.num_rows

    assert num_read == NUM_CLIPS
    assert most <= 20


def test_a_clip_of_two_files_is_found_wherever_they_are(num_partitions, tmp_path):
    for name in ("1.webm", "370.webm", "370.WEBM", "37.webm"):
        (tmp_path / name).touch()
    with pytest.raises(clip_files.SourceError, match="clip '370' is there twice"):
        matching.match_clips(annotations(), tmp_path)


def test_file_names_that_no_clip_can_have_are_unlisted(num_partitions):
    names = ("0", "\udcff", "a b", "-x", "é")
    uris = {name: f"/clips/{name}.webm" for name in names}
    listing = matching.match(annotations(), listings.files_of(uris))
    assert sorted(listing.unlisted()) == sorted(["\\udcff", "a b", "-x", "é"])
    assert listing.num_clips == {"train": 1}
