"""Reads shards that are published without MindSpore (see versions_by_hand)."""

import dataclasses
import hashlib

import pytest

from mindrecord_io import naming, records
from mindrecord_io.shards import shard_folders, stored_clips
from tests import versions_by_hand as by_hand


@pytest.fixture
def version(tmp_path):
    return by_hand.publish(tmp_path / "dataset", quarantined=["103"])


def entry_of(version, clip_id):
    """The shard that holds a clip, as the version lists it."""
    table = version.read_clips(["clip_id", "shard"])
    by_id = dict(zip(*(column.to_pylist() for column in table.columns), strict=True))
    (entry,) = (e for e in version.manifest.shards if e.path == by_id[clip_id])
    return entry


def planned(version, clip_id, **changed):
    """A clip as a plan names it that wants its frames copied."""
    entry = entry_of(version, clip_id)
    source = records.Fingerprint(1000, hashlib.sha256(clip_id.encode()).hexdigest())
    clip = records.PlannedClip(
        clip_id, 7, "/gone.webm", source, f"{entry.split}/{entry.key}"
    )
    return dataclasses.replace(clip, **changed)


def shard_file(version, clip_id):
    return version.shard_path(entry_of(version, clip_id))


def bytes_of(frames):
    begin, num_bytes = frames.jpegs.offset, frames.jpegs.num_bytes
    return frames.jpegs.path.read_bytes()[begin : begin + num_bytes]


@pytest.mark.parametrize("clip_id", ["101", "102", "105", "201", "301"])
def test_a_stored_clip_has_the_frames_it_was_stored_with(version, clip_id):
    jpegs = [by_hand.frame(clip_id, i) for i in range(by_hand.num_frames(clip_id))]
    path = shard_file(version, clip_id)

    read = stored_clips.StoredClips(version.dataset).read(planned(version, clip_id))

    assert read == records.ClipFrames(
        jpegs=records.FileRange(
            path, path.read_bytes().index(jpegs[0]), sum(map(len, jpegs))
        ),
        frame_sizes=tuple(map(len, jpegs)),
        height=48,
        width=64,
        facts=records.SourceFacts(
            fps_from_header=12.0,
            num_frames_from_header=len(jpegs),
        ),
        sha256=hashlib.sha256(b"".join(jpegs)).hexdigest(),
    )


def test_a_quarantined_clip_comes_with_its_old_reason(version):
    read = stored_clips.StoredClips(version.dataset).read(planned(version, "103"))
    assert read == records.Quarantined("truncated", "3 of 8 frames")


def test_clips_of_several_shards_may_be_read_in_any_order(version):
    stored = stored_clips.StoredClips(version.dataset)

    read = [stored.read(planned(version, c)) for c in ("105", "301", "102", "101")]

    first_frames = [bytes_of(frames)[: frames.frame_sizes[0]] for frames in read]
    assert first_frames == [
        by_hand.frame(clip_id, 0) for clip_id in ("105", "301", "102", "101")
    ]


def test_a_shards_summary_is_read_once(version, monkeypatch):
    asked = []

    def read_summary(dataset, split, key):
        asked.append((split, key))
        return real(dataset, split, key)

    real = shard_folders.read_summary_file
    monkeypatch.setattr(shard_folders, "read_summary_file", read_summary)
    stored = stored_clips.StoredClips(version.dataset)

    for clip_id in ("101", "105", "101"):
        stored.read(planned(version, clip_id))

    assert asked == [("train", entry_of(version, "101").key)]


def test_changed_frames_come_with_the_hash_of_the_unchanged_ones(version):
    path = shard_file(version, "201")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"clip 201 frame 0", b"clip 201 frame 9"))

    read = stored_clips.StoredClips(version.dataset).read(planned(version, "201"))

    assert b"frame 9" in bytes_of(read)
    assert read.sha256 != hashlib.sha256(bytes_of(read)).hexdigest()


def test_a_shard_that_is_gone_is_named(version):
    gone = f"train/{'0' * 32}"
    with pytest.raises(shard_folders.ShardError, match=f"^101: shard {gone} is gone$"):
        stored_clips.StoredClips(version.dataset).read(
            planned(version, "101", stored_in=gone)
        )


def test_a_shard_that_does_not_hold_the_clip_is_named(version):
    other = planned(version, "201").stored_in
    with pytest.raises(
        shard_folders.ShardError, match=f"^101: shard {other} does not hold"
    ):
        stored_clips.StoredClips(version.dataset).read(
            planned(version, "101", stored_in=other)
        )


@pytest.mark.parametrize(
    "source",
    [records.Fingerprint(1001, "ab" * 32), records.Fingerprint(1000, "ab" * 32)],
)
def test_frames_of_another_file_of_the_clip_are_not_its_frames(version, source):
    with pytest.raises(
        shard_folders.ShardError, match=r"^101: shard .* does not hold it; .*--repair"
    ):
        stored_clips.StoredClips(version.dataset).read(
            planned(version, "101", source=source)
        )


def test_a_shard_cut_off_before_it_is_opened_is_damaged(version):
    path = shard_file(version, "301")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(shard_folders.ShardError, match="published shard is damaged"):
        stored_clips.StoredClips(version.dataset).read(planned(version, "301"))


@pytest.mark.parametrize(
    "place", ["", "train", "../..", "train/../../CURRENT", "/etc/passwd", "night/" * 2]
)
def test_no_place_leads_out_of_the_data_set(version, place):
    with pytest.raises(ValueError, match="no shard can be in split"):
        stored_clips.StoredClips(version.dataset).read(
            planned(version, "101", stored_in=place)
        )


def test_a_file_that_is_gone_is_told_by_its_shard(version):
    path = shard_file(version, "201")
    path.unlink()
    folder = naming.shard_folder(
        version.dataset, "validation", entry_of(version, "201").key
    )
    with pytest.raises(
        shard_folders.ShardError, match=rf"^{folder}: .* {path.name} is gone"
    ):
        stored_clips.StoredClips(version.dataset).read(planned(version, "201"))
