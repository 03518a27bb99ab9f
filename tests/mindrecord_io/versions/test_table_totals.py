import pytest

from mindrecord_io.shards import sharding
from mindrecord_io.versions import table_totals
from tests import versions_by_hand as by_hand


def totals_of(version):
    totals = table_totals.TableTotals()
    for batch in version.clip_batches(table_totals.COLUMNS):
        totals.add(batch)
    return totals


@pytest.fixture
def totals(tmp_path):
    """Clips 101, 102, 103, 201 and 301 are stored, 105 is quarantined."""
    return totals_of(by_hand.publish(tmp_path, quarantined=["105"]))


def test_clips_are_counted_by_status_and_shard(totals):
    assert totals.by_status == {"stored": 5, "quarantined": 1}
    assert sorted(totals.by_shard.values()) == [1, 1, 1, 2]
    assert totals.num_frames == 14
    assert totals.labels == {(0, "Rolling"), (1, "Tilting"), (-1, "")}
    assert len(totals.misnumbered()) == len(totals.miscounted) == 0


def test_a_clip_of_two_rows_is_stored_twice(tmp_path):
    version = by_hand.publish(tmp_path)
    totals = table_totals.TableTotals()
    for _ in range(2):
        for batch in version.clip_batches(table_totals.COLUMNS):
            totals.add(batch)
    assert str(totals.twice()) == "['101', '102', '103'] and 3 more"
    assert len(totals.misnumbered()) == 4


@pytest.mark.parametrize(
    ("text", "too_many", "too_few"),
    [
        ("103 3 0\n101 4 0\n102 2 1", [], []),
        ("103 3 0\n101 4 0\n102 2 1\n", [""], []),
        ("103 3 0\n103 3 0\n102 2 1", ["103 3 0"], ["101 4 0"]),
        ("", [], ["101 4 0", "102 2 1", "103 3 0"]),
    ],
)
def test_lists_are_compared_line_by_line_whatever_their_order(
    tmp_path, totals, text, too_many, too_few
):
    (tmp_path / "list").write_text(text)
    totals.read_list("train", tmp_path / "list")
    extra, absent = totals.list_differences()["train"]
    assert (len(extra), len(absent)) == (len(too_many), len(too_few))
    assert (str(extra), str(absent)) == (str(too_many), str(too_few))


def test_one_partition_tells_the_same_as_many(tmp_path, monkeypatch):
    (tmp_path / "list").write_text("9 1 1\n8 1 1\n7 1 1\n6 1 1\n101 4 0")
    version = by_hand.publish(tmp_path)
    told = []
    for num_partitions in (1, 256):
        monkeypatch.setattr(sharding, "NUM_PARTITIONS", num_partitions)
        totals = totals_of(version)
        totals.read_list("train", tmp_path / "list")
        told.append([str(n) for n in totals.list_differences()["train"]])
    assert told[0] == told[1]
    assert told[0][0] == "['6 1 1', '7 1 1', '8 1 1'] and 1 more"
