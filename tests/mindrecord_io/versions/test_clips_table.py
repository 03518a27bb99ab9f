import dataclasses
import os

import pyarrow as pa
import pytest
from pyarrow import parquet

from mindrecord_io import records
from mindrecord_io.versions import clips_table
from tests.one_shard import SHA, STORED, SUMMARY

PATH = "shards/train/" + "a" * 32 + "/train-00000-of-00001.mindrecord"
URIS = {name: f"/clips/{name}.webm" for name in ("78687", "5", "1420")}
LABEL_NAMES = [f"Label {n}" for n in range(20)]
LABEL_NAMES[3], LABEL_NAMES[19] = "Wärmen", "Holding something"
ANNOTATION = records.Annotation("5", "train", 3, "Wärmen")
TEST_SUMMARY = dataclasses.replace(
    SUMMARY,
    split="test",
    clips=(dataclasses.replace(STORED, clip_id="1420", label_id=-1),),
)
SOURCE_COLUMNS = ("source_num_bytes", "source_sha256")

STORED_ROW = {
    "clip_id": "78687",
    "split": "train",
    "label_id": 19,
    "label": "Holding something",
    "uri": "/clips/78687.webm",
    "source_num_bytes": 7,
    "source_sha256": SHA,
    "status": "stored",
    "reason": "",
    "detail": "",
    "limits": "",
    "num_frames": 3,
    "width": 427,
    "height": 240,
    "fps_from_header": 12.5,
    "num_frames_from_header": 4,
    "duration_seconds_from_header": 0.32,
    "fps_from_content": 12.25,
    "duration_seconds_from_content": 0.24,
    "rotation_degrees": 90,
    "num_frames_lost": 1,
    "shard": PATH,
    "row": 0,
    "frames_offset": 5_000_000_000,
    "frame_sizes": [9000, 9100, 8900],
    "frames_sha256": SHA[::-1],
    "frame_crc32s": [7, 2**32 - 1],
}
QUARANTINED_ROW = {
    "clip_id": "5",
    "split": "train",
    "label_id": 3,
    "label": "Wärmen",
    "uri": "/clips/5.webm",
    "source_num_bytes": 7,
    "source_sha256": SHA,
    "status": "quarantined",
    "reason": "truncated",
    "detail": "12 of 40 frames",
    "limits": '{"max_frames": 12}',
    "num_frames": 0,
    "width": 0,
    "height": 0,
    "fps_from_header": 0.0,
    "num_frames_from_header": 0,
    "duration_seconds_from_header": 0.0,
    "fps_from_content": 0.0,
    "duration_seconds_from_content": 0.0,
    "rotation_degrees": 0,
    "num_frames_lost": 0,
    "shard": PATH,
    "row": -1,
    "frames_offset": -1,
    "frame_sizes": [],
    "frames_sha256": "",
    "frame_crc32s": [],
}
MISSING_ROW = QUARANTINED_ROW | {
    "clip_id": "9",
    "split": "validation",
    "label_id": 0,
    "label": "Nothing",
    "uri": None,
    "source_num_bytes": None,
    "source_sha256": None,
    "shard": None,
    "status": "missing",
    "reason": "missing",
    "detail": "no file 9.webm",
    "limits": "",
}
UNLISTED_ROW = MISSING_ROW | {
    "clip_id": "77",
    "split": "",
    "label_id": -1,
    "label": "",
    "status": "unlisted",
    "reason": "unlisted",
    "detail": "no annotation",
}


@pytest.fixture
def table_path(tmp_path):
    """A table of five clips: two of train, one of each other kind."""
    missing = records.Annotation("9", "validation", 0, "Nothing")
    path = tmp_path / "clips.parquet"
    clips_table.write(
        path,
        [
            clips_table.shard_rows(SUMMARY, PATH, URIS, label_names=LABEL_NAMES),
            clips_table.shard_rows(TEST_SUMMARY, PATH, URIS, label_names=LABEL_NAMES),
            clips_table.missing_rows([missing], "no file 9.webm"),
            clips_table.unlisted_rows(["77"], "no annotation"),
        ],
    )
    return path


