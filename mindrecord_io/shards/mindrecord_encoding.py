"""Encodes a row as MindRecord 3.0 does, and the index beside a file.

blob row  u64 LE length, then of each blob field: u64 BE length, bytes
raw row   u64 LE length, MessagePack map of the others, keys in alphabetical order
integers  u32 BE count, two bits an element for its width (most significant first),
          then each in 1, 2 or 4 bytes, little-endian
index     a sqlite file: where each row lies, and its raw fields
"""

import contextlib
import sqlite3
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = [
    "INDEX_FIELDS",
    "TABLES",
    "IndexRow",
    "Row",
    "blob_row_head",
    "index_file",
    "num_saved_bytes",
    "raw_row",
]

INDEX_FIELDS = ("clip_id", "height", "label", "num_frames", "width")

IndexRow = tuple[int | str, ...]

# The numbers that FileWriter's library leaves in its files, so that the version of the
# machine's own does not show in ours.
_SQLITE_VERSION = 3_046_001
_NUM_WRITE_TRANSACTIONS = 4

_CREATE_INDEXES = (
    "CREATE TABLE INDEXES("
    "  ROW_ID               INT  NOT NULL, PAGE_ID_RAW          INT  NOT NULL,"
    " PAGE_OFFSET_RAW      INT  NOT NULL, PAGE_OFFSET_RAW_END  INT  NOT NULL,"
    " ROW_GROUP_ID         INT  NOT NULL, PAGE_ID_BLOB         INT  NOT NULL,"
    " PAGE_OFFSET_BLOB     INT  NOT NULL, PAGE_OFFSET_BLOB_END INT  NOT NULL,"
    "INC_0 INT, clip_id_0 TEXT,INC_1 INT, height_0 INTEGER,INC_2 INT, label_0 INTEGER,"
    "INC_3 INT, num_frames_0 INTEGER,INC_4 INT, width_0 INTEGER,"
    " PRIMARY KEY(ROW_ID,INC_0,INC_1,INC_2,INC_3,INC_4))"
)
_CREATE_SHARD_NAME = "CREATE TABLE SHARD_NAME(NAME TEXT NOT NULL)"
TABLES = {"INDEXES": _CREATE_INDEXES, "SHARD_NAME": _CREATE_SHARD_NAME}
"""The tables of an index by their names, as SQL makes them."""

_INSERT = "INSERT INTO INDEXES VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"


@dataclass(frozen=True, slots=True)
class Row:
    """One clip's fields, all but the JPEGs themselves."""

    clip_id: str
    label: int
    frame_sizes: Sequence[int]
    height: int
    width: int


def blob_row_head(frame_sizes: Sequence[int], frames_num_bytes: int) -> bytes:
    """Returns the bytes before a row's JPEGs in its blob page."""
    sizes = _compressed(frame_sizes)
    head = struct.pack(">Q", len(sizes)) + sizes + struct.pack(">Q", frames_num_bytes)
    return struct.pack("<Q", len(head) + frames_num_bytes) + head


def num_saved_bytes(frame_sizes: Sequence[int]) -> int:
    """Returns how much shorter the sizes are than int32; negative if longer."""
    return 4 * len(frame_sizes) - len(_compressed(frame_sizes))


def raw_row(row: Row) -> bytes:
    """Returns a row of the raw page."""
    fields: list[tuple[str, int | str]] = [
        ("clip_id", row.clip_id),
        ("height", row.height),
        ("label", row.label),
        ("num_frames", len(row.frame_sizes)),
        ("width", row.width),
    ]
    packed = bytes([0x80 | len(fields)])
    for name, value in fields:
        packed += _packed_text(name)
        packed += _packed_text(value) if isinstance(value, str) else _packed_int(value)
    return struct.pack("<Q", len(packed)) + packed


def index_file(file_name: str, rows: Iterable[IndexRow]) -> bytes:
    """Returns the sqlite file that stands beside a .mindrecord file.

    Args:
      file_name: the .mindrecord file's.
      rows: the values of the table's columns, in the order of the rows in the file.
    """
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        # What a page does not use is zeros, whichever way the library was compiled.
        database.execute("PRAGMA secure_delete = ON")
        database.execute(_CREATE_INDEXES)
        database.execute(_CREATE_SHARD_NAME)
        database.execute("INSERT INTO SHARD_NAME VALUES (?)", (file_name,))
        database.executemany(_INSERT, rows)
        database.commit()
        image = bytearray(database.serialize())
    # https://www.sqlite.org/fileformat.html, 1.3: the change counter, for which of its
    # values the version is valid, and the version of the library that wrote last.
    struct.pack_into(">I", image, 24, _NUM_WRITE_TRANSACTIONS)
    struct.pack_into(">II", image, 92, _NUM_WRITE_TRANSACTIONS, _SQLITE_VERSION)
    return bytes(image)


def _compressed(numbers: Sequence[int]) -> bytes:
    """Returns non-negative int32 numbers in MindRecord's variable width."""
    values = np.asarray(numbers, "<i4")  # (F,)
    codes = (values > 0x7F).astype(np.uint8) + (values > 0x7FFF)  # 1, 2 or 4 bytes
    padded = np.zeros((len(values) + 3) // 4 * 4, np.uint8)
    padded[: len(values)] = codes
    quads = padded.reshape(-1, 4) << np.array([6, 4, 2, 0], np.uint8)
    widths: bytes = np.bitwise_or.reduce(quads, axis=1).astype(np.uint8).tobytes()
    is_used = np.arange(4) < (1 << codes)[:, None]  # (F, 4)
    packed: bytes = values.view(np.uint8).reshape(-1, 4)[is_used].tobytes()
    return struct.pack(">I", len(values)) + widths + packed


def _packed_text(text: str) -> bytes:
    """Returns a text in MessagePack; ids have at most 200 bytes."""
    encoded = text.encode()
    assert len(encoded) < 1 << 8, text
    is_short = len(encoded) < 1 << 5
    head = [0xA0 | len(encoded)] if is_short else [0xD9, len(encoded)]
    return bytes(head) + encoded


def _packed_int(value: int) -> bytes:
    """Returns an integer in MessagePack's shortest form; -1 is the least label."""
    assert -32 <= value < 1 << 32, value
    if value < 1 << 7:
        return struct.pack("b", value)
    for code, form, num_bits in ((0xCC, ">B", 8), (0xCD, ">H", 16)):
        if value < 1 << num_bits:
            return bytes([code]) + struct.pack(form, value)
    return b"\xce" + struct.pack(">I", value)
