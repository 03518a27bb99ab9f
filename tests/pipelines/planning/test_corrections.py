import pytest

from mindrecord_io import naming
from pipelines.planning import corrections, matching
from pipelines.sources.annotations import AnnotationError
from tests import versions_by_hand as by_hand


@pytest.fixture
def version(tmp_path):
    return by_hand.publish(tmp_path / "dataset", quarantined=["103"])


def corrected(version, folder, text):
    path = folder / "corrections.csv"
    path.write_text(text)
    return corrections.corrected(version, path)


def test_one_label_changes_and_nothing_else(version, tmp_path):
    annotations = corrected(version, tmp_path, "clip_id,label\n102,Rolling\n")

    assert {c.clip_id: (c.split, c.label_id) for c in annotations.clips} == {
        "101": ("train", 0),
        "102": ("train", 0),
        "103": ("train", 0),
        "105": ("train", 1),
        "201": ("validation", 1),
        "301": ("test", -1),
    }
    assert annotations.label_map == by_hand.LABELS
    difference = matching.match_version(version, annotations).difference
    assert difference is not None
    counts = difference.counts()
    assert {name: n for name, n in counts.items() if n} == {"relabelled": 1}
    assert difference.relabelled.first == ("102: 'Tilting' -> 'Rolling'",)


def test_the_order_of_the_lists_stays(version, tmp_path):
    annotations = corrected(version, tmp_path, "clip;label\n105;Rolling\n")

    stored = [c.clip_id for c in annotations.clips if c.clip_id != "103"]
    listed = [
        line.split()[0]
        for name in naming.LIST_FILES.values()
        for line in (naming.labels_folder(version.folder) / name)
        .read_text()
        .splitlines()
    ]
    assert stored == listed
    assert [c.split for c in annotations.clips] == sorted(
        (c.split for c in annotations.clips),
        key=["train", "validation", "test"].index,
    )


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ("999,Rolling\n", "1 clip not of version 000001; the first: '999'"),
        ("102,Rollin\n", "line 2 (clip '102'): no label 'Rollin' among 2 labels; near"),
        ("102,\n", "line 2 (clip '102'): no label '' among 2 labels"),
        ("301,Rolling\n", "clip '301' is a test clip without a label"),
        ("102,Rolling\n102,Tilting\n", "line 3: clip '102' has another label above"),
        ("", "lists no corrections"),
    ],
)
def test_corrections_that_cannot_be_are_refused(version, tmp_path, rows, complaint):
    with pytest.raises(AnnotationError) as error:
        corrected(version, tmp_path, f"clip_id,label\n{rows}")
    assert complaint in str(error.value)


def test_a_table_without_the_columns_is_refused(version, tmp_path):
    with pytest.raises(AnnotationError, match="no column clip, no label among"):
        corrected(version, tmp_path, "name,class\n1,2\n")
