import logging

import pytest

from mindrecord_io import records
from pipelines.planning import matching
from tests import listings
from tests import versions_by_hand as by_hand

KINDS = (
    "relabelled",
    "renumbered_clips",
    "moved",
    "added",
    "withdrawn",
    "missing",
    "added_classes",
    "removed_classes",
    "renumbered_classes",
)


@pytest.fixture
def version(tmp_path):
    return by_hand.publish(tmp_path, quarantined=["103"])


def compare(version, label_map, splits=by_hand.CLIPS):
    """What label_ids by clip_id, by split, change in a version."""
    new = listings.annotations(splits, label_map)
    # A version holds only what it has files of, so what is added is in a folder.
    uris = {clip.clip_id: f"/clips/{clip.clip_id}.webm" for clip in new.clips}
    return matching.match(new, listings.files_of(uris), version).difference


def different(found):
    """The kinds of change that there are, with what has changed."""
    return {kind: shown(getattr(found, kind)) for kind in KINDS if getattr(found, kind)}


def shown(of_kind):
    return of_kind if isinstance(of_kind, tuple) else of_kind.first


def test_the_same_annotations_change_nothing(version, caplog):
    found = compare(version, by_hand.LABELS)
    with caplog.at_level(logging.INFO):
        found.log()

    assert different(found) == {}
    assert found.counts() == dict.fromkeys(KINDS, 0)
    assert caplog.messages == ["no label or split differs from version 000001"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (
            by_hand.CLIPS | {"validation": {"201": 0}},
            {"relabelled": ("201: 'Tilting' -> 'Rolling'",)},
        ),
        (
            by_hand.CLIPS | {"train": {"101": 0, "102": 1, "103": 1, "105": 1}},
            {"relabelled": ("103: 'Rolling' -> 'Tilting'",)},  # quarantined, and told
        ),
        (
            by_hand.without("201") | {"train": by_hand.CLIPS["train"] | {"201": 1}},
            {"moved": ("201: validation -> train",)},
        ),
        (
            by_hand.without("301") | {"train": by_hand.CLIPS["train"] | {"301": 1}},
            {
                "moved": ("301: test -> train",),
                "relabelled": ("301: '' -> 'Tilting'",),
            },
        ),
        (
            by_hand.CLIPS | {"validation": {"201": 1, "202": 0}},
            {"added": ("202",)},
        ),
        (by_hand.without("101", "201"), {"withdrawn": ("101", "201")}),
    ],
)
def test_changed_clips_are_told_by_what_changed(version, asked, expected):
    found = compare(version, by_hand.LABELS, asked)

    assert different(found) == expected


def test_a_class_that_comes_first_renumbers_all_and_relabels_none(version):
    label_map = records.LabelMap(("Lifting", *by_hand.LABELS.names))
    asked = {
        split: {c: label + (label >= 0) for c, label in label_ids.items()}
        for split, label_ids in by_hand.CLIPS.items()
    }

    found = compare(version, label_map, asked)

    assert different(found) == {
        "renumbered_clips": ("101", "102", "103", "105", "201"),  # 301 has no label
        "added_classes": ("Lifting",),
        "renumbered_classes": ("Rolling: 0 -> 1", "Tilting: 1 -> 2"),
    }


def test_a_class_that_is_renamed_goes_and_comes_and_relabels_its_clips(version):
    label_map = records.LabelMap(("Rolling", "Tilting a bit"))

    found = compare(version, label_map)

    assert different(found) == {
        "relabelled": (
            "102: 'Tilting' -> 'Tilting a bit'",
            "105: 'Tilting' -> 'Tilting a bit'",
            "201: 'Tilting' -> 'Tilting a bit'",
        ),
        "added_classes": ("Tilting a bit",),
        "removed_classes": ("Tilting",),
    }


def test_an_annotated_clip_without_a_file_is_missing_and_not_withdrawn(version):
    new = listings.annotations(by_hand.without("301"), by_hand.LABELS)
    uris = {c: f"/clips/{c}.webm" for c in ("101", "103", "105", "201")}
    found = matching.match(new, listings.files_of(uris), version).difference
    assert different(found) == {"missing": ("102",), "withdrawn": ("301",)}


def test_clips_come_in_the_order_of_the_annotations(version):
    asked = {"validation": {"103": 0, "102": 1, "101": 0}}
    found = compare(version, by_hand.LABELS, asked)
    assert found.moved.first == tuple(
        f"{c}: train -> validation" for c in (103, 102, 101)
    )


def test_a_line_for_every_kind_with_a_few_examples(version, caplog):
    asked = {"validation": {"101": 0, "102": 1, "103": 0, "105": 1}, "test": {"9": -1}}
    found = compare(version, by_hand.LABELS, asked)

    with caplog.at_level(logging.INFO):
        found.log()

    assert caplog.messages == [
        "against version 000001: 4 moved (101: train -> validation; "
        "102: train -> validation; 103: train -> validation; ...)",
        "against version 000001: 1 added (9)",
        "against version 000001: 2 withdrawn (301; 201)",
    ]


def test_counts_are_of_every_kind(version):
    found = compare(version, by_hand.LABELS, by_hand.without("101"))
    assert found.counts() == dict.fromkeys(KINDS, 0) | {"withdrawn": 1}
