"""The files are compared with those that MindSpore's own FileWriter makes."""

import contextlib
import dataclasses
import errno
import json
import os
import sqlite3
import struct

import numpy as np
import pytest
from mindspore import mindrecord
from mindspore.dataset import MindDataset

from mindrecord_io import records
from mindrecord_io.shards import mindrecord_encoding, mindrecord_file, schema

NAME = "train-00003-of-00512.mindrecord"
SMALL_PAGE, PAGE = 32 << 10, 1 << 20


def rows_of(rng, num_rows, max_frame_num_bytes, max_num_frames):
    """Rows of all the widths that MindRecord knows."""
    rows = []
    for number in range(num_rows):
        num_frames = rng.integers(1, max_num_frames + 1)
        limits = rng.choice([130, max_frame_num_bytes], num_frames)
        sizes = tuple(int(rng.integers(1, limit + 1)) for limit in limits)
        clip_id = rng.choice(["{}", "clip_{}", "x" * 40 + "{}", "y" * 190 + "{}"])
        label = rng.choice([-1, 0, 127, 128, 173, 255, 256, 65_535, 65_536, 2**31 - 1])
        row = mindrecord_encoding.Row(
            clip_id=str(clip_id).format(number),
            label=int(label),
            frame_sizes=sizes,
            height=int(rng.choice([24, 240, 1_080])),
            width=int(rng.choice([32, 427, 70_000])),
        )
        rows.append((row, rng.bytes(sum(sizes))))
    return rows


def write(folder, rows, page_num_bytes):
    folder.mkdir()
    file = mindrecord_file.MindRecordFile(folder / NAME, page_num_bytes)
    offsets = [file.append(row, frames) for row, frames in rows]
    file.finish()
    return offsets


def write_with_mindspore(folder, rows, page_num_bytes):
    folder.mkdir()
    writer = mindrecord.FileWriter(str(folder / NAME), shard_num=1)
    writer.set_header_size(schema.HEADER_NUM_BYTES)
    writer.set_page_size(page_num_bytes)
    writer.add_schema(schema.MINDRECORD_SCHEMA, "clip")
    for row, frames in rows:
        fields = dataclasses.asdict(row) | {
            "num_frames": len(row.frame_sizes),
            "frame_sizes": np.array(row.frame_sizes, np.int32),
            "frames": frames,
        }
        writer.write_raw_data([fields])
    writer.commit()


def index_of(folder):
    with contextlib.closing(sqlite3.connect(folder / f"{NAME}.db")) as database:
        return [
            database.execute(f"SELECT * FROM {table}").fetchall()
            for table in ("sqlite_master", "SHARD_NAME", "INDEXES")
        ]


@pytest.mark.parametrize(
    ("num_rows", "max_frame_num_bytes", "max_num_frames", "page_num_bytes"),
    [
        (1, 100, 3, SMALL_PAGE),
        (5, 100, 3, 8 << 20),
        (1_500, 100, 2, PAGE),  # one page, an index of many
        (90, 4_000, 8, SMALL_PAGE),  # many pages
        (20, 70_000, 12, PAGE),  # sizes of 4 bytes
        (40, 20_000, 90, 8 << 20),  # as real clips
    ],
)
def test_the_files_are_those_of_mindspores_own_writer(
    tmp_path, num_rows, max_frame_num_bytes, max_num_frames, page_num_bytes
):
    rng = np.random.default_rng(num_rows)
    rows = rows_of(rng, num_rows, max_frame_num_bytes, max_num_frames)
    write(tmp_path / "ours", rows, page_num_bytes)
    write_with_mindspore(tmp_path / "theirs", rows, page_num_bytes)
    ours, theirs = (tmp_path / name / NAME for name in ("ours", "theirs"))
    assert ours.read_bytes() == theirs.read_bytes()
    # The index has the same size and rows; what it does not use is zeros in ours.
    assert index_of(tmp_path / "ours") == index_of(tmp_path / "theirs")
    sizes = [path.with_name(f"{NAME}.db").stat().st_size for path in (ours, theirs)]
    assert sizes[0] == sizes[1]


def test_frames_lie_at_the_offsets_that_are_told(tmp_path):
    rows = rows_of(np.random.default_rng(1), 50, 2_000, 9)
    offsets = write(tmp_path / "ours", rows, SMALL_PAGE)
    content = (tmp_path / "ours" / NAME).read_bytes()
    for (_, frames), offset in zip(rows, offsets, strict=True):
        assert content[offset : offset + len(frames)] == frames


def test_more_rows_than_one_raw_page_holds_are_read_back(tmp_path):
    rows = rows_of(np.random.default_rng(2), 900, 20, 2)  # about 120 kB but for frames
    write(tmp_path / "ours", rows, SMALL_PAGE)
    path = tmp_path / "ours" / NAME
    (length,) = struct.unpack_from("<Q", path.read_bytes())
    pages = json.loads(path.read_bytes()[8 : 8 + length])["page"]
    assert sum(page["page_type"] == "RAW_DATA" for page in pages) == 4
    assert [page["page_id"] for page in pages] == list(range(len(pages)))

    dataset = MindDataset([str(path)], list(schema.COLUMNS), shuffle=False)
    read = list(dataset.create_dict_iterator(num_epochs=1, output_numpy=True))

    assert [(str(r["clip_id"]), r["label"].item()) for r in read] == [
        (row.clip_id, row.label) for row, _ in rows
    ]
    assert [r["frames"].tobytes() for r in read] == [frames for _, frames in rows]
    assert [tuple(r["frame_sizes"].tolist()) for r in read] == [
        row.frame_sizes for row, _ in rows
    ]


