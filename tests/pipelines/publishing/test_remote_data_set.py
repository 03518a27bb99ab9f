"""A data set in an object store as jobs open and publish it."""

import dataclasses

import pytest

from mindrecord_io import naming
from mindrecord_io.storage import object_store
from mindrecord_io.versions import manifests, opening, version_checks
from pipelines.jobs import report
from pipelines.publishing import data_sets
from tests import versions_by_hand as by_hand

URI = "s3://clips/set"
TABLE = "clips/set/versions/000001/clips.parquet"


@pytest.fixture
def local(tmp_path):
    return by_hand.publish(tmp_path / "dataset")


@pytest.fixture
def remote(bucket, local, monkeypatch):
    monkeypatch.setattr(object_store, "_FIRST_PAUSE_SECONDS", 0.001)
    bucket.upload(local.dataset, "clips/set")
    bucket.requests()
    return bucket


def opened_by_a_job(location):
    with data_sets.opened(location) as data_set:
        data_set.open_version()


@pytest.mark.parametrize(
    ("open_version", "is_remote"),
    [
        (opening.open_version, False),
        (opening.open_version, True),
        (opened_by_a_job, False),
        (opened_by_a_job, True),
    ],
    ids=["reader", "remote_reader", "job", "remote_job"],
)
def test_a_current_that_names_no_version_is_one_error(
    remote, local, open_version, is_remote
):
    location = URI if is_remote else local.dataset
    remote.write("clips/set/CURRENT", b"latest\n")
    naming.current_path(local.dataset).write_bytes(b"latest\n")
    with pytest.raises(manifests.ManifestError) as caught:
        open_version(location)
    assert str(caught.value) == (
        f"{location}/CURRENT: does not name a version: a version is named like "
        f"'000003', got 'latest'"
    )


def test_a_job_fetches_a_version_once_and_all_of_it(remote, local):
    with data_sets.opened(URI) as data_set:
        for _ in range(2):
            version = data_set.open_version()
        assert version_checks.check_version(version) == []
        assert version.read_clips() == local.read_clips()
    assert remote.fetched(".parquet") == {"clips.parquet": 1}


def test_a_table_that_is_another_one_is_fetched_again_and_then_reported(remote):
    remote.write(TABLE, remote.read(TABLE)[:-1])
    remote.requests()
    with data_sets.opened(URI) as data_set:
        version = data_set.open_version()
        (damage,) = version_checks.check_version(version)
        with pytest.raises(manifests.ManifestError, match="not the file that was publ"):
            version.read_clips()
    assert damage.path == "versions/000001/clips.parquet"
    num_bytes = version.manifest.clips_table.num_bytes
    assert damage.reason == f"has {num_bytes - 1} bytes, expected {num_bytes}"
    assert remote.fetched(".parquet") == {"clips.parquet": object_store.NUM_ATTEMPTS}


@pytest.mark.parametrize("name", ["clips.parquet", "labels/category.txt"])
def test_a_file_that_is_gone_is_reported(remote, name):
    remote.delete(f"clips/set/versions/000001/{name}")
    with data_sets.opened(URI) as data_set:
        (damage,) = version_checks.check_version(data_set.open_version())
    assert damage.path == f"versions/000001/{name}"
    assert damage.reason.startswith("is missing")


def test_what_was_published_is_not_fetched_to_be_opened(remote, local):
    with (
        data_sets.opened(URI) as writer,
        writer.staging() as staging,
        data_sets.opened(URI) as data_set,  # has fetched nothing yet
    ):
        folder = staging / "version"
        writer.open_version().folder.rename(folder)
        naming.manifest_path(folder).unlink()
        remote.requests()
        manifest = data_set.read_manifest()
        version = data_set.publish(
            folder, dataclasses.replace(manifest, parent="000001")
        )
        assert data_set.open_version() == version
        assert version.read_clips() == local.read_clips()
    assert version.manifest.version == "000002"
    assert remote.fetched(".parquet") == {}  # its ETag is the MD5 of what was uploaded


def test_versions_are_listed_in_order_and_only_those_with_a_manifest(remote):
    manifest = remote.read("clips/set/versions/000001/manifest.json")
    for name in ("1000000", "999999", "000000", "latest"):
        remote.write(f"clips/set/versions/{name}/manifest.json", manifest)
    remote.write("clips/set/versions/000002/clips.parquet", b"half")
    remote.write("clips/set/versions/000003/labels/manifest.json", manifest)
    with data_sets.opened(URI) as data_set:
        assert data_set.list_versions() == ["000001", "999999", "1000000"]


def test_a_part_of_a_file_is_shorter_at_the_files_end_as_on_a_disk(remote, local):
    remote.write("clips/set/short", b"0123456789")
    (local.dataset / "short").write_bytes(b"0123456789")
    for place, expected in {
        (2, 3): b"234",
        (8, 100): b"89",
        (10, 5): b"",
        (0, 99): b"0123456789",
    }.items():
        for location in (URI, local.dataset):
            with data_sets.opened(location) as data_set:
                assert data_set.read_part("short", *place) == expected


def test_a_card_in_a_store_is_on_the_report(remote, tmp_path, capsys):
    remote.write("clips/set/card.yaml", b"name: Clips in a store")
    page = tmp_path / "page.html"
    assert report.main(["--dataset", URI, "--output", str(page)]) == 0
    assert "<h1>Clips in a store, version 000001</h1>" in page.read_text()
