import dataclasses
import logging
from pathlib import Path

import pytest

from mindrecord_io import naming, records
from mindrecord_io.shards import sharding
from mindrecord_io.storage import files, incomplete
from mindrecord_io.versions import manifests, opening
from pipelines.building import version_draft
from pipelines.planning.clip_references import Reference
from pipelines.planning.version_plans import VersionPlan
from pipelines.publishing import data_sets
from pipelines.sources.annotations import Annotations
from tests import listings, versions_by_hand

LABELS = records.LabelMap(("Moving something", "Rest \N{SNOWMAN}"))
SETTINGS = records.DecodeSettings(short_side_px=128)
SOURCE = records.Fingerprint(1000, "ab" * 32)
FILE = records.Fingerprint(5000, "cd" * 32)
LABEL_IDS = {"11": 0, "12": 1, "13": 0, "21": 1, "31": -1}
SPLIT_OF = {"1": "train", "2": "validation", "3": "test"}
NUM_FRAMES = {"11": 2, "13": 4, "21": 3, "31": 5}  # 12 is quarantined


def annotation(clip_id, label_id):
    label = LABELS.names[label_id] if label_id >= 0 else ""
    return records.Annotation(clip_id, SPLIT_OF[clip_id[0]], label_id, label)


def outcome(clip_id):
    if clip_id not in NUM_FRAMES:
        return records.ClipOutcome(
            clip_id=clip_id,
            label_id=LABEL_IDS[clip_id],
            source=SOURCE,
            status=records.QUARANTINED,
            reason="truncated",
            detail="3 frames, the header promises 8",
        )
    return records.ClipOutcome(
        clip_id=clip_id,
        label_id=LABEL_IDS[clip_id],
        source=SOURCE,
        status=records.STORED,
        height=48,
        width=64,
        facts=records.SourceFacts(
            fps_from_header=12.0,
            num_frames_from_header=NUM_FRAMES[clip_id],
        ),
        row=0,
        frames_offset=300_000,
        frame_sizes=(700,) * NUM_FRAMES[clip_id],
        frames_sha256="ef" * 32,
    )


def summary(index, *clip_ids):
    clips = tuple(outcome(clip_id) for clip_id in clip_ids)
    file = FILE if any(clip.frame_sizes for clip in clips) else None
    return records.ShardSummary(
        split=SPLIT_OF[clip_ids[0][0]],
        index=index,
        num_shards=2 if clip_ids[0][0] == "1" else 1,
        key=f"{int(clip_ids[0]):032x}",
        frames_key="0" * 32,
        mindrecord=file,
        mindrecord_index=file,
        clips=clips,
    )


SUMMARIES = [
    summary(0, "13", "11"),
    summary(1, "12"),
    summary(0, "21"),
    summary(0, "31"),
]


@dataclasses.dataclass(frozen=True)
class Draft:
    """A version to be written into a data set."""

    dataset: Path
    plan: VersionPlan
    shards: list[version_draft.MadeShard]

    def write(self, staging):
        return version_draft.write(self.plan, self.shards, staging)


def draft_in(
    dataset,
    *,
    summaries=None,
    salt=sharding.DEFAULT_SALT,
    clips_folder="/clips",
    parent=None,
    settings=SETTINGS,
):
    clips = [annotation(clip_id, label) for clip_id, label in LABEL_IDS.items()]
    annotations = Annotations(LABELS, [*clips, annotation("19", 1)])
    references = {
        c.clip_id: Reference(
            n, c.clip_id, c.split, c.label_id, f"{clips_folder}/{c.clip_id}.webm"
        )
        for n, c in enumerate(clips)
    }
    listing = listings.listing(
        references.values(), missing={5: "19"}, unlisted=["99"], salt=salt
    )
    shards = [
        version_draft.MadeShard(
            versions_by_hand.summary_file(made),
            [references[clip.clip_id] for clip in made.clips],
        )
        for made in summaries or SUMMARIES
    ]
    return Draft(dataset, VersionPlan(parent, annotations, listing, settings), shards)


def publish(draft):
    data_set = data_sets.LocalDataSet(draft.dataset)
    with incomplete.folder_in(draft.dataset / "versions") as staging:
        written = draft.write(staging)
        return version_draft.publish(written, draft.plan.parent, data_set)


def test_lost_clips_are_the_quarantined_and_then_the_missing(tmp_path):
    lost = draft_in(tmp_path).write(tmp_path).lost
    assert len(lost) == 2
    assert lost.first == (
        ("12", "truncated", "3 frames, the header promises 8"),
        ("19", "missing", "annotated, but not in the folder of clips"),
    )


