import pyarrow as pa
import pytest

from mindrecord_io.shards import sharding
from mindrecord_io.storage import files
from mindrecord_io.versions import clips_table, version_differences

STORED, LOST, GONE = ("stored", ""), ("quarantined", "damaged"), ("missing", "missing")
BEFORE = (
    ("1", "train", "a", 0, *STORED),
    ("2", "train", "a", 0, *STORED),
    ("3", "train", "c", 2, *STORED),
    ("4", "train", "b", 1, *LOST),
    ("5", "validation", "c", 2, *STORED),
    ("6", "test", "", -1, *STORED),
    ("7", "train", "b", 1, *GONE),
    ("8", "", "", -1, "unlisted", "not_annotated"),
    ("9", "train", "c", 2, *STORED),
)
AFTER = (
    ("1", "train", "a", 0, *STORED),
    ("2", "validation", "b", 1, *STORED),  # moved and relabelled
    ("4", "train", "c", 2, *LOST),  # relabelled, though not stored
    ("5", "validation", "c", 2, *GONE),
    ("7", "train", "b", 1, *GONE),
    ("8", "train", "a", 0, *STORED),  # was not annotated
    ("9", "train", "c", 3, *LOST),
)


SHA, OTHER_SHA = "ab" * 32, "cd" * 32


def spilled(rows, rows_per_batch=None):
    """Rows without the last column have the same content, if their clip has a file."""
    names = version_differences.COLUMNS
    rows = [
        row if len(row) == len(names) else (*row, None if row[4:] == GONE else SHA)
        for row in rows
    ]
    schema = pa.schema([clips_table.SCHEMA.field(name) for name in names])
    columns = list(zip(*rows, strict=True)) or [[]] * len(names)
    arrays = [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)]
    table = pa.table(arrays, schema=schema)
    return version_differences.spilled(table.to_batches(rows_per_batch))


def changes(before, after, rows_per_batch=None):
    old, new = (spilled(rows, rows_per_batch) for rows in (before, after))
    return sorted(version_differences.changed_clips(old, new))


@pytest.mark.parametrize("rows_per_batch", [1, 3, None])
@pytest.mark.parametrize("num_partitions", [1, 256])
def test_two_versions_are_compared_clip_by_clip(
    monkeypatch, num_partitions, rows_per_batch
):
    monkeypatch.setattr(sharding, "NUM_PARTITIONS", num_partitions)
    assert changes(BEFORE, AFTER, rows_per_batch) == [
        ("2", "moved", "train", "validation"),
        ("2", "relabelled", "a", "b"),
        ("3", "withdrawn", "train", ""),
        ("4", "relabelled", "b", "c"),
        ("5", "missing", "validation", ""),
        ("6", "withdrawn", "test", ""),
        ("8", "added", "", "train"),
        ("9", "quarantined", "", "damaged"),
        ("9", "renumbered", "2", "3"),
    ]
    assert changes(AFTER, AFTER, rows_per_batch) == []


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (None, STORED, ("added", "", "train")),
        (None, LOST, ("quarantined", "", "damaged")),
        (None, GONE, None),
        (STORED, None, ("withdrawn", "train", "")),
        (STORED, LOST, ("quarantined", "", "damaged")),
        (STORED, GONE, ("missing", "train", "")),
        (STORED, ("stored", "partial"), None),
        (STORED, ("unlisted", "not_annotated"), ("withdrawn", "train", "")),
        (LOST, None, ("withdrawn", "train", "")),
        (LOST, STORED, ("restored", "damaged", "")),
        (LOST, GONE, ("missing", "train", "")),
        (LOST, ("quarantined", "empty"), ("quarantined", "damaged", "empty")),
        (GONE, None, None),
        (GONE, STORED, ("added", "", "train")),
        (GONE, LOST, ("quarantined", "", "damaged")),
    ],
)
def test_what_became_of_a_clip_is_one_word(before, after, kind):
    def rows(status):
        return () if status is None else [("7", "train", "b", 1, *status)]

    expected = [] if kind is None else [("7", *kind)]
    assert changes(rows(before), rows(after)) == expected


@pytest.mark.parametrize(
    ("before", "after", "kinds"),
    [
        ((*STORED, SHA), (*STORED, OTHER_SHA), ["replaced"]),
        ((*LOST, SHA), (*LOST, OTHER_SHA), ["replaced"]),
        ((*LOST, SHA), (*STORED, OTHER_SHA), ["replaced", "restored"]),
        ((*STORED, SHA), (*GONE, None), ["missing"]),
        ((*GONE, None), (*STORED, SHA), ["added"]),
        ((*STORED, SHA), (*LOST, files.UNREAD_SHA256), ["quarantined"]),
    ],
)
def test_a_file_with_another_content_is_told(before, after, kinds):
    clip = ("7", "train", "b", 1)
    found = changes([(*clip, *before)], [(*clip, *after)])
    assert [kind for _, kind, *_ in found] == kinds
    assert all(c[2:] == (SHA, OTHER_SHA) for c in found if c[1] == "replaced")


def test_every_kind_is_counted_and_the_first_are_listed(monkeypatch):
    monkeypatch.setattr(version_differences, "MAX_LISTED", 1)
    difference = version_differences.compare(spilled(BEFORE), spilled(AFTER))
    assert difference.numbers == {
        "added": 1,
        "withdrawn": 2,
        "missing": 1,
        "quarantined": 1,
        "restored": 0,
        "moved": 1,
        "relabelled": 2,
        "renumbered": 1,
        "replaced": 0,
    }
    assert [row for row in difference.listed if row[1] in ("withdrawn", "moved")] == [
        ("3", "withdrawn", "train", ""),
        ("2", "moved", "train", "validation"),
    ]
