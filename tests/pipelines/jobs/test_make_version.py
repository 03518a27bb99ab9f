"""What a later build does to a data set: each test changes one thing."""

import dataclasses
import logging
import shutil
from pathlib import Path

import pytest

from mindrecord_io import naming, records
from mindrecord_io.shards import sharding
from mindrecord_io.storage import files
from mindrecord_io.versions import opening
from pipelines.jobs import build, build_options, job_result
from pipelines.jobs.make_version import JobError
from pipelines.planning import matching
from pipelines.planning.version_plans import VersionPlan
from pipelines.sources import annotation_readers

SETTINGS = records.DecodeSettings(page_num_bytes=64 << 10)
# Of the train clips, 102 and 103 are in shard 0, 104 in 1, 105 in 2, 101 in 3; both
# validation clips are in shard 1 of 2, shard 0 is not made.
NUM_SHARDS = 7


def options_for(package, dataset, **changed):
    fields = {
        "clips": package.clips,
        "annotations": package.annotations,
        "dataset": dataset,
        "settings": SETTINGS,
        "num_workers": 1,
    }
    return build_options.BuildOptions(**(fields | changed))


@pytest.fixture(scope="module")
def first(package, tmp_path_factory):
    """The package as version 000001; only to be read."""
    dataset = tmp_path_factory.mktemp("first") / "dataset"
    asked = options_for(package, dataset, num_shards=NUM_SHARDS, num_workers=2)
    return build.build(asked).version


@pytest.fixture
def dataset(first, tmp_path):
    """A copy of the data set, to be built upon."""
    return shutil.copytree(first.dataset, tmp_path / "dataset")


@dataclasses.dataclass(frozen=True)
class Reannotated:
    """The clips of one package with the annotations of another folder."""

    clips: Path
    annotations: Path


@pytest.fixture(scope="module")
def reannotate(package, tmp_path_factory):
    """Gives the package's train clips, unchanged, other labels by clip id."""

    def change(train, splits):
        made = type(package)(tmp_path_factory.mktemp("annotations"))
        made.annotate(splits | {"train": train})
        return Reannotated(package.clips, made.annotations)

    return change


@pytest.fixture(scope="module")
def relabelled(reannotate, tools, first, tmp_path_factory):
    """The result of a build after clip 103 got another label; only to be read."""
    dataset = tmp_path_factory.mktemp("relabelled") / "dataset"
    shutil.copytree(first.dataset, dataset)
    changed = reannotate(tools.SPLITS["train"] | {"103": 0}, tools.SPLITS)
    return build.build(options_for(changed, dataset))


@pytest.fixture
def no_workers(monkeypatch):
    """Nothing can be made: shards can only be reused."""
    monkeypatch.setattr("pipelines.building.child_process.ChildProcess", None)


def place_of(clip_id, split="train", num_shards=4):
    return split, sharding.shard_index(clip_id, num_shards)


def keys(version):
    return {(s.split, s.index): s.key for s in version.manifest.shards}


def changed_places(before, after):
    """The shards that one of two versions has and the other has not, by place."""
    return {place for place, _ in keys(before).items() ^ keys(after).items()}


def statuses(version):
    table = version.read_clips(["clip_id", "status"]).to_pylist()
    return {row["clip_id"]: row["status"] for row in table}


def test_the_clips_lie_where_these_tests_say(first):
    names = ("101", "102", "103", "104", "105")

    assert [place_of(name)[1] for name in names] == [3, 0, 0, 1, 2]
    assert sorted(keys(first)) == [
        ("test", 0),
        *(("train", index) for index in range(4)),
        ("validation", 1),
    ]


def test_nothing_new_makes_no_version(package, first, dataset, no_workers, caplog):
    with caplog.at_level(logging.INFO):
        result = build.build(options_for(package, dataset))

    assert result.version == dataclasses.replace(first, dataset=dataset)
    assert result.num_shards == {"reused": 6, "relabelled": 0, "decoded": 0}
    assert "no clip, label or setting changed: version 000001 stays" in caplog.messages
    assert opening.list_versions(dataset) == ["000001"]


