import dataclasses
import shutil

import pyarrow as pa
import pytest
from pyarrow import parquet

from mindrecord_io import naming
from mindrecord_io.versions import manifests, row_checks, shard_checks


@pytest.fixture
def version(published_version, tmp_path):
    """A copy to be changed; the train shards hold clips 102 to 107, and 108 and 101."""
    dataset = tmp_path / "dataset"
    shutil.copytree(published_version.dataset, dataset)
    return manifests.Version(dataset, published_version.manifest)


def entry_of(version, clip_id):
    table = version.read_clips(["clip_id", "shard"]).to_pylist()
    (path,) = (row["shard"] for row in table if row["clip_id"] == clip_id)
    return next(entry for entry in version.manifest.shards if entry.path == path)


def change_table(version, change):
    path = naming.clips_table_path(version.folder)
    table = parquet.read_table(path)
    changed = [change(row) for row in table.to_pylist()]
    kept = [row for row in changed if row is not None]
    parquet.write_table(pa.Table.from_pylist(kept, schema=table.schema), path)


def with_values(name, **values):
    return lambda row: row | values if row["clip_id"] == name else row


def test_every_row_is_what_the_table_says(published_version):
    for entry in published_version.manifest.shards:
        assert row_checks.check_rows(published_version, entry) == []


def test_row_and_clip_are_named_with_both_values(version):
    entry = entry_of(version, "108")
    change_table(version, with_values("108", label_id=7))
    assert row_checks.check_rows(version, entry) == [
        "row 0, clip 108: label 0, in clips.parquet 7"
    ]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"height": 25}, "height 24, in clips.parquet 25"),
        ({"width": 1}, "width 32, in clips.parquet 1"),
        ({"frame_sizes": [5, 6]}, "num_frames 6, in clips.parquet 2; frame_sizes ["),
        ({"frames_sha256": "ab"}, "in clips.parquet 'ab'"),
        ({"frames_offset": 9}, "its frames are not at frames_offset 9"),
        ({"frames_offset": -1}, "its frames are not at frames_offset -1"),
        ({"frames_offset": 1 << 40}, "its frames are not at frames_offset 1099511627"),
    ],
)
def test_every_column_is_compared(version, values, reason):
    entry = entry_of(version, "108")
    change_table(version, with_values("108", **values))
    (why,) = row_checks.check_rows(version, entry)
    assert why.startswith("row 0, clip 108: ")
    assert reason in why


def test_a_row_that_the_table_does_not_have_is_told(version):
    entry = entry_of(version, "108")
    change_table(version, lambda row: None if row["clip_id"] == "101" else row)
    assert row_checks.check_rows(version, entry) == [
        "has 2 rows, in clips.parquet it has 1"
    ]


def test_a_row_that_only_the_table_has_is_told(version):
    entry = entry_of(version, "108")
    clips = shard_checks.stored_clips(shard_checks.shard_clips(version, entry))
    more = [clips[0] | {"clip_id": "900", "row": 2}]
    wrong = row_checks._wrong_rows(version.shard_path(entry), clips + more)
    assert wrong == ["has 2 rows, in clips.parquet it has 3"]


def test_rows_that_changed_places_are_told(version):
    entry = entry_of(version, "108")
    change_table(
        version, lambda row: row | {"row": 1 - row["row"]} if row["row"] < 2 else row
    )
    first, second = row_checks.check_rows(version, entry)
    assert first.startswith("row 0, clip 101: clip_id '108', in clips.parquet '101'; ")
    assert second.startswith("row 1, clip 108: clip_id '101', in clips.parquet '108'")


def test_only_the_first_wrong_rows_are_named(version, monkeypatch):
    monkeypatch.setattr(row_checks, "_wrong_rows", lambda path, clips: ["x"] * 64)
    wrong = row_checks.check_rows(version, version.manifest.shards[0])
    assert wrong == ["x"] * 5 + ["59 more rows differ"]


def test_a_file_that_mind_dataset_refuses_is_told_on_one_line(version):
    entry = version.manifest.shards[0]
    version.shard_path(entry).write_bytes(b"no MindRecord" * 100)
    (why,) = row_checks.check_rows(version, entry)
    assert why.startswith("cannot be read by MindDataset: ")
    assert "\n" not in why


def test_a_shard_whose_file_is_gone_is_told(version):
    entry = version.manifest.shards[0]
    version.shard_path(entry).unlink()
    (why,) = row_checks.check_rows(version, entry)
    assert why.startswith("cannot be read by MindDataset: ")


def test_a_table_that_cannot_be_read_is_told(version):
    naming.clips_table_path(version.folder).write_bytes(b"no table")
    (why,) = row_checks.check_rows(version, version.manifest.shards[0])
    assert "clips.parquet: cannot be read" in why


def test_a_version_of_another_manifest_is_compared_by_its_own_entry(version):
    entry = dataclasses.replace(version.manifest.shards[0], num_rows=99)
    assert row_checks.check_rows(version, entry) == []
