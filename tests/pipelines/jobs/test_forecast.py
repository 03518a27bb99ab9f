"""Plans against versions published without MindSpore (see versions_by_hand)."""

import dataclasses

import pytest

from mindrecord_io import records
from mindrecord_io.shards import sharding
from pipelines import quarantine
from pipelines.building import build_transforms
from pipelines.jobs import forecast, make_version
from pipelines.planning import clip_references, matching
from pipelines.sources import something_something
from tests import listings
from tests import versions_by_hand as by_hand


def annotated(splits, label_map=by_hand.LABELS):
    return something_something.Annotations(
        label_map,
        tuple(
            records.Annotation(
                clip_id, split, label_id, label_map.names[label_id] * (label_id >= 0)
            )
            for split, label_ids in splits.items()
            for clip_id, label_id in label_ids.items()
        ),
    )


def job_for(version, splits, num_shards=None):
    """The job of giving a version other annotations."""
    asked = annotated(splits)
    return make_version.VersionJob(
        dataset=version.dataset,
        parent=version,
        annotated=asked,
        listing=matching.listing_of(version, asked),
        identify=build_transforms.known_source,
        settings=version.manifest.settings,
        clip_limits=quarantine.DecodeLimits(),
        num_shards=num_shards,
        max_quarantined=0,
        num_workers=1,
        beam_flags=(),
    )


def with_labels(**label_ids):
    """The data set's clips, some with other labels: `with_labels(c101=1)`."""
    return {
        split: {c: label_ids.get(f"c{c}", label) for c, label in clips.items()}
        for split, clips in by_hand.CLIPS.items()
    }


def by_hand_source(job, clip_id):
    """What a job knows of one of its clips."""
    (clip,) = (c for c in listings.held(job.listing) if c.clip_id == clip_id)
    return clip.known


@pytest.fixture
def version(tmp_path):
    return by_hand.publish(tmp_path, quarantined=["301"])


def test_unchanged_annotations_plan_the_published_shards(version):
    plans = forecast.plans(job_for(version, by_hand.CLIPS))
    assert {(p.split, p.index, p.num_shards, p.key, p.frames_key) for p in plans} == {
        (e.split, e.index, e.num_shards, e.key, e.frames_key)
        for e in version.manifest.shards
    }


def test_a_planned_clip_knows_its_label_file_and_where_its_frames_are(version):
    entries = {(e.split, e.index): e.key for e in version.manifest.shards}
    job = job_for(version, with_labels(c201=0))

    (plan,) = (p for p in forecast.plans(job) if p.split == "validation")

    assert plan.clips == (
        records.PlannedClip(
            "201",
            0,
            "/clips/201.webm",
            by_hand_source(job, "201").source,
            f"validation/{entries['validation', 0]}",
        ),
    )
    assert plan.key != entries["validation", 0]
    assert plan.settings == version.manifest.settings


def test_plans_are_those_that_the_pipeline_makes(version):
    """The same function orders and keys them, whatever order the clips come in."""
    job = job_for(version, with_labels(c101=1))
    for plan in forecast.plans(job):
        again = sharding.plan_shard(
            plan.split,
            plan.index,
            plan.num_shards,
            clips=reversed(plan.clips),
            settings=plan.settings,
            salt=job.listing.salt,
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
    assert forecast.foreseen_actions(job_for(version, splits)) == {
        "reused": reused,
        "relabelled": relabelled,
        "decoded": 0,
    }


def test_shards_of_older_versions_are_reused_too(tmp_path):
    by_hand.publish(tmp_path)
    version = by_hand.publish(tmp_path, with_labels(c101=1, c201=0))
    actions = forecast.foreseen_actions(job_for(version, by_hand.CLIPS))
    assert actions == {"reused": 4, "relabelled": 0, "decoded": 0}


def test_another_number_of_shards_copies_all_of_them(version):
    job = job_for(version, by_hand.CLIPS, num_shards=3)

    train, *_ = (p for p in forecast.plans(job) if p.split == "train")

    assert {clip.clip_id for clip in train.clips} == set(by_hand.CLIPS["train"])
    assert len({clip.stored_in for clip in train.clips}) == 2
    assert forecast.foreseen_actions(job) == {
        "reused": 2,  # validation and test have one shard as before
        "relabelled": 1,
        "decoded": 0,
    }


def test_clips_of_which_no_frames_are_stored_are_foreseen_to_be_decoded(version):
    job = job_for(version, with_labels(c101=1, c201=0))
    refs = [
        records.ClipRef(c.clip_id, c.split, c.label_id, "", c.uri)
        for c in listings.held(job.listing)
    ]
    known = {c.clip_id: c.known for c in listings.held(job.listing)}
    known["101"] = clip_references.StoredSource(known["101"].source, "")
    job = dataclasses.replace(job, listing=listings.listing(refs, known))
    assert forecast.foreseen_actions(job) == {
        "reused": 2,
        "relabelled": 1,
        "decoded": 1,
    }


def test_without_a_version_every_shard_is_to_be_decoded(tmp_path):
    asked = annotated(by_hand.CLIPS)
    refs = tuple(
        records.ClipRef(c.clip_id, c.split, c.label_id, c.label, f"/{c.clip_id}.webm")
        for c in asked.clips
    )
    known = records.Fingerprint(10, "ab" * 32)
    job = make_version.VersionJob(
        dataset=tmp_path / "nothing yet",
        parent=None,
        annotated=asked,
        listing=listings.listing(
            refs, {ref.clip_id: clip_references.StoredSource(known, "") for ref in refs}
        ),
        identify=build_transforms.known_source,
        settings=records.DecodeSettings(),
        clip_limits=quarantine.DecodeLimits(),
        num_shards=4,
        max_quarantined=0,
        num_workers=1,
        beam_flags=(),
    )
    actions = forecast.foreseen_actions(job)
    assert actions == {"reused": 0, "relabelled": 0, "decoded": 4}
    assert not (tmp_path / "nothing yet").exists()