def test_a_row_says_all_that_became_of_its_clip(table_path):
    rows = clips_table.read(table_path).to_pylist()
    assert [row["clip_id"] for row in rows] == ["78687", "5", "1420", "9", "77"]
    assert rows[0] == STORED_ROW
    assert rows[1] == QUARANTINED_ROW
    assert rows[3] == MISSING_ROW
    assert rows[4] == UNLISTED_ROW


def test_every_row_has_all_columns_in_order(table_path):
    assert clips_table.read(table_path).column_names == list(STORED_ROW)


def test_labels_come_from_the_annotations_not_from_the_shard():
    # A shard that was reused for another class's text keeps only the number.
    names = [*LABEL_NAMES[:19], "Renamed"]
    row, _ = clips_table.shard_rows(SUMMARY, PATH, URIS, label_names=names)
    assert (row["label_id"], row["label"]) == (19, "Renamed")


def test_what_became_of_no_clip_says_so_in_every_column():
    rows = clips_table.missing_rows([ANNOTATION], "no file")
    rows += clips_table.unlisted_rows(["5"], "no annotation")
    assert {tuple(sorted(row)) for row in rows} == {
        tuple(sorted(set(STORED_ROW) - {"uri", "shard", *SOURCE_COLUMNS}))
    }


def test_each_shard_is_a_row_group(table_path):
    file = parquet.ParquetFile(table_path)
    groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert groups == [2, 1, 1, 1]


def test_a_written_table_is_forced_to_disk_whole(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_size))
    path = tmp_path / "clips.parquet"
    clips_table.write(
        path, [clips_table.shard_rows(SUMMARY, PATH, URIS, label_names=LABEL_NAMES)]
    )
    assert synced == [path.stat().st_size]


@pytest.mark.parametrize("row_groups", [[], [[]], [[], []]])
def test_a_table_may_be_empty(tmp_path, row_groups):
    clips_table.write(tmp_path / "clips.parquet", row_groups)
    found = clips_table.read(tmp_path / "clips.parquet")
    assert (found.num_rows, found.schema) == (0, clips_table.SCHEMA)


@pytest.mark.parametrize(
    ("split", "clip_ids"),
    [
        ("train", ["78687", "5"]),
        ("validation", ["9"]),
        ("test", ["1420"]),
        ("", ["77"]),
        ("nowhere", []),
        (None, ["78687", "5", "1420", "9", "77"]),
    ],
)
def test_one_split_can_be_read(table_path, split, clip_ids):
    found = clips_table.read(table_path, split=split)
    assert found["clip_id"].to_pylist() == clip_ids


def test_some_columns_can_be_read_of_one_split(table_path):
    found = clips_table.read(table_path, ("num_frames", "clip_id"), "train")
    assert found.to_pylist() == [
        {"num_frames": 3, "clip_id": "78687"},
        {"num_frames": 0, "clip_id": "5"},
    ]


def test_names_of_folders_above_the_table_become_no_columns(tmp_path):
    folder = tmp_path / "split=other" / "dataset=1"
    folder.mkdir(parents=True)
    row_group = clips_table.shard_rows(SUMMARY, PATH, URIS, label_names=LABEL_NAMES)
    clips_table.write(folder / "clips.parquet", [row_group])
    found = clips_table.read(folder / "clips.parquet", split="train")
    assert found.to_pylist() == [STORED_ROW, QUARANTINED_ROW]


