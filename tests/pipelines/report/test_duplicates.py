import hashlib

import pyarrow as pa
import pytest

from mindrecord_io.versions import clips_table
from pipelines.report import duplicates
from pipelines.report.duplicates import Duplicates


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def found(*rows, rows_per_batch=None):
    """The equal files of (clip_id, split, label, status, content)."""
    fields = [clips_table.SCHEMA.field(name) for name in duplicates.COLUMNS]
    columns = list(zip(*rows, strict=True))
    hashes = [content and sha256(content) for content in columns[4]]
    table = pa.table([*map(list, columns[:4]), hashes], schema=pa.schema(fields))
    return duplicates.duplicates_of(lambda: table.to_batches(rows_per_batch))


CLIPS = (
    ("1", "train", "a", "stored", "x"),
    ("2", "train", "a", "stored", "x"),
    ("3", "train", "b", "stored", "y"),
    ("4", "validation", "c", "stored", "y"),
    ("5", "train", "a", "stored", "z"),
    ("6", "test", "", "missing", None),
    ("7", "test", "", "quarantined", "z"),
)


@pytest.mark.parametrize("rows_per_batch", [1, 3, None])
def test_equal_files_are_grouped_and_leaks_come_first(rows_per_batch):
    """Clip 7 is not stored, so clip 5 is alone with its file."""
    assert found(*CLIPS, rows_per_batch=rows_per_batch) == Duplicates(
        num_groups=2,
        num_clips=4,
        num_leaks=1,
        num_contradictions=1,
        listed=(
            (("3", "train", "b"), ("4", "validation", "c")),
            (("1", "train", "a"), ("2", "train", "a")),
        ),
    )


def test_files_that_share_eight_bytes_of_their_hash_are_no_duplicates(monkeypatch):
    """Of a prefix of no length every file has the same."""
    monkeypatch.setattr(duplicates, "_NUM_DIGITS", 1)
    rows = [(str(i), "train", "a", "stored", str(i)) for i in range(40)]
    assert found(*rows).num_groups == 0
    assert found(*rows, ("40", "train", "a", "stored", "7")).num_clips == 2


def test_a_version_without_clips_has_none():
    assert duplicates.duplicates_of(lambda: []).num_groups == 0
