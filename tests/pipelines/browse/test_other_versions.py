"""What changed against another version, and what each version has of a clip."""

import pytest

from pipelines.browse.clip_table import ClipFilter, FilterError
from pipelines.browse.collection import Collection
from pipelines.browse.corrections import Corrections
from pipelines.browse.other_versions import LabelOf, OtherVersions
from pipelines.publishing import data_sets
from tests import versions_by_hand as by_hand

FIRST, SECOND = "000001", "000002"


@pytest.fixture
def collection(tmp_path):
    """Since the first version 101 has another label, 103 is new, 201 is in train now,
    301 is gone, and 105 is in quarantine as it was.
    """
    dataset = tmp_path / "dataset"
    before = by_hand.without("103")
    by_hand.publish(dataset, before, quarantined=["105"])
    after = by_hand.without("201", "301")
    after["train"] |= {"101": 1, "201": 1}
    by_hand.publish(dataset, after, quarantined=["105"])
    return collection_of(dataset, tmp_path)


def collection_of(dataset, folder, version=None):
    data_set = data_sets.LocalDataSet(dataset)
    return Collection(
        data_set.open_version(version),
        data_set.read_part,
        predictions=None,
        corrections=Corrections(folder / "corrections.tsv", by_hand.LABELS.names),
        others=OtherVersions(data_set.open_version, data_set.list_versions()),
    )


def ids(collection, **query):
    rows = collection.rows(ClipFilter(**query))
    return [collection.table.clip_id(row) for row in sorted(rows)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, {"101", "103", "201"}),
        ({"change": "added"}, {"103"}),
        ({"change": "moved"}, {"201"}),
        ({"change": "relabelled"}, {"101"}),
        ({"text": "20"}, {"201"}),
        ({"change": "moved", "text": "10"}, set()),
    ],
)
def test_a_filter_leaves_what_changed(collection, query, expected):
    assert set(ids(collection, since=FIRST, **query)) == expected
    assert collection.changes(FIRST).num_withdrawn == 1


def test_a_clip_that_came_and_was_quarantined_is_not_called_added(tmp_path):
    dataset = tmp_path / "dataset"
    by_hand.publish(dataset, by_hand.without("105"))
    by_hand.publish(dataset, quarantined=["105"])
    found = collection_of(dataset, tmp_path)
    assert ids(found, since=FIRST) == ["105"]
    assert ids(found, since=FIRST, change="quarantined") == ["105"]
    assert ids(found, since=FIRST, change="added") == []


def test_nothing_changed_since_the_version_itself(collection):
    assert ids(collection, since=SECOND) == []
    assert collection.changes(SECOND).num_withdrawn == 0


def test_a_clips_history_has_every_version(collection):
    def history(clip_id):
        return collection.history(collection.table.row_of(clip_id))

    rolling, tilting = by_hand.LABELS.names
    assert history("101") == [
        LabelOf(FIRST, "train", rolling, "stored"),
        LabelOf(SECOND, "train", tilting, "stored"),
    ]
    assert history("103") == [
        LabelOf(FIRST),
        LabelOf(SECOND, "train", rolling, "stored"),
    ]
    assert history("201")[0] == LabelOf(FIRST, "validation", tilting, "stored")
    assert history("105")[1] == LabelOf(SECOND, "train", tilting, "quarantined")


def test_a_version_that_is_damaged_is_left_out_of_a_history(collection):
    dataset = collection.version.dataset
    (dataset / "versions" / FIRST / "clips.parquet").write_text("not Parquet")
    history = collection.history(collection.table.row_of("101"))
    assert [entry.version for entry in history] == [SECOND]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"since": "../000001"}, "since must be a version"),
        ({"change": "added"}, "change needs a version"),
        ({"since": FIRST, "change": "withdrawn"}, "change must be one of"),
    ],
)
def test_what_is_no_version_or_change_is_refused(query, expected):
    with pytest.raises(FilterError, match=expected):
        ClipFilter(**query)


def test_a_version_that_there_is_not_is_refused(collection):
    with pytest.raises(FilterError, match="there is no version 000009"):
        collection.rows(ClipFilter(since="000009"))
