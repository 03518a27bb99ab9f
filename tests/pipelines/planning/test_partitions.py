"""Whole jobs with one partition and with many, on versions made without MindSpore."""

import dataclasses

import pytest

from mindrecord_io import naming, records
from mindrecord_io.shards import sharding
from mindrecord_io.versions import opening
from pipelines.jobs import make_version
from pipelines.planning import matching
from pipelines.planning.version_plans import VersionPlan
from pipelines.publishing import data_sets
from pipelines.sources import annotation_readers
from pipelines.sources.annotations import AnnotationError, Annotations
from tests import versions_by_hand as by_hand

LIST = """\
path,label,split,clip_id
d/201.webm,Leaning,validation,201
d/105.webm,Leaning,train,105
d/101.webm,Rolling,train,101
d/301.webm,,test,301
d/103.webm,Rolling,train,103
d/109.webm,Rolling,train,109
"""


def relabelling(version, annotations):
    """The job of giving a version other annotations."""
    return make_version.VersionJob(
        data_sets.LocalDataSet(version.dataset),
        VersionPlan(
            version,
            annotations,
            matching.match_version(version, annotations),
            version.manifest.settings,
        ),
        max_quarantined=2,
    )


def published(dataset):
    """The table, the label files and the shards of a version by other annotations."""
    version = by_hand.publish(dataset, quarantined=["103"])
    (dataset / "list.csv").write_text(LIST)
    annotations = annotation_readers.read(dataset / "list.csv")
    job = relabelling(version, annotations)
    difference = job.plan.listing.difference
    folder = naming.version_folder(dataset, "000001")
    plans = sorted(
        (s.split, s.index, s.key) for s in opening.open_version(dataset).manifest.shards
    )
    names = [clip.clip_id for clip in annotations.clips]
    return {
        "digest": annotations.digest,
        "clips": names,
        "counts": difference.counts(),
        "relabelled": difference.relabelled.first,
        "withdrawn": difference.withdrawn.first,
        "missing": job.plan.listing.missing.first,
        "quarantined": job.plan.listing.quarantined.first,
        "shards": plans,
        "table": naming.clips_table_path(folder).read_bytes(),
    }


def relabelled(dataset):
    """What is published of the same clips under other label texts."""
    version = by_hand.publish(dataset, quarantined=["103"])
    label_map = records.LabelMap(("Rolling along", "Tilting"))
    clips = [
        records.Annotation(
            clip_id, split, label_id, label_map.names[label_id] * (label_id >= 0)
        )
        for split, label_ids in by_hand.CLIPS.items()
        for clip_id, label_id in label_ids.items()
    ]
    missing = records.Annotation("999", "test", records.UNLABELLED, "")
    annotations = Annotations(label_map, (*clips, missing))
    result = make_version.run(relabelling(version, annotations))
    manifest = dataclasses.replace(result.version.manifest, created_at="")
    labels = naming.labels_folder(result.version.folder)
    return manifest, {path.name: path.read_bytes() for path in labels.iterdir()}


@pytest.mark.parametrize("num_partitions", [1, 7])
def test_a_job_sees_the_same_with_fewer_partitions(
    tmp_path, monkeypatch, num_partitions
):
    usual = published(tmp_path / "usual")
    monkeypatch.setattr(sharding, "NUM_PARTITIONS", num_partitions)
    assert published(tmp_path / "other") == usual
    assert usual["missing"] == ("109",)
    assert usual["withdrawn"] == ("102",)
    assert usual["clips"] == ["105", "101", "103", "109", "201", "301"]


def test_a_version_is_the_same_with_fewer_partitions(tmp_path, monkeypatch):
    usual, label_files = relabelled(tmp_path / "usual")
    assert label_files["train_videofolder.txt"] == b"101 4 0\n102 2 1\n105 2 1"

    monkeypatch.setattr(sharding, "NUM_PARTITIONS", 2)
    assert relabelled(tmp_path / "other") == (usual, label_files)


@pytest.mark.parametrize("num_partitions", [1, 256])
def test_a_clip_that_is_listed_twice_is_refused_wherever_it_is(
    tmp_path, monkeypatch, num_partitions
):
    monkeypatch.setattr(sharding, "NUM_PARTITIONS", num_partitions)
    (tmp_path / "list.csv").write_text(f"{LIST}e/101.webm,Rolling,train,101\n")
    with pytest.raises(AnnotationError) as error:
        annotation_readers.read(tmp_path / "list.csv")
    assert str(error.value) == (
        f"clip '101' is listed twice: {tmp_path}/list.csv line 4 (d/101.webm) and "
        f"{tmp_path}/list.csv line 8 (e/101.webm)"
    )
