import dataclasses

import pyarrow as pa
import pytest

from mindrecord_io.shards import sharding
from pipelines.report import version_differences
from pipelines.report.version_differences import Difference

NAMES = ("clip_id", "split", "label", "status")
BEFORE = (
    ("1", "train", "a", "stored"),
    ("2", "train", "a", "stored"),
    ("3", "train", "c", "stored"),
    ("4", "train", "b", "quarantined"),
    ("5", "validation", "c", "stored"),
    ("6", "test", "", "stored"),
    ("7", "train", "b", "missing"),
    ("8", "", "", "unlisted"),
)
AFTER = (
    ("1", "train", "a", "stored"),
    ("2", "validation", "b", "stored"),  # moved and relabelled
    ("4", "train", "c", "quarantined"),  # relabelled
    ("5", "validation", "c", "missing"),  # its file is gone
    ("8", "train", "a", "stored"),  # was not annotated
)


def compare(before, after, rows_per_batch=None):
    def spilled(rows):
        fields = pa.schema([(name, pa.string()) for name in NAMES])
        columns = list(zip(*rows, strict=True)) or [[]] * len(NAMES)
        table = pa.table([pa.array(c, pa.string()) for c in columns], schema=fields)
        return version_differences.spilled(table.to_batches(rows_per_batch))

    return version_differences.compare(spilled(before), spilled(after))


def numbers(before, after, rows_per_batch=None):
    return dataclasses.replace(compare(before, after, rows_per_batch), listed=())


def test_the_clips_that_changed_are_listed_with_what_they_were_and_are():
    assert compare(BEFORE, AFTER).listed == (
        ("added", "8", "", "a"),
        ("withdrawn", "3", "c", ""),
        ("withdrawn", "5", "c", ""),
        ("withdrawn", "6", "", ""),
        ("moved", "2", "train", "validation"),
        ("relabelled", "2", "a", "b"),
        ("relabelled", "4", "b", "c"),
    )


def test_of_many_changes_of_a_kind_the_first_are_listed(monkeypatch):
    monkeypatch.setattr(version_differences, "MAX_LISTED", 2)
    difference = compare(BEFORE, AFTER)
    withdrawn = [row[1] for row in difference.listed if row[0] == "withdrawn"]
    assert withdrawn == ["3", "5"]
    assert difference.numbers["withdrawn"] == 3


@pytest.mark.parametrize("rows_per_batch", [1, 3, None])
@pytest.mark.parametrize("num_partitions", [1, 256])
def test_two_versions_are_compared_clip_by_clip(
    monkeypatch, num_partitions, rows_per_batch
):
    """Gone are clips 3, 5 and 6."""
    monkeypatch.setattr(sharding, "NUM_PARTITIONS", num_partitions)
    assert numbers(BEFORE, AFTER, rows_per_batch) == Difference(1, 3, 1, 2)
    assert numbers(AFTER, BEFORE, rows_per_batch) == Difference(3, 1, 1, 2)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (BEFORE, BEFORE, Difference(0, 0, 0, 0)),
        ((), AFTER, Difference(4, 0, 0, 0)),
        (BEFORE, (), Difference(0, 6, 0, 0)),
        ((), (), Difference(0, 0, 0, 0)),
        (BEFORE[:1], [("1", "train", "a", "quarantined")], Difference(0, 0, 0, 0)),
        (BEFORE[6:7], [("7", "train", "b", "stored")], Difference(1, 0, 0, 0)),
    ],
)
def test_only_clips_in_shards_count(before, after, expected):
    assert numbers(before, after) == expected
