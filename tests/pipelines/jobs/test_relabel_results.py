"""What relabelling makes of many kinds of change, against a build of the same clips.

Every relabelling here runs while the folder of clips is away.
"""

import shutil
from dataclasses import dataclass

import pytest

from mindrecord_io import records
from mindrecord_io.versions import manifests, opening
from tests import tiny_dataset as tiny


@pytest.fixture(scope="module", autouse=True)
def lent_worker():
    with tiny.lent_worker():
        yield


@pytest.fixture(scope="module")
def made(package, tmp_path_factory):
    return tiny.make(tmp_path_factory.mktemp("made"), package.clips)


@dataclass(frozen=True)
class Case:
    """New annotations, and how many shards they reuse and relabel."""

    splits: dict
    num_reused: int
    num_relabelled: int
    labels: tuple = tiny.LABELS


CASES = {
    "nothing": Case(tiny.SPLITS, 4, 0),
    "a label": Case(tiny.changed(c102=2), 3, 1),
    "two labels of a shard": Case(tiny.changed(c102=2, c103=0), 3, 1),
    "the label of a quarantined clip": Case(tiny.changed(c104=2), 3, 1),
    "to another split": Case(tiny.moved("101", "validation", 0), 2, 2),
    "to the test split": Case(tiny.moved("105", "test", -1), 2, 2),
    "from the test split": Case(tiny.moved("301", "train", 1), 2, 1),
    "a quarantined clip to another split": Case(
        tiny.moved("104", "validation", 1), 2, 2
    ),
    "a whole split": Case(tiny.SPLITS | {"validation": {}}, 3, 0),
    "a class that sorts first": Case(
        {
            s: {c: n + (n >= 0) for c, n in clips.items()}
            for s, clips in tiny.SPLITS.items()
        },
        1,
        3,
        ("Lifting something", *tiny.LABELS),
    ),
    "texts alone": Case(tiny.SPLITS, 4, 0, ("To the left", "To the right", "Rest")),
}


@dataclass(frozen=True)
class Done:
    """What came of a case."""

    case: Case
    parent: manifests.Version
    version: manifests.Version
    fresh: manifests.Version
    forecast: dict
    result: dict
    sha256s: tuple  # before the dry run, after it, after the run


@pytest.fixture(scope="module", params=CASES.values(), ids=CASES.keys())
def done(made, request, tmp_path_factory):
    case, folder = request.param, tmp_path_factory.mktemp("done")
    annotations = tiny.annotate(folder / "annotations", case.splits, case.labels)
    dataset = shutil.copytree(made.dataset, folder / "dataset")
    parent = opening.open_version(dataset)
    hashes = [tiny.sha256s(dataset)]
    _, forecast = made.relabel(dataset, annotations, "--dry_run")
    hashes.append(tiny.sha256s(dataset))
    _, result = made.relabel(dataset, annotations)
    hashes.append(tiny.sha256s(dataset))
    # A split that is gone takes its shard along.
    num_shards = tiny.NUM_SHARDS - sum(not clips for clips in case.splits.values())
    fresh = made.build(folder / "fresh", annotations, num_shards)
    version = opening.open_version(dataset)
    return Done(case, parent, version, fresh, forecast, result, tuple(hashes))


def test_only_shards_whose_clips_or_labels_changed_are_written(done):
    assert done.result["shards"] == {
        "reused": done.case.num_reused,
        "relabelled": done.case.num_relabelled,
        "decoded": 0,
    }
    num_new = len(done.sha256s[2].keys() - done.sha256s[1].keys())
    num_version_files = 9 if done.version != done.parent else 0
    files_a_shard = 3
    assert num_new <= files_a_shard * done.case.num_relabelled + num_version_files


def test_the_result_is_byte_for_byte_that_of_a_fresh_build(done):
    relabelled, fresh = tiny.files_of(done.version), tiny.files_of(done.fresh)
    relabelled.pop("changes.tsv", None)  # only one of the two has a parent
    if done.case.splits == tiny.SPLITS | {"validation": {}}:
        # Only a build sees that the withdrawn clips' files are there, unannotated.
        for name in ("clips.parquet", "lost.tsv"):
            del relabelled[name], fresh[name]
    assert relabelled == fresh


def test_the_manifest_says_what_that_of_a_fresh_build_says(done):
    def said(version):
        fields = records.to_json(version.manifest)
        own = ("version", "parent", "created_at", "clips_table", "num_unlisted")
        own += ("provenance",)  # the commands
        return {name: value for name, value in fields.items() if name not in own}

    assert said(done.version) == said(done.fresh)


def test_the_forecast_is_what_then_happens(done):
    told = ("shards", "num_clips", "num_quarantined")
    assert {name: done.forecast[name] for name in told} == {
        name: done.result[name] for name in told
    }
    assert done.forecast["version"] == "000001"


def test_a_dry_run_changes_nothing(done):
    before, after_dry_run, _ = done.sha256s
    assert after_dry_run == before


def test_what_was_published_stays_as_it_was(done):
    _, before, after = done.sha256s
    assert {name: after[name] for name in before if name != "CURRENT"} == {
        name: value for name, value in before.items() if name != "CURRENT"
    }


def test_there_is_a_new_version_if_anything_is_new(done):
    is_new = (done.case.splits, done.case.labels) != (tiny.SPLITS, tiny.LABELS)
    said = done.version.manifest
    assert done.result["version"] == said.version
    assert (said.version, said.parent) == (
        ("000002", "000001") if is_new else ("000001", "")
    )


def test_every_clip_is_accounted_for(done):
    asked = {c: split for split, clips in done.case.splits.items() for c in clips}
    rows = {row["clip_id"]: row for row in done.version.read_clips().to_pylist()}
    assert rows.keys() == asked.keys() | {tiny.UNLISTED}
    for clip_id, split in asked.items():
        row = rows[clip_id]
        assert row["split"] == split
        assert row["label_id"] == done.case.splits[split][clip_id]
        status = "quarantined" if clip_id in tiny.QUARANTINED else "stored"
        assert row["status"] == ("missing" if clip_id == tiny.MISSING else status)
        assert row["reason"] == tiny.QUARANTINED.get(
            clip_id, "missing" if clip_id == tiny.MISSING else ""
        )
    assert rows[tiny.UNLISTED]["status"] == "unlisted"


def test_label_texts_come_in_the_new_versions_files(done):
    assert done.version.category_names() == list(done.case.labels)
    labels = {
        row["clip_id"]: row["label"]
        for row in done.version.read_clips(["clip_id", "label"]).to_pylist()
    }
    for clips in done.case.splits.values():
        for clip_id, label_id in clips.items():
            expected = done.case.labels[label_id] if label_id >= 0 else ""
            assert labels[clip_id] == expected


def test_no_work_in_progress_is_left(done):
    assert tiny.work_in_progress(done.version.dataset) == []
