"""Links at every level of a data set, beside a second one that must not change."""

import contextlib
import json
import os
import shutil
from pathlib import Path

import pytest

from mindrecord_io import naming
from mindrecord_io.storage import own_folders
from mindrecord_io.storage.own_folders import ForeignFolderError
from mindrecord_io.versions import opening, publication
from pipelines.jobs import prune, rollback
from pipelines.publishing import data_sets, removal
from tests import versions_by_hand as by_hand

HOST = naming.incomplete_folder(Path()).name.rpartition("-")[0]


@pytest.fixture
def other(tmp_path):
    """A second data set, with more versions and shards, and a folder of files."""
    other = tmp_path / "other"
    for clips in (by_hand.CLIPS, by_hand.without("102"), by_hand.without("101")):
        by_hand.publish(other, clips)
    for name in ("a" * 32, "000000009", "plain"):
        (other / "more" / name).mkdir(parents=True)
        (other / "more" / name / "file").write_text("precious")
    return other


@pytest.fixture
def dataset(tmp_path):
    by_hand.publish(tmp_path / "dataset")
    by_hand.publish(tmp_path / "dataset", by_hand.without("101"))
    return tmp_path / "dataset"


def shard_place(dataset, version):
    return f"shards/{opening.read_manifest(dataset, version).shards[0].place}"


def linked(place, target):
    """Puts a link to the other data set's part in the place of the own one."""

    def plant(dataset, other):
        path = dataset / (place(dataset) if callable(place) else place)
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.symlink_to(other / (target(other) if callable(target) else target))

    return plant


LINKS = {
    "versions": linked("versions", "versions"),
    "shards": linked("shards", "shards"),
    "split": linked("shards/train", "shards/train"),
    "split of keys": linked("shards/test", "more"),
    "version": linked("versions/000001", "versions/000001"),
    "a version more": linked("versions/000000007", "more/000000009"),
    "shard": linked(
        lambda d: shard_place(d, "000001"), lambda o: shard_place(o, "000001")
    ),
    "a shard more": linked(f"shards/train/{'a' * 32}", f"more/{'a' * 32}"),
    "unfinished version": linked(f"versions/{HOST}-x", "more/plain"),
    "unfinished shard": linked(f"shards/train/{HOST}-x", "more/plain"),
    "old unfinished": linked("versions/.incomplete-elsewhere-x", "more/plain"),
    "lock": linked("versions/.lock", "more/plain/file"),
    "a lock that is not there": linked("versions/.lock", "made_by_the_lock"),
}


def state(folder):
    """Every path below a folder, with content, time and kind."""
    return {
        Path(parent, name).relative_to(folder).as_posix(): (
            Path(parent, name).lstat().st_mtime_ns,
            Path(parent, name).is_file() and Path(parent, name).read_bytes(),
        )
        for parent, folders, names in os.walk(folder)
        for name in (*folders, *names)
    }


def report(dataset):
    data_set = data_sets.LocalDataSet(dataset)
    data_set.write("versions/000001/report.html", b"page")


def sweep(dataset):
    removal.remove_abandoned(dataset)


def publish(dataset):
    with publication.staging_folder(dataset):  # as every job does before anything
        by_hand.publish(dataset, by_hand.without("102", "103"))


JOBS = {
    "prune": lambda dataset: prune.prune(dataset, 1),
    "dry run": lambda dataset: prune.plan_only(dataset, 1),
    "rollback": lambda dataset: rollback.rollback(dataset, "000001"),
    "sweep": sweep,
    "publish": publish,
    "report": report,
}


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("link", LINKS)
def test_not_a_byte_of_another_data_set_changes(dataset, other, tmp_path, link, job):
    os.utime(other / "more/plain/file", (0, 0))
    os.utime(other / "more/plain", (0, 0))  # older than any unfinished work may be
    LINKS[link](dataset, other)
    before = state(other)
    with contextlib.suppress(RuntimeError, ValueError, OSError):
        JOBS[job](dataset)
    assert state(other) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset", "other"]


@pytest.mark.parametrize("link", LINKS)
def test_prune_refuses_a_link_by_its_path_and_removes_nothing(dataset, other, link):
    LINKS[link](dataset, other)
    before = state(dataset)
    with pytest.raises(ForeignFolderError, match=r"is a link to .*Nothing was changed"):
        prune.prune(dataset, 1)
    assert state(dataset) == before


def test_a_data_set_may_itself_be_named_by_a_link(dataset, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(dataset)
    assert prune.prune(link, 1).removed_versions == ("000001",)


def test_links_to_files_and_elsewhere_are_no_matter(dataset, tmp_path):
    (tmp_path / "file").write_text("x")
    (dataset / "README").symlink_to(tmp_path / "file")
    own_folders.check_below(dataset)


def test_a_file_where_a_folder_should_be_is_refused(dataset):
    shutil.rmtree(dataset / "shards/test")
    (dataset / "shards/test").write_text("x")
    with pytest.raises(ForeignFolderError, match="shards/test: is no folder"):
        prune.prune(dataset, 1)


def test_a_file_named_as_unfinished_work_hinders_nobody(dataset, caplog):
    stray = dataset / "versions" / f"{HOST}-x"
    stray.write_text("x")
    assert prune.prune(dataset, 1).removed_versions == ("000001",)
    assert stray.exists()
    assert "named as unfinished work and no folder; it stays" in caplog.text


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(shards=[]),
        lambda m: m.update(shards=m["shards"][1:]),
        lambda m: m.update(
            shards=m["shards"][1:],
            num_clips=m["num_clips"] - m["shards"][0]["num_rows"],
        ),
        lambda m: m.update(shards=[], num_clips=0, num_frames=0),
    ],
)
def test_prune_does_not_believe_a_manifest_that_lists_too_little(dataset, change):
    path = naming.manifest_path(dataset / "versions/000002")
    fields = json.loads(path.read_text())
    change(fields)
    path.write_text(json.dumps(fields))
    before = by_hand.snapshot(dataset)
    with pytest.raises(ValueError, match=r"contradicts itself|the manifest counts"):
        prune.prune(dataset, 1)
    assert by_hand.snapshot(dataset) == before


@pytest.mark.parametrize(
    "place",
    [
        "",
        "versions",
        "versions/",
        "shards/train",
        "shards",
        "versions/../..",
        "/",
        "versions/000001/labels",
        "shards/all/" + "a" * 32,
        "CURRENT",
    ],
)
def test_only_versions_shards_and_unfinished_work_are_removed(place):
    with pytest.raises(ValueError, match="is no version, shard or unfinished work"):
        removal.check_removable(place)


def test_what_prune_plans_can_be_removed(dataset):
    for place in (shard_place(dataset, "000001"), "versions/000001"):
        removal.check_removable(place)
    removal.check_removable(naming.incomplete_folder(Path("versions")).as_posix())
