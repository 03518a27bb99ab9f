import contextlib
import sqlite3

import pytest

from mindrecord_io import schema

PAGE = 32_768
TABLE = (
    "CREATE TABLE INDEXES (ROW_ID INTEGER, clip_id_0 TEXT, PAGE_ID_BLOB INTEGER, "
    "PAGE_OFFSET_BLOB INTEGER, PAGE_OFFSET_BLOB_END INTEGER)"
)


def write_index(path, rows, table=TABLE):
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(table)
        database.executemany("INSERT INTO INDEXES VALUES (?, ?, ?, ?, ?)", rows)
        database.commit()
    return path


def test_columns_are_those_that_readers_of_the_format_know():
    assert schema.COLUMNS == (
        "clip_id",
        "label",
        "num_frames",
        "frame_sizes",
        "frames",
        "height",
        "width",
    )


def test_frames_is_the_last_of_the_variable_width_fields_in_a_row():
    blobs = [
        name
        for name, field in schema.MINDRECORD_SCHEMA.items()
        if field["type"] == "bytes" or "shape" in field
    ]
    assert max(blobs) == "frames"


@pytest.mark.parametrize(
    ("num_frames", "expected"), [(1, 32_696), (45, 32_344), (4_088, 0)]
)
def test_a_clip_may_fill_a_page_less_its_length_fields(num_frames, expected):
    # 32,768 - 64 - 8 for each frame
    assert schema.max_frames_num_bytes(PAGE, num_frames) == expected


def test_frames_end_where_the_rows_blob_ends_in_its_page(tmp_path):
    index = write_index(
        tmp_path / "i.db",
        [(0, "b", 1, 0, 130), (1, "a", 1, 130, 1_000), (2, "c", 3, 0, 60)],
    )
    assert schema.frame_offsets(index, PAGE, {"b": 100, "a": 800, "c": 7}) == {
        "b": 262_144 + 32_768 + 130 - 100,
        "a": 262_144 + 32_768 + 1_000 - 800,
        "c": 262_144 + 3 * 32_768 + 60 - 7,
    }


def test_rows_are_taken_by_their_number_not_by_their_place_in_the_table(tmp_path):
    rows = [(1, "a", 1, 50, 90), (0, "b", 1, 0, 50)]
    index = write_index(tmp_path / "i.db", rows)
    assert schema.frame_offsets(index, PAGE, {"b": 50, "a": 40}) == {
        "b": 294_912,
        "a": 294_962,
    }


@pytest.mark.parametrize("folder", ["a b", "a?b", "a#b", "a%20b", "ä"])
def test_the_folder_of_the_index_may_have_any_name(tmp_path, folder):
    (tmp_path / folder).mkdir()
    index = write_index(tmp_path / folder / "i.db", [(0, "a", 0, 0, 9)])
    assert schema.frame_offsets(index, PAGE, {"a": 9}) == {"a": 262_144}


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({}, "lists 2 rows, expected 0 clips"),
        ({"b": 1}, "lists 2 rows, expected 1 clips in the order they were written"),
        ({"a": 1, "b": 1}, "lists 2 rows, expected 2 clips in the order"),
        ({"b": 1, "a": 1, "c": 1}, "lists 2 rows, expected 3 clips"),
    ],
)
def test_an_index_of_other_clips_is_refused(tmp_path, expected, message):
    index = write_index(tmp_path / "i.db", [(0, "b", 1, 0, 9), (1, "a", 1, 9, 18)])
    with pytest.raises(schema.SchemaError, match=message):
        schema.frame_offsets(index, PAGE, expected)


def test_an_index_whose_row_numbers_have_a_gap_is_refused(tmp_path):
    index = write_index(tmp_path / "i.db", [(0, "b", 1, 0, 9), (2, "a", 1, 9, 18)])
    with pytest.raises(schema.SchemaError, match="in the order they were written"):
        schema.frame_offsets(index, PAGE, {"b": 9, "a": 9})


def damage_nothing_is_there(path):
    pass


def damage_not_sqlite(path):
    path.write_bytes(b"not a database" * 100)


def damage_cut(path):
    write_index(path, [(i, str(i), 1, i, i + 1) for i in range(400)])
    path.write_bytes(path.read_bytes()[:5_000])


def damage_other_table(path):
    table = "CREATE TABLE INDEXES (a, b, c, d, e)"
    write_index(path, [(0, "b", 1, 0, 9)], table)


@pytest.mark.parametrize(
    "damage",
    [damage_nothing_is_there, damage_not_sqlite, damage_cut, damage_other_table],
)
def test_what_is_no_index_is_refused_by_its_name(tmp_path, damage):
    index = tmp_path / "train-00000-of-00001.mindrecord.db"
    damage(index)
    with pytest.raises(schema.SchemaError, match=rf"{index}: not a shard's index: "):
        schema.frame_offsets(index, PAGE, {"b": 9})


def test_looking_for_an_index_that_is_gone_makes_no_file(tmp_path):
    with pytest.raises(schema.SchemaError):
        schema.frame_offsets(tmp_path / "i.db", PAGE, {"b": 9})
    assert list(tmp_path.iterdir()) == []
