import os

import pyarrow as pa
import pytest
from pyarrow import parquet

from mindrecord_io.records import Fingerprint
from mindrecord_io.shards import sharding
from mindrecord_io.storage import table_join
from pipelines.planning import source_records
from pipelines.planning.clip_references import Reference
from pipelines.planning.source_records import SourceRecords

CLIP_IDS = [str(number) for number in range(700)]
SOURCES = {c: Fingerprint(6, f"{int(c):064x}") for c in CLIP_IDS}


def clip(clip_id):
    return Reference(0, clip_id, "train", 0, f"/clips/{clip_id}.webm")


@pytest.fixture
def path(tmp_path):
    """Records of 700 clips less clip 13, which cannot be recognised."""
    records = source_records.NewRecords()
    for begin in range(0, len(CLIP_IDS), 100):  # shards
        clips = [clip(c) for c in CLIP_IDS[begin : begin + 100]]
        identities = ["" if c.clip_id == "13" else f"id-{c.clip_id}" for c in clips]
        records.add(clips, identities, SOURCES)
    records.write(tmp_path / "sources.parquet")
    return tmp_path / "sources.parquet"


def all_of(records):
    """(uri, identity, sha256) by clip id."""
    partitions = (records.partition(i) for i in range(sharding.NUM_PARTITIONS))
    rows = [tuple(row.values()) for some in partitions for row in some.to_pylist()]
    return {clip_id: rest for clip_id, *rest in rows}


def test_records_are_read_back_by_partition(path):
    records = SourceRecords(path)
    assert all_of(records) == {
        c: [f"/clips/{c}.webm", f"id-{c}", SOURCES[c].sha256]
        for c in CLIP_IDS
        if c != "13"
    }
    place = sharding.partition_of("7")
    assert "7" in records.partition(place).column("clip_id").to_pylist()


def test_a_data_set_without_records_has_none(tmp_path):
    assert all_of(SourceRecords(tmp_path / "sources.parquet")) == {}
    assert all_of(SourceRecords(None)) == {}


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def flip(path):
    """Changes a bit of a page in the midst of the file; headers have no checksum."""
    metadata = parquet.read_metadata(path)
    column = metadata.row_group(metadata.num_row_groups // 3).column(0)
    content = bytearray(path.read_bytes())
    content[column.data_page_offset + column.total_compressed_size - 1] ^= 4
    path.write_bytes(content)


def write_others(path):
    parquet.write_table(pa.table({"clip_id": ["7"]}), path)


def write_none(path):
    path.write_bytes(b"")


def write_pipe(path):
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("damage", [cut, write_others, write_none, write_pipe])
def test_damaged_records_are_as_none(path, damage, caplog):
    damage(path)
    assert all_of(SourceRecords(path)) == {}
    assert f"{path} cannot be used, so clips are read" in caplog.text


def test_where_records_are_damaged_they_end_and_those_before_are_right(path, caplog):
    whole = all_of(SourceRecords(path))
    flip(path)
    found = all_of(SourceRecords(path))
    assert 0 < len(found) < len(whole)
    assert found.items() <= whole.items()
    assert caplog.text.count(f"{path} cannot be used, so clips are read") == 1


@pytest.mark.parametrize(
    ("uri", "source", "identity"),
    [
        ("/clips/7.webm", SOURCES["7"], "id-7"),
        ("/clips/7.webm", SOURCES["8"], ""),  # another content was published
        ("/clips/7.webm", None, ""),
        ("/elsewhere/7.webm", SOURCES["7"], ""),
    ],
)
def test_a_record_is_for_the_published_file_where_it_was(path, uri, source, identity):
    records = SourceRecords(path).partition(sharding.partition_of("7"))
    ids = pa.array(["7", "13"])  # 13 has no record
    sha256s = pa.array([source and source.sha256, SOURCES["13"].sha256], pa.string())

    found = source_records.identities(
        table_join.aligned(records, ids), pa.array([uri, "/clips/13.webm"]), sha256s
    )

    assert found.to_pylist() == [identity, ""]


@pytest.mark.parametrize(
    ("clip_id", "uri", "identity", "is_read"),
    [
        ("7", "/clips/7.webm", "id-7", True),
        ("7", "/clips/7.webm", "id-8", False),
        ("7", "/elsewhere/7.webm", "id-7", False),
        ("13", "/clips/13.webm", "id-13", False),
    ],
)
def test_a_file_was_read_with_the_identity_that_is_recorded(
    path, clip_id, uri, identity, is_read
):
    assert SourceRecords(path).has(clip_id, uri, identity) == is_read
