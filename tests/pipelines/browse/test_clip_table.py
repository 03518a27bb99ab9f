import pytest

from pipelines.browse.clip_table import ClipFilter, ClipTable, FilterError
from pipelines.report.predictions import read_predictions
from tests.predictions_by_hand import NAMES


@pytest.fixture(scope="module")
def table(published_version, predictions_file):
    return ClipTable(published_version, read_predictions(predictions_file, NAMES))


def ids(table, **query):
    return sorted(table.clip_id(row) for row in table.rows(ClipFilter(**query)))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"split": "validation"}, ["201", "202", "203", "204"]),
        ({"split": "validation", "label_id": "0"}, ["201", "204"]),
        ({"status": "quarantined"}, ["105"]),
        ({"reason": "truncated"}, ["105"]),
        ({"status": "missing"}, ["109"]),
        ({"text": "20", "max_frames": "6"}, ["204"]),
        ({"text": "20", "min_frames": "12"}, ["203"]),
        ({"prediction": "wrong"}, ["203"]),
        ({"prediction": "right"}, ["201", "202", "204"]),
        ({"text": "%"}, []),
        ({"split": "none"}, []),
    ],
)
def test_a_filter_leaves_what_has_all_of_it(table, query, expected):
    actual = ids(table, **query)
    rows = {i: table.num_frames[table.row_of(i)] for i in actual}
    assert actual == expected, rows


def test_every_clip_is_found_by_its_id_and_others_are_not(table):
    assert len(ids(table)) == len(table) == 13
    for row in range(len(table)):
        assert table.row_of(table.clip_id(row)) == row
    assert table.row_of("999") is None
    assert table.row_of("") is None


def test_classes_are_counted_by_split(table):
    sizes = table.class_sizes(3)
    assert sizes["validation"].tolist() == [2, 1, 1]
    assert sizes["train"].sum() == 7
    assert sizes["test"].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"split": "val"}, "split must be one of"),
        ({"label_id": "-1"}, "label_id must be a whole number"),
        ({"min_frames": "9" * 400}, "min_frames must be a whole number"),
        ({"max_frames": "٣"}, "max_frames must be a whole number"),
        ({"text": "x" * 201}, "text may have at most 200 characters"),
        ({"prediction": "maybe"}, "prediction must be one of"),
    ],
)
def test_what_is_no_filter_is_refused(query, expected):
    with pytest.raises(FilterError, match=expected):
        ClipFilter(**query)


def test_without_predictions_they_are_no_filter(published_version):
    bare = ClipTable(published_version, None)
    with pytest.raises(FilterError, match="give --predictions FILE"):
        bare.rows(ClipFilter(prediction="wrong"))
