"""Tables whose row groups hold one shard, several, or none."""

import os

import pyarrow as pa
import pytest
from pyarrow import parquet

from mindrecord_io.versions import clips_table

SCHEMA = pa.schema(
    [("clip_id", pa.string()), ("n", pa.int32()), ("shard", pa.string())]
)


def write(path, *row_groups):
    """Writes groups of "<clip_id><shard>", the shard "-" for none."""
    with parquet.ParquetWriter(path, SCHEMA) as writer:
        for rows in row_groups:
            columns = [
                [row[0] for row in rows],
                [ord(row[0]) for row in rows],
                [None if row[1] == "-" else row[1] for row in rows],
            ]
            writer.write_table(pa.table(columns, schema=SCHEMA))


@pytest.mark.parametrize(
    ("row_groups", "expected"),
    [
        ((["aX", "bX"], ["cY"]), {"X": "ab", "Y": "c", "Z": ""}),
        ((["aY"], ["bX"], ["cY"]), {"X": "b", "Y": "ac"}),
        ((["aX", "bY", "cX"],), {"X": "ac", "Y": "b"}),
        ((["aX", "b-"], ["cY"]), {"X": "a", "Y": "c", "-": ""}),
        ((["aX"], ["b-", "c-"]), {"X": "a", "-": ""}),
        ((["aX"], ["bX", "cY"], ["dY"]), {"X": "ab", "Y": "cd", "W": ""}),
    ],
)
def test_a_shard_has_its_own_clips_in_the_order_of_the_table(
    tmp_path, row_groups, expected
):
    path = tmp_path / "clips.parquet"
    write(path, *row_groups)

    for shard, clip_ids in expected.items():
        assert clips_table.read_shard(path, shard, ["n", "clip_id"]) == [
            {"n": ord(clip_id), "clip_id": clip_id} for clip_id in clip_ids
        ]


def test_the_footer_is_read_once(tmp_path, monkeypatch):
    path = tmp_path / "clips.parquet"
    write(path, ["aX"], ["bY"])
    read, num_read = parquet.read_metadata, []
    monkeypatch.setattr(
        parquet, "read_metadata", lambda path: num_read.append(path) or read(path)
    )

    for shard in "XYXY":
        clips_table.read_shard(path, shard, ["clip_id"])

    assert num_read == [path]


def test_a_table_that_was_replaced_is_read_anew(tmp_path):
    path = tmp_path / "clips.parquet"
    write(path, ["aX"], ["bY"])
    assert clips_table.read_shard(path, "X", ["clip_id"]) == [{"clip_id": "a"}]
    write(path, ["cZ"], ["dX"])
    os.utime(path, ns=(1, 1))

    assert clips_table.read_shard(path, "X", ["clip_id"]) == [{"clip_id": "d"}]


@pytest.mark.parametrize("content", [None, b"", b"PAR1 no table PAR1"])
def test_what_is_no_table_is_told(tmp_path, content):
    path = tmp_path / "clips.parquet"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(clips_table.TableError) as error:
        clips_table.read_shard(path, "X", ["clip_id"])

    assert str(error.value).startswith(f"{path}: cannot be read as Parquet: ")


def test_a_table_of_other_columns_is_told(tmp_path):
    path = tmp_path / "clips.parquet"
    parquet.write_table(pa.table({"clip_id": ["a"]}), path)

    with pytest.raises(clips_table.TableError, match="'shard' is not in list"):
        clips_table.read_shard(path, "X", ["clip_id"])