def test_a_changed_label_touches_its_shard_alone(first, relabelled):
    after = relabelled.version

    assert (after.manifest.version, after.manifest.parent) == ("000002", "000001")
    assert relabelled.num_shards == {"reused": 5, "relabelled": 1, "decoded": 0}
    assert changed_places(first, after) == {place_of("103")}


def test_an_older_version_stays_readable(first, relabelled):
    dataset = relabelled.version.dataset

    old = opening.open_version(dataset, "000001")

    assert old.manifest == first.manifest
    assert old.read_clips() == first.read_clips()
    for entry in old.manifest.shards:
        assert files.fingerprint(old.shard_path(entry)) == entry.mindrecord


def test_going_back_to_earlier_labels_needs_no_work(
    package, first, relabelled, tmp_path, no_workers
):
    dataset = shutil.copytree(relabelled.version.dataset, tmp_path / "dataset")

    result = build.build(options_for(package, dataset))

    assert result.num_shards == {"reused": 6, "relabelled": 0, "decoded": 0}
    assert result.version.manifest.version == "000003"
    assert keys(result.version) == keys(first)


def test_a_clip_that_is_added_touches_its_shard_alone(
    package_copy, tools, first, dataset
):
    tools.write_grey_clip(package_copy.clip("106"), [10, 60])
    package_copy.annotate(tools.SPLITS | {"train": {**tools.SPLITS["train"], "106": 1}})

    result = build.build(options_for(package_copy, dataset))

    assert result.num_shards == {"reused": 5, "relabelled": 0, "decoded": 1}
    assert changed_places(first, result.version) == {place_of("106")}
    assert result.version.manifest.num_clips == 9


@pytest.mark.slow
def test_a_clip_that_is_removed_touches_its_shard_alone(
    reannotate, tools, first, dataset
):
    train = {k: label for k, label in tools.SPLITS["train"].items() if k != "103"}

    result = build.build(options_for(reannotate(train, tools.SPLITS), dataset))

    assert result.num_shards == {"reused": 5, "relabelled": 1, "decoded": 0}
    assert changed_places(first, result.version) == {place_of("103")}
    assert statuses(result.version)["103"] == "unlisted"
    assert statuses(opening.open_version(dataset, "000001"))["103"] == "stored"


def test_a_shard_without_clips_left_is_not_missed(
    reannotate, tools, first, dataset, no_workers
):
    train = {k: label for k, label in tools.SPLITS["train"].items() if k != "104"}

    result = build.build(options_for(reannotate(train, tools.SPLITS), dataset))

    assert result.num_shards == {"reused": 5, "relabelled": 0, "decoded": 0}
    assert changed_places(first, result.version) == {place_of("104")}


@pytest.mark.slow
def test_a_file_that_changed_is_decoded_with_its_shard(
    package_copy, tools, first, dataset
):
    tools.write_grey_clip(package_copy.clip("103"), [200, 10])

    result = build.build(options_for(package_copy, dataset))

    assert result.num_shards == {"reused": 5, "relabelled": 0, "decoded": 1}
    assert changed_places(first, result.version) == {place_of("103")}
    columns = ["clip_id", "num_frames"]
    counted = result.version.read_clips(columns, "train").to_pylist()
    assert {"clip_id": "103", "num_frames": 2} in counted
    assert {"clip_id": "102", "num_frames": 3} in counted


@pytest.mark.slow
def test_other_settings_decode_every_clip_and_warn(package, first, dataset, caplog):
    other = dataclasses.replace(SETTINGS, jpeg_quality=50)

    result = build.build(options_for(package, dataset, settings=other))

    assert result.num_shards == {"reused": 0, "relabelled": 0, "decoded": 6}
    of_build = [r for r in caplog.records if r.name == "pipelines.jobs.build"]
    (warning,) = (r for r in of_build if r.levelname == "WARNING")
    assert warning.getMessage().startswith("version 000001 was made with DecodeSetting")
    assert "jpeg_quality=90" in warning.getMessage()
    assert "jpeg_quality=50" in warning.getMessage()
    assert "every clip is decoded" in warning.getMessage()


