import dataclasses
import hashlib
import os
import re
import shutil

import cv2
import numpy as np
import pytest

from mindrecord_io.serving import clip_index, split_columns
from mindrecord_io.versions import clips_table, manifests, opening

STORED = ["101", "102", "103", "104", "106", "107", "108"]


def test_index_lists_the_stored_clips_of_a_split(published_version):
    index = clip_index.read_clip_index(published_version, "train")
    assert sorted(index.clip_ids) == STORED  # 105 is quarantined, 109 missing
    for row, clip_id in enumerate(index.clip_ids):
        assert index.label_ids[row] == int(clip_id) % 3
        assert index.num_frames(row) == 6 + 2 * (int(clip_id) % 4)
        assert (index.heights[row], index.widths[row]) == (24, 32)
    assert len(index) == 7
    assert index.name == "split 'train' of version 000001"


def test_index_keeps_the_order_of_the_table(published_version):
    table = published_version.read_clips(["clip_id", "status"], "train").to_pylist()
    expected = [row["clip_id"] for row in table if row["status"] == "stored"]
    index = clip_index.read_clip_index(published_version, "train")
    assert list(index.clip_ids) == expected


def test_frame_ranges_lead_to_every_frame(published_version, make_jpegs):
    index = clip_index.read_clip_index(published_version, "train")
    for row, clip_id in enumerate(index.clip_ids):
        offsets, sizes = index.frame_ranges(row)
        content = index.shard_paths[index.shard_indices[row]].read_bytes()
        ranges = zip(offsets, sizes, strict=True)
        jpegs = [content[begin : begin + size] for begin, size in ranges]
        expected = make_jpegs(clip_id, index.num_frames(row))
        assert b"".join(jpegs) == expected.jpegs
        assert cv2.imdecode(np.frombuffer(jpegs[-1], np.uint8), 1).shape == (24, 32, 3)


def test_unknown_split_is_refused(published_version):
    with pytest.raises(ValueError, match=r"split must be one of .* got 'val'"):
        clip_index.read_clip_index(published_version, "val")


def test_split_without_clips_is_refused(published_version):
    expected = re.escape(
        "split 'test' of version 000001 has no stored clips; clips by split: "
        "{'train': 7, 'validation': 4}"
    )
    with pytest.raises(ValueError, match=expected):
        clip_index.read_clip_index(published_version, "test")


@pytest.fixture
def copied(published_version, tmp_path):
    """A copy of the version that may be damaged, and a train shard of it."""
    dataset = tmp_path / "copy"
    shutil.copytree(published_version.dataset, dataset)
    version = opening.open_version(dataset)
    entry = next(s for s in version.manifest.shards if s.split == "train")
    return version, version.shard_path(entry)


def test_truncated_shard_is_noticed_at_once(copied):
    version, path = copied
    size = path.stat().st_size
    os.truncate(path, size - 1)
    expected = f"{re.escape(str(path))}: has {size - 1} bytes, published were {size}"
    with pytest.raises(manifests.DatasetError, match=expected):
        clip_index.read_clip_index(version, "train")
    clip_index.read_clip_index(version, "validation")  # is not concerned


def test_missing_shard_is_noticed_at_once(copied):
    version, path = copied
    path.unlink()
    expected = f"{re.escape(str(path))}: cannot be opened: .*No such file"
    with pytest.raises(manifests.DatasetError, match=expected):
        clip_index.read_clip_index(version, "train")


def test_shard_that_the_manifest_does_not_list_is_refused(copied):
    version, path = copied
    others = tuple(s for s in version.manifest.shards if version.shard_path(s) != path)
    version = dataclasses.replace(
        version, manifest=dataclasses.replace(version.manifest, shards=others)
    )
    expected = f"{re.escape(str(path))}: holds clips but is not in the manifest"
    with pytest.raises(manifests.DatasetError, match=expected):
        clip_index.read_clip_index(version, "train")


def test_arrays_must_agree_in_length(published_version):
    index = clip_index.read_clip_index(published_version, "train")
    with pytest.raises(ValueError, match="heights must have one value for each clip"):
        dataclasses.replace(index, heights=index.heights[1:])
    with pytest.raises(ValueError, match="frame_begins must have one value more"):
        dataclasses.replace(index, frame_begins=index.frame_begins[1:])


def test_digest_is_of_lines_in_the_order_of_ids(published_version):
    columns = ["clip_id", "label_id", "status", "frames_sha256"]
    rows = published_version.read_clips(columns, "train").to_pylist()
    lines = sorted(
        f"{row['clip_id']} {row['label_id']} {row['frames_sha256']}"
        for row in rows
        if row["status"] == "stored"
    )
    expected = hashlib.blake2b("\n".join(lines).encode(), digest_size=16).hexdigest()
    index = clip_index.read_clip_index(published_version, "train")
    assert index.digest == expected


def test_digest_in_blocks_is_that_of_the_whole(published_version, monkeypatch):
    whole = clip_index.read_clip_index(published_version, "train")
    monkeypatch.setattr(split_columns, "_ROWS_PER_BLOCK", 3)
    assert clip_index.read_clip_index(published_version, "train").digest == whole.digest


def test_batches_of_any_size_make_the_same_index(published_version, monkeypatch):
    whole = clip_index.read_clip_index(published_version, "train")
    monkeypatch.setattr(clips_table, "_ROWS_PER_BATCH", 2)
    parts = clip_index.read_clip_index(published_version, "train")
    for field in dataclasses.fields(whole):
        actual, expected = getattr(parts, field.name), getattr(whole, field.name)
        assert np.array_equal(actual, expected), field.name


def test_frame_sizes_take_two_bytes_where_they_fit(published_version):
    index = clip_index.read_clip_index(published_version, "train")
    assert index.frame_sizes.dtype == np.uint16
