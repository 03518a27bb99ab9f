import hashlib

import pyarrow as pa
import pytest

from mindrecord_io.versions import clips_table, same_bytes
from mindrecord_io.versions.same_bytes import SameBytes


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def same_bytes_of(*rows, rows_per_batch=None):
    """The equal files of (clip_id, split, label, status, content)."""
    fields = [clips_table.SCHEMA.field(name) for name in same_bytes.COLUMNS]
    columns = list(map(list, zip(*rows, strict=True)))
    uris = [f"/clips/{clip_id}.webm" for clip_id in columns[0]]
    hashes = [content and sha256(content) for content in columns[4]]
    values = [hashes, *columns[:3], uris, columns[3]]
    table = pa.table(values, schema=pa.schema(fields))
    return same_bytes.same_bytes_of(lambda: table.to_batches(rows_per_batch))


CLIPS = (
    ("1", "train", "a", "stored", "x"),
    ("2", "train", "a", "stored", "x"),
    ("3", "train", "b", "stored", "y"),
    ("4", "validation", "c", "stored", "y"),
    ("5", "train", "a", "stored", "z"),
    ("6", "test", "", "missing", None),
    ("7", "test", "", "quarantined", "z"),
)


def counts(same):
    kinds = (same.leaks, same.conflicts, same.repeats)
    return same.num_files, same.num_clips, *map(len, kinds)


@pytest.mark.parametrize("rows_per_batch", [1, 3, None])
def test_equal_files_are_grouped_and_leaks_come_first(rows_per_batch):
    """Clip 7 is not stored, so clip 5 is alone with its file."""
    same = same_bytes_of(*CLIPS, rows_per_batch=rows_per_batch)

    assert counts(same) == (2, 4, 1, 1, 1)
    shown = [[clip[:3] for clip in clips] for clips in same.shown.first]
    assert shown == [
        [("3", "train", "b"), ("4", "validation", "c")],
        [("1", "train", "a"), ("2", "train", "a")],
    ]


def test_files_that_share_eight_bytes_of_their_hash_are_no_duplicates(monkeypatch):
    """Of a prefix of no length every file has the same."""
    monkeypatch.setattr(same_bytes, "_NUM_DIGITS", 1)
    rows = [(str(i), "train", "a", "stored", str(i)) for i in range(40)]
    assert not same_bytes_of(*rows)
    assert same_bytes_of(*rows, ("40", "train", "a", "stored", "7")).num_clips == 2


def test_a_version_without_clips_has_none():
    same = same_bytes.same_bytes_of(lambda: [])
    assert (bool(same), list(same.rows())) == (False, [])


@pytest.mark.parametrize(
    ("second", "expected", "what"),
    [
        (("validation", "run"), (1, 0, 0), "leak"),
        (("train", "jump"), (0, 1, 0), "conflict"),
        (("validation", "jump"), (1, 1, 0), "leak+conflict"),
        (("test", ""), (1, 0, 0), "leak"),
        (("train", "run"), (0, 0, 1), "repeat"),
    ],
)
def test_equal_files_are_counted_and_listed_by_what_they_are(second, expected, what):
    same = same_bytes_of(
        ("1", "train", "run", "stored", "aa"),
        ("2", *second, "stored", "aa"),
        ("3", "train", "run", "stored", "b"),
    )

    assert counts(same) == (1, 2, *expected)
    rows = list(same.rows())
    assert [tuple(row.values()) for row in rows] == [
        (sha256("aa"), what, "1", "train", "run", "/clips/1.webm"),
        (sha256("aa"), what, "2", *second, "/clips/2.webm"),
    ]
    assert {tuple(row) for row in rows} == {same_bytes.LISTED_COLUMNS}
    assert f"(the first: 1 (train) and 2 ({second[0]}))" in str(same)
    again = SameBytes.of_rows(rows)
    assert (counts(again), again.shown.first) == (counts(same), same.shown.first)
    assert list(again.rows()) == rows