def test_too_many_missing_clips_fail_before_any_work(package_copy, tmp_path):
    for clip_id in ("103", "202"):
        package_copy.clip(clip_id).unlink()
    asked = options_for(package_copy, tmp_path / "new", max_quarantined=1)

    with pytest.raises(JobError) as caught:
        build.build(asked)

    assert str(caught.value) == (
        "2 clips cannot be stored, --max_quarantined allows 1; nothing is published. "
        "The first: 103 (missing: annotated, but not in the folder of clips); "
        "202 (missing: annotated, but not in the folder of clips)"
    )
    left = [path.name for path in (tmp_path / "new").rglob("*") if path.is_file()]
    assert left == ["lost.tsv"]


def test_missing_clips_within_the_limit_are_told_in_the_table(
    package_copy, dataset, no_workers
):
    package_copy.clip("104").unlink()  # alone in its shard

    result = build.build(options_for(package_copy, dataset, max_quarantined=1))

    assert statuses(result.version)["104"] == "missing"
    assert result.version.manifest.num_missing == 1
    assert result.to_json()["num_quarantined"] == 1


def test_unlisted_clips_are_told_but_count_as_no_loss(
    package_copy, dataset, tools, no_workers, caplog
):
    tools.write_grey_clip(package_copy.clip("999"), [10])

    result = build.build(options_for(package_copy, dataset, max_quarantined=0))

    assert statuses(result.version)["999"] == "unlisted"
    assert result.version.manifest.num_unlisted == 1
    assert result.to_json()["num_quarantined"] == 0
    assert "1 file not annotated and not stored; the first: 999" in caplog.text


def test_a_shard_that_was_removed_by_hand_is_made_again(package, first, dataset):
    entry = next(e for e in first.manifest.shards if e.split == "test")
    shutil.rmtree((dataset / entry.path).parent)

    result = build.build(options_for(package, dataset))

    assert result.num_shards == {"reused": 5, "relabelled": 0, "decoded": 1}
    assert result.version.manifest == first.manifest
    assert files.fingerprint(dataset / entry.path) == entry.mindrecord


def test_leftovers_of_a_dead_build_are_removed(package, dataset, no_workers):
    for parent in (dataset / "versions", dataset / "shards" / "train"):
        naming.incomplete_folder(parent).mkdir()

    build.build(options_for(package, dataset))

    assert not [path for path in dataset.rglob("*") if naming.is_incomplete(path)]


@pytest.mark.parametrize(
    ("asked", "parent_has", "expected"),
    [
        (None, None, {"train": 1, "validation": 1, "test": 1}),
        (3, None, {"train": 1, "validation": 1, "test": 1}),
        (7, None, {"train": 4, "validation": 2, "test": 1}),
        (None, "parent", {"train": 4, "validation": 2, "test": 1}),
        (3, "parent", {"train": 1, "validation": 1, "test": 1}),
    ],
)
def test_shards_are_as_asked_or_as_they_are_or_by_the_clips(
    package, first, asked, parent_has, expected
):
    annotations = annotation_readers.read(package.annotations)
    plan = VersionPlan(
        parent=first if parent_has else None,
        annotations=annotations,
        listing=matching.match_clips(annotations, package.clips),
        settings=SETTINGS,
        total_shards=asked,
    )

    assert plan.num_shards() == expected


def test_the_result_counts_clips_by_the_time_of_the_shards_only(first):
    result = job_result.JobResult(
        first, {"reused": 0, "decoded": 6}, seconds=9.96, num_made=8, shard_seconds=4.0
    )

    assert result.to_json() == {
        "version": "000001",
        "num_clips": 8,
        "num_quarantined": 0,
        "num_frames": 31,
        "shards": {"reused": 0, "decoded": 6},
        "num_bytes": first.manifest.num_bytes,
        "seconds": 10.0,
        "clips_per_second": 2.0,
        "lost": {},
        "num_leaks": 0,
        "num_label_conflicts": 0,
        "num_sources_read": 0,
    }
