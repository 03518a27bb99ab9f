import contextlib
import sqlite3
import struct

import pytest

from mindrecord_io.shards import mindrecord_encoding as encoding


def row(**changed):
    fields = {
        "clip_id": "61",
        "label": 10,
        "frame_sizes": (5,) * 43,
        "height": 240,
        "width": 427,
    }
    return encoding.Row(**(fields | changed))


@pytest.mark.parametrize(
    ("sizes", "encoded"),
    [
        # count, two bits an element, elements of 1, 2 or 4 bytes
        ((5,), "00000001 00 05"),
        ((127, 128), "00000002 10 7f 8000"),
        ((32_767, 32_768), "00000002 60 ff7f 00800000"),
        ((1, 2, 3, 300, 4), "00000005 0100 01 02 03 2c01 04"),
        ((2**31 - 1,), "00000001 80 ffffff7f"),
    ],
)
def test_sizes_take_as_many_bytes_as_they_need(sizes, encoded):
    expected = bytes.fromhex(encoded)
    head = struct.pack(">Q", len(expected)) + expected + struct.pack(">Q", 1_000)
    assert encoding.blob_row_head(sizes, 1_000) == (
        struct.pack("<Q", len(head) + 1_000) + head
    )


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [((5,), 4 - 6), ((300,) * 8, 32 - (4 + 2 + 16)), ((1,) * 40, 160 - (4 + 10 + 40))],
)
def test_what_narrow_sizes_save_is_counted(sizes, expected):
    assert encoding.num_saved_bytes(sizes) == expected


def test_a_raw_row_is_a_map_with_its_length_before_it():
    packed = (
        b"\x85\xa7clip_id\xa261\xa6height\xcc\xf0\xa5label\x0a\xaanum_frames\x2b"
        b"\xa5width\xcd\x01\xab"
    )
    assert encoding.raw_row(row()) == struct.pack("<Q", len(packed)) + packed


@pytest.mark.parametrize(
    ("label", "packed"),
    [
        (-1, "ff"),
        (0, "00"),
        (127, "7f"),
        (128, "cc80"),
        (255, "ccff"),
        (256, "cd0100"),
        (65_535, "cdffff"),
        (65_536, "ce00010000"),
        (2**31 - 1, "ce7fffffff"),
    ],
)
def test_numbers_are_packed_as_short_as_can_be(label, packed):
    raw = encoding.raw_row(row(label=label))
    assert b"\xa5label" + bytes.fromhex(packed) + b"\xaanum_frames" in raw


@pytest.mark.parametrize(
    ("length", "head"),
    [(1, b"\xa1"), (31, b"\xbf"), (32, b"\xd9\x20"), (200, b"\xd9\xc8")],
)
def test_ids_are_packed_with_their_length(length, head):
    clip_id = "x" * length
    raw = encoding.raw_row(row(clip_id=clip_id))
    assert b"\xa7clip_id" + head + clip_id.encode() + b"\xa6height" in raw


def index_row(number, clip_id="7"):
    places = (number, 1, 57 * number, 57 * number + 57, 0, 0, 900 * number, 900)
    return (*places, 0, clip_id, 0, 240, 0, 3, 0, 12, 0, 427)


def test_the_index_is_a_table_of_places_and_fields(tmp_path):
    rows = [index_row(number, str(number)) for number in range(3_000)]
    path = tmp_path / "index.db"
    path.write_bytes(encoding.index_file("train.mindrecord", rows))
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("SELECT * FROM INDEXES").fetchall() == rows
        names = database.execute("SELECT NAME FROM SHARD_NAME").fetchall()
    assert names == [("train.mindrecord",)]


def test_the_index_does_not_tell_which_sqlite_made_it():
    image = encoding.index_file("train.mindrecord", [index_row(0)])
    assert struct.unpack_from(">I", image, 24) == (4,)  # the change counter
    assert struct.unpack_from(">II", image, 92) == (4, 3_046_001)
