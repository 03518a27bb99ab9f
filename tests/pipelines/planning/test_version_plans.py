"""Plans against versions published without MindSpore (see versions_by_hand)."""

import dataclasses

import pytest

from mindrecord_io import records
from mindrecord_io.shards import sharding
from pipelines.planning import matching, version_plans
from pipelines.planning.clip_references import Reference
from pipelines.planning.version_plans import VersionPlan
from pipelines.publishing import data_sets
from tests import listings
from tests import versions_by_hand as by_hand

SOURCE = records.Fingerprint(10, "ab" * 32)


def plan_for(version, splits=by_hand.CLIPS, total_shards=None):
    """The plan of giving a version other annotations."""
    annotations = listings.annotations(splits)
    return VersionPlan(
        parent=version,
        annotations=annotations,
        listing=matching.match_version(version, annotations),
        settings=version.manifest.settings,
        total_shards=total_shards,
    )


def actions(plan):
    """How many shards would be reused, relabelled and decoded."""
    data_set = data_sets.LocalDataSet(plan.parent.dataset)
    return version_plans.foreseen_actions(plan, data_set.read_summary)


def with_labels(**label_ids):
    """The data set's clips, some with other labels: `with_labels(c101=1)`."""
    return {
        split: {c: label_ids.get(f"c{c}", label) for c, label in clips.items()}
        for split, clips in by_hand.CLIPS.items()
    }


@pytest.fixture
def version(tmp_path):
    return by_hand.publish(tmp_path, quarantined=["301"])


def test_unchanged_annotations_plan_the_published_shards(version):
    plans = version_plans.foreseen_shards(plan_for(version, by_hand.CLIPS))
    assert {(p.split, p.index, p.num_shards, p.key, p.frames_key) for p in plans} == {
        (e.split, e.index, e.num_shards, e.key, e.frames_key)
        for e in version.manifest.shards
    }


def test_a_planned_clip_has_its_label_file_and_where_its_frames_are(version):
    entries = {(e.split, e.index): e.key for e in version.manifest.shards}
    plans = version_plans.foreseen_shards(plan_for(version, with_labels(c201=0)))

    (plan,) = (plan for plan in plans if plan.split == "validation")

    assert plan.clips == (
        records.PlannedClip(
            "201",
            0,
            "/clips/201.webm",
            by_hand.source("201"),
            f"validation/{entries['validation', 0]}",
        ),
    )
    assert plan.key != entries["validation", 0]
    assert plan.settings == version.manifest.settings


def test_plans_are_those_that_the_pipeline_makes(version):
    """The same function orders and keys them, whatever order the clips come in."""
    version_plan = plan_for(version, with_labels(c101=1))
    for plan in version_plans.foreseen_shards(version_plan):
        again = sharding.plan_shard(
            plan.split,
            plan.index,
            plan.num_shards,
            clips=reversed(plan.clips),
            settings=plan.settings,
            salt=version_plan.listing.salt,
        )
        assert again == plan


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (by_hand.CLIPS, (4, 0)),
        (with_labels(c101=1), (3, 1)),
        (with_labels(c101=1, c105=0), (3, 1)),  # of the same shard
        (with_labels(c101=1, c103=1, c201=0), (1, 3)),
        (by_hand.without("301"), (3, 0)),  # its shard had nobody else
        (by_hand.without("101"), (3, 1)),
        # 301 comes to the shard of 102 and 103, or to that of 101 and 105.
        (
            by_hand.without("301") | {"train": by_hand.CLIPS["train"] | {"301": 0}},
            (2, 1),
        ),
    ],
)
def test_shards_are_reused_unless_a_label_or_a_clip_of_theirs_changes(
    version, splits, expected
):
    reused, relabelled = expected
    assert actions(plan_for(version, splits)) == {
        "reused": reused,
        "relabelled": relabelled,
        "decoded": 0,
    }


def test_shards_of_older_versions_are_reused_too(tmp_path):
    by_hand.publish(tmp_path)
    version = by_hand.publish(tmp_path, with_labels(c101=1, c201=0))
    foreseen = actions(plan_for(version, by_hand.CLIPS))
    assert foreseen == {"reused": 4, "relabelled": 0, "decoded": 0}


def test_another_number_of_shards_copies_all_of_them(version):
    plan = plan_for(version, by_hand.CLIPS, total_shards=3)

    train, *_ = (p for p in version_plans.foreseen_shards(plan) if p.split == "train")

    assert {clip.clip_id for clip in train.clips} == set(by_hand.CLIPS["train"])
    assert len({clip.stored_in for clip in train.clips}) == 2
    assert actions(plan) == {
        "reused": 2,  # validation and test have one shard as before
        "relabelled": 1,
        "decoded": 0,
    }


def test_clips_of_which_no_frames_are_stored_are_foreseen_to_be_decoded(version):
    plan = plan_for(version, with_labels(c101=1, c201=0))
    clips = [
        clip._replace(stored_in="" if clip.clip_id == "101" else clip.stored_in)
        for clip in listings.clips_of(plan.listing)
    ]
    plan = dataclasses.replace(plan, listing=listings.listing(clips))
    assert actions(plan) == {
        "reused": 2,
        "relabelled": 1,
        "decoded": 1,
    }


def test_without_a_version_every_shard_is_to_be_decoded(tmp_path):
    annotations = listings.annotations()
    clips = [
        Reference(
            n, c.clip_id, c.split, c.label_id, f"/{c.clip_id}.webm", source=SOURCE
        )
        for n, c in enumerate(annotations.clips)
    ]
    plan = VersionPlan(
        parent=None,
        annotations=annotations,
        listing=listings.listing(clips),
        settings=records.DecodeSettings(),
        total_shards=4,
    )
    data_set = data_sets.LocalDataSet(tmp_path / "nothing yet")
    foreseen = version_plans.foreseen_actions(plan, data_set.read_summary)
    assert foreseen == {"reused": 0, "relabelled": 0, "decoded": 4}
    assert not (tmp_path / "nothing yet").exists()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        # Six clips, 4, 1 and 1: each split gets a shard, the rest goes by size.
        (None, {"train": 2, "validation": 1, "test": 1}),  # as the parent has them
        (3, {"train": 1, "validation": 1, "test": 1}),
        (9, {"train": 5, "validation": 2, "test": 2}),
    ],
)
def test_the_number_of_shards_is_the_parents_or_as_asked(version, asked, expected):
    assert plan_for(version, total_shards=asked).num_shards() == expected


def test_the_number_of_shards_of_a_new_split_goes_by_its_clips(version):
    without_test = by_hand.publish(version.dataset, by_hand.without("301"))
    moved = by_hand.without("103") | {"test": {"103": -1}}
    assert plan_for(without_test, moved).num_shards() == {
        "train": 2,
        "validation": 1,
        "test": 1,
    }


def test_the_first_version_has_a_shard_for_every_64_clips_of_all_splits(version):
    clips = [
        Reference(n, str(n), "train" if n < 300 else "test", -1, f"/{n}.webm")
        for n in range(310)
    ]
    plan = dataclasses.replace(
        plan_for(version), parent=None, listing=listings.listing(clips)
    )
    assert plan.num_shards() == {"train": 310 // 64 - 1, "test": 1}


def test_the_salt_is_the_parents(version):
    manifest = dataclasses.replace(version.manifest, salt="other")
    salted = dataclasses.replace(version, manifest=manifest)
    assert plan_for(salted).listing.salt == "other"
    assert plan_for(version).listing.salt == sharding.DEFAULT_SALT