def test_a_draft_becomes_the_current_version(tmp_path):
    version = publish(draft_in(tmp_path))

    manifest = version.manifest
    assert opening.current_name(tmp_path) == manifest.version == "000001"
    assert manifest.parent == ""
    assert (manifest.num_clips, manifest.num_quarantined, manifest.num_missing) == (
        4,
        1,
        1,
    )
    assert (manifest.num_unlisted, manifest.num_frames, manifest.num_classes) == (
        1,
        14,
        2,
    )
    assert manifest.settings == SETTINGS
    assert [(s.split, s.index, s.num_rows) for s in manifest.shards] == [
        ("train", 0, 2),
        ("train", 1, 0),
        ("validation", 0, 1),
        ("test", 0, 1),
    ]
    assert manifest.num_bytes == 3 * 2 * 5000


def test_the_manifest_proves_the_table(tmp_path):
    version = publish(draft_in(tmp_path))

    path = naming.clips_table_path(version.folder)
    assert version.manifest.clips_table == files.fingerprint(path)


def test_the_table_has_a_row_for_whatever_was_asked_for(tmp_path):
    version = publish(draft_in(tmp_path))

    columns = ["clip_id", "split", "label_id", "status", "reason", "num_frames"]
    rows = [tuple(row.values()) for row in version.read_clips(columns).to_pylist()]
    assert rows == [
        ("13", "train", 0, "stored", "", 4),
        ("11", "train", 0, "stored", "", 2),
        ("12", "train", 1, "quarantined", "truncated", 0),
        ("21", "validation", 1, "stored", "", 3),
        ("31", "test", -1, "stored", "", 5),
        ("19", "train", 1, "missing", "missing", 0),
        ("99", "", -1, "unlisted", "unlisted", 0),
    ]


def test_label_files_hold_the_stored_clips_in_annotation_order(tmp_path):
    folder = naming.labels_folder(publish(draft_in(tmp_path)).folder)

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "category.txt": "Moving something\nRest \N{SNOWMAN}".encode(),
        "train_videofolder.txt": b"11 2 0\n13 4 0",
        "val_videofolder.txt": b"21 3 1",
        "test_videofolder.txt": b"31 5 0",
    }


def test_a_draft_that_says_nothing_new_leaves_the_version(tmp_path, caplog):
    first = publish(draft_in(tmp_path))

    with caplog.at_level(logging.INFO):
        second = publish(draft_in(tmp_path, parent=first))

    assert second == first
    assert opening.list_versions(tmp_path) == ["000001"]
    assert caplog.messages == [
        "no clip, label or setting changed: version 000001 stays"
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {"settings": records.DecodeSettings()},
        {"salt": "other"},
        {"summaries": [dataclasses.replace(s, frames_key="f" * 32) for s in SUMMARIES]},
    ],
    ids=["settings", "salt", "summaries"],
)
def test_whatever_differs_makes_a_new_version(tmp_path, changed):
    first = publish(draft_in(tmp_path))

    second = publish(draft_in(tmp_path, parent=first, **changed))

    assert (second.manifest.version, second.manifest.parent) == ("000002", "000001")
    assert opening.open_version(tmp_path, "000001") == first


def test_shards_that_lost_planned_clips_make_no_version(tmp_path):
    with pytest.raises(manifests.DatasetError, match="5 clips are planned, the shards"):
        publish(draft_in(tmp_path, summaries=[summary(0, "11"), summary(0, "21")]))
    assert opening.list_versions(tmp_path) == []


def test_a_moved_folder_of_clips_is_a_difference(tmp_path):
    first = publish(draft_in(tmp_path))

    second = publish(draft_in(tmp_path, parent=first, clips_folder="/moved"))

    assert second.manifest.version == "000002"
    uris = second.read_clips(["uri"], split="validation")["uri"].to_pylist()
    assert uris == ["/moved/21.webm"]


def test_a_rival_that_published_meanwhile_is_a_conflict(tmp_path):
    publish(draft_in(tmp_path))

    with pytest.raises(manifests.PublishConflictError) as caught:
        publish(draft_in(tmp_path, salt="other"))

    assert "version 000001 was published by another process" in str(caught.value)
    assert "run the same command again: finished shards are reused" in str(caught.value)
    assert opening.list_versions(tmp_path) == ["000001"]
    assert opening.current_name(tmp_path) == "000001"


@pytest.mark.parametrize("has_parent", [False, True])
def test_a_rival_that_published_the_same_is_none(tmp_path, caplog, has_parent):
    parent = publish(draft_in(tmp_path, salt="other")) if has_parent else None
    first = publish(draft_in(tmp_path, parent=parent))

    with caplog.at_level(logging.INFO):
        second = publish(draft_in(tmp_path, parent=parent))

    name = "000002" if has_parent else "000001"
    assert second == first
    assert second.manifest.version == opening.list_versions(tmp_path)[-1] == name
    assert caplog.messages == [
        f"another process has published {name}, the same: nothing is added"
    ]


def test_nothing_is_left_of_the_staging_folder(tmp_path):
    publish(draft_in(tmp_path))

    assert not [path for path in tmp_path.rglob("*") if naming.is_incomplete(path)]
    assert sorted(path.name for path in (tmp_path / "versions/000001").iterdir()) == [
        "clips.parquet",
        "labels",
        "lost.tsv",
        "manifest.json",
        "same_bytes.tsv",
    ]