def test_rows_larger_than_a_page_are_read_back_from_several_files_at_once(tmp_path):
    rng = np.random.default_rng(3)
    sizes = [[(9_000,)] * 7, [(90_000, 5), (9_000,), (3,), (200_000,), (32_000,)]]
    sizes += [[(400_000,), (9_000,), (33_000,), (8_000,)]]  # small, mixed, large first
    expected, paths = {}, []
    for index, of_file in enumerate(sizes):
        rows = [
            (
                mindrecord_encoding.Row(f"{index}-{n}", n, some, 24, 32),
                rng.bytes(sum(some)),
            )
            for n, some in enumerate(of_file)
        ]
        write(tmp_path / str(index), rows, SMALL_PAGE)
        paths.append(str(tmp_path / str(index) / NAME))
        expected |= {row.clip_id: frames for row, frames in rows}

    for words in ({"shuffle": False}, {"shuffle": True}, {"num_shards": 1}):
        words = {"shard_id": 0, **words} if "num_shards" in words else words
        dataset = MindDataset(paths, ["clip_id", "frames"], **words)
        read = list(dataset.create_dict_iterator(num_epochs=1, output_numpy=True))
        assert {str(r["clip_id"]): r["frames"].tobytes() for r in read} == expected
    for path in paths:
        reader = mindrecord.FileReader(path)
        for row in reader.get_next():
            assert bytes(row["frames"]) == expected[row["clip_id"]]
        reader.close()


def test_a_file_that_is_not_finished_has_no_header_and_no_index(tmp_path):
    file = mindrecord_file.MindRecordFile(tmp_path / NAME, SMALL_PAGE)
    for row, frames in rows_of(np.random.default_rng(3), 3, 50, 2):
        file.append(row, frames)
    file.close()
    content = (tmp_path / NAME).read_bytes()
    assert not any(content[: schema.HEADER_NUM_BYTES])
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_an_existing_file_is_not_overwritten(tmp_path):
    (tmp_path / NAME).write_bytes(b"old")
    with pytest.raises(FileExistsError):
        mindrecord_file.MindRecordFile(tmp_path / NAME, SMALL_PAGE)
    assert (tmp_path / NAME).read_bytes() == b"old"


@pytest.mark.parametrize(
    ("frame_sizes", "num_bytes", "message"),
    [
        ((), 0, "7: 0 bytes of frames, frame_sizes say 0; there must be at least one"),
        ((5, 5), 9, "7: 9 bytes of frames, frame_sizes say 10"),
        (
            (32_768,),
            32_768,
            "7: 32801 bytes do not fit in a page, which may have 32768",
        ),
    ],
)
def test_a_row_that_cannot_be_is_refused(
    tmp_path, monkeypatch, frame_sizes, num_bytes, message
):
    monkeypatch.setattr(schema, "MAX_PAGE_NUM_BYTES", SMALL_PAGE)
    file = mindrecord_file.MindRecordFile(tmp_path / NAME, SMALL_PAGE)
    row = mindrecord_encoding.Row("7", 0, frame_sizes, 24, 32)
    with pytest.raises(ValueError, match=message):
        file.append(row, bytes(num_bytes))
    file.close()


def test_more_pages_than_the_header_can_list_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(schema, "HEADER_NUM_BYTES", 2 << 10)
    file = mindrecord_file.MindRecordFile(tmp_path / NAME, SMALL_PAGE)
    for number in range(12):
        row = mindrecord_encoding.Row(str(number), 0, (30_000,), 24, 32)
        file.append(row, bytes(30_000))
    message = "a list of 13 pages does not fit in a header of 2048 bytes; ask for more"
    with pytest.raises(ValueError, match=message):
        file.finish()


def test_what_lies_in_another_file_is_copied(tmp_path):
    (tmp_path / "old").write_bytes(b"0123456789")
    where = records.FileRange(tmp_path / "old", 3, 4)
    row = mindrecord_encoding.Row("7", 0, (1, 3), 24, 32)
    file = mindrecord_file.MindRecordFile(tmp_path / NAME, SMALL_PAGE)
    offset = file.append(row, where)
    file.finish()
    assert (tmp_path / NAME).read_bytes()[offset : offset + 4] == b"3456"


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS])
def test_file_systems_that_copy_nothing_by_themselves_are_copied_from(
    tmp_path, monkeypatch, number
):
    def refuse(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "copy_file_range", refuse)
    frames = np.random.default_rng(1).bytes(3_000_000)  # more than is read at once
    (tmp_path / "old").write_bytes(b"123" + frames + b"4")
    where = records.FileRange(tmp_path / "old", 3, len(frames))
    file = mindrecord_file.MindRecordFile(tmp_path / NAME, 8 << 20)
    row = mindrecord_encoding.Row("7", 0, (len(frames),), 24, 32)
    offset = file.append(row, where)
    file.finish()
    content = (tmp_path / NAME).read_bytes()
    assert content[offset : offset + len(frames)] == frames


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664)])
def test_the_files_follow_the_umask(tmp_path, umask, mode):
    rows = rows_of(np.random.default_rng(1), 1, 100, 2)
    before = os.umask(umask)
    try:
        write(tmp_path / "own", rows, PAGE)
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "own").iterdir()}
    assert modes == {mode}
