import dataclasses

import pytest

from mindrecord_io import records
from pipelines.planning import clip_listing, clip_references
from tests import listings

SOURCE = records.Fingerprint(10, "ab" * 32)
NUM_SHARDS = {"train": 5, "test": 2}


@pytest.fixture
def listing():
    """Sixty clips; every third is published, every fifth has a checksum."""
    return listings.listing(
        clip_references.Reference(
            position=n,
            clip_id=f"c{n}.x-{n}_",
            split="test" if n % 4 == 0 else "train",
            label_id=-1 if n % 4 == 0 else n % 3,
            uri=f"/clips/ä {n}.webm",
            expected_sha256="cd" * 32 if n % 5 == 0 else "",
            source=SOURCE if n % 3 == 0 else None,
            stored_in="train/k" if n % 3 == 0 else "",
        )
        for n in range(60)
    )


def test_what_is_read_of_a_shard_is_what_was_written(listing, tmp_path):
    shards = listings.write_shards(listing, NUM_SHARDS, tmp_path)

    read = [clip for shard in shards for clip in clip_references.read(tmp_path, shard)]
    assert sorted(read, key=lambda c: c.position) == listings.clips_of(listing)
    assert {c.position for c in read if c.source} == set(range(0, 60, 3))
    assert [(s.split, s.index) for s in shards] == [
        *(("train", i) for i in range(5)),
        *(("test", i) for i in range(2)),
    ]
    assert sum(shard.num_clips for shard in shards) == 60


def test_a_shard_reads_its_own_bytes_only(listing, tmp_path):
    first, *_, last = listings.write_shards(listing, NUM_SHARDS, tmp_path)
    path = tmp_path / "references"
    content = bytearray(path.read_bytes())
    end = first.offset + first.num_bytes
    content[:] = bytes(first.offset) + content[first.offset : end]
    path.write_bytes(content)

    assert len(clip_references.read(tmp_path, first)) == first.num_clips
    with pytest.raises(ValueError, match="not rows of"):
        clip_references.read(tmp_path, last)


def test_references_of_another_number_are_refused(listing, tmp_path):
    first, *_ = listings.write_shards(listing, NUM_SHARDS, tmp_path)
    other = dataclasses.replace(first, num_clips=first.num_clips + 1)
    with pytest.raises(
        ValueError,
        match=f"{first.num_clips} references of train shard 0, "
        f"expected {first.num_clips + 1}",
    ):
        clip_references.read(tmp_path, other)


def test_a_file_that_is_gone_is_an_error(listing, tmp_path):
    first, *_ = listings.write_shards(listing, NUM_SHARDS, tmp_path)
    (tmp_path / "references").unlink()
    with pytest.raises(FileNotFoundError):
        clip_references.read(tmp_path, first)


def test_by_shard_yields_each_shard_once_and_whole(listing):
    shards = list(clip_listing.by_shard(listing, NUM_SHARDS))
    assert len({(split, index) for split, index, _ in shards}) == len(shards) == 7