def test_equal_rows_make_equal_files(table_path, tmp_path):
    again = tmp_path / "again.parquet"
    groups = [
        clips_table.shard_rows(SUMMARY, PATH, URIS, label_names=LABEL_NAMES),
        clips_table.shard_rows(TEST_SUMMARY, PATH, URIS, label_names=LABEL_NAMES),
        [{**MISSING_ROW}],
        [{**UNLISTED_ROW}],
    ]
    clips_table.write(again, groups)
    assert again.read_bytes() == table_path.read_bytes()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"clip_id": ["5"]}, r"its columns are \['clip_id'\], expected \['clip_id', "),
        (
            {name: [1] for name in clips_table.SCHEMA.names},
            r"its columns are \['clip_id', 'split'",
        ),
    ],
)
def test_a_table_with_other_columns_is_refused(tmp_path, columns, message):
    path = tmp_path / "clips.parquet"
    parquet.write_table(pa.table(columns), path)
    with pytest.raises(clips_table.TableError, match=message):
        clips_table.read(path)


def cut(content):
    return content[: len(content) // 2]


def without_footer(content):
    return content[:-8]


def flip_in_footer(content):
    position = len(content) - 2000
    return content[:position] + b"\xff" * 64 + content[position + 64 :]


def flip_in_rows(content):
    return content[:4] + b"\xff" * 400 + content[404:]


@pytest.mark.parametrize(
    "damage",
    [cut, without_footer, flip_in_footer, flip_in_rows, lambda _: b"", lambda _: b"{}"],
)
def test_a_damaged_table_is_refused_by_its_name(table_path, damage):
    table_path.write_bytes(damage(table_path.read_bytes()))
    with pytest.raises(clips_table.TableError) as caught:
        clips_table.read(table_path)
    assert str(caught.value).startswith(f"{table_path}: cannot be read as Parquet: ")


def test_a_table_that_is_gone_is_refused_by_its_name(tmp_path):
    path = tmp_path / "clips.parquet"
    with pytest.raises(clips_table.TableError, match=f"{path}: cannot be read"):
        clips_table.read(path)


@pytest.mark.parametrize(
    ("sizes", "num_rows", "expected"),
    [
        ((), 3, []),
        ((1, 1, 1, 1), 3, [3, 1]),
        ((2, 2, 5), 3, [4, 5]),
        ((1, 1), 3, [2]),
        ((4, 0), 2, [4, 0]),
    ],
)
def test_batches_are_gathered_in_their_order(sizes, num_rows, expected):
    values = iter(range(9))
    batches = [
        pa.record_batch(
            {"n": pa.array([next(values) for _ in range(size)], pa.int64())}
        )
        for size in sizes
    ]
    found = list(clips_table.gathered(batches, num_rows))
    assert [table.num_rows for table in found] == expected
    in_order = [n for table in found for n in table["n"].to_pylist()]
    assert in_order == list(range(sum(sizes)))


@pytest.mark.parametrize("split", ["train", "validation", "test", "", "nowhere"])
@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize("rows_per_group", [1, 2, 5])
def test_batches_of_one_split_are_its_rows(
    table_path, split, statistics, rows_per_group
):
    table = clips_table.read(table_path)
    parquet.write_table(
        table, table_path, row_group_size=rows_per_group, write_statistics=statistics
    )
    found = list(clips_table.batches(table_path, ("row", "clip_id"), split))
    expected = clips_table.read(table_path, ("row", "clip_id"), split)
    rows = [row for batch in found for row in batch.to_pylist()]
    assert rows == expected.to_pylist()
    assert all(batch.schema.names == ["row", "clip_id"] for batch in found)


def test_groups_that_have_nothing_of_the_split_are_not_read(table_path):
    group = parquet.read_metadata(table_path).row_group(1)  # of test alone
    begin = group.column(0).data_page_offset
    with table_path.open("r+b") as file:
        file.seek(begin)
        file.write(bytes(200))
    found = list(clips_table.batches(table_path, ("clip_id",), "train"))
    assert [batch.column("clip_id").to_pylist() for batch in found] == [["78687", "5"]]
    with pytest.raises(clips_table.TableError, match="cannot be read as Parquet"):
        list(clips_table.batches(table_path, ("clip_id",), "test"))
