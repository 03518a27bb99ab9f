"""The jobs against an S3 server, and against one that fails."""

import json

import pytest

from mindrecord_io import naming
from mindrecord_io.storage import object_store
from mindrecord_io.versions import manifests, opening
from pipelines.publishing import data_sets
from pipelines.sources import clip_files
from tests import s3_server

NUM_SHARDS = 5


def uploaded(bucket, folder, name):
    """Copies a folder into the bucket; returns its URI."""
    bucket.upload(folder, f"clips/{name}")
    return f"s3://clips/{name}"


def build(tools, package, clips, dataset):
    words = ["--clips", clips, "--annotations", package.annotations]
    done = tools.run_command(
        "build", *words, "--dataset", dataset, "--num_shards", NUM_SHARDS
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_folders_of_frames_are_not_looked_for_in_a_store(bucket):
    bucket.write("clips/frames/1/1.jpg", b"")
    clips = "s3://clips/frames"

    with pytest.raises(clip_files.SourceError) as error:
        list(clip_files.find_clips(clips))

    assert str(error.value) == (
        f"{clips}: no .webm clips in it; folders of frames are read from a disk of "
        f"this machine only"
    )


@pytest.fixture(scope="session")
def local(tools, package, tmp_path_factory):
    """A data set built on this machine."""
    dataset = tmp_path_factory.mktemp("local") / "dataset"
    build(tools, package, package.clips, dataset)
    return dataset


def shard_files(dataset):
    return {
        path.relative_to(dataset).as_posix(): path.read_bytes()
        for path in dataset.glob("shards/*/*/*")
    }


@pytest.mark.slow
def test_clips_and_data_set_in_a_store_give_the_bytes_of_local_ones(
    tools, package, bucket, local, tmp_path
):
    clips = uploaded(bucket, package.clips, "source")
    dataset = "s3://clips/made/dataset"

    result, said = build(tools, package, clips, dataset)

    made = bucket.contents("clips/made/dataset")
    shards = {path: text for path, text in made.items() if path.startswith("shards/")}
    assert shards == shard_files(local)
    assert made["CURRENT"] == b"000001\n"
    ours = json.loads(made["versions/000001/manifest.json"])
    theirs = json.loads(naming.manifest_path(local / "versions/000001").read_text())
    assert ours["shards"] == theirs["shards"]
    assert result["num_clips"] == 8
    for secret in s3_server.ACCESS_KEY, s3_server.SECRET_KEY:
        assert secret not in said
        assert not any(secret.encode() in text for text in made.values())
    assert not [path for path in made if ".incomplete" in path]
    assert list((tmp_path / "cache" / "work").iterdir()) == []

    again, _ = build(tools, package, clips, dataset)
    assert again["version"] == "000001"
    assert again["shards"]["reused"] == len(ours["shards"])

    checked = tools.run_command("verify", "--dataset", dataset)
    assert checked.returncode == 0, checked.stderr
    assert json.loads(checked.stdout.splitlines()[-1])["damaged"] == []


@pytest.mark.slow
def test_relabelling_in_a_store_needs_no_clips_and_gives_the_same_bytes(
    tools, package_copy, bucket, tmp_path
):
    clips = uploaded(bucket, package_copy.clips, "source")
    remote, local = "s3://clips/made", tmp_path / "dataset"
    for dataset in remote, local:
        build(tools, package_copy, clips, dataset)
    bucket.filesystem().delete_dir("clips/source")
    package_copy.annotate(tools.SPLITS | {"validation": {"201": 1, "202": 0}})
    for dataset in remote, local:
        flags = ["--annotations", package_copy.annotations, "--dataset", dataset]
        done = tools.run_command("relabel", *flags)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.splitlines()[-1])["shards"]["relabelled"] == 1
    made = bucket.contents("clips/made")
    shards = {path: text for path, text in made.items() if path.startswith("shards/")}
    assert shards == shard_files(local)
    assert made["CURRENT"] == b"000002\n"


@pytest.mark.slow
def test_requests_that_fail_are_made_again(tools, package, bucket, local):
    clips = uploaded(bucket, package.clips, "source")
    bucket.requests()
    bucket.fail(20)
    build(tools, package, clips, "s3://clips/made")
    failed = [what for _, _, what in bucket.requests() if what != "answered"]
    bucket.fail(0)
    made = bucket.contents("clips/made")
    shards = {path: text for path, text in made.items() if path.startswith("shards/")}
    assert shards == shard_files(local)
    assert len(failed) > 10
    assert set(failed) == {"refused", "cut off"}


@pytest.fixture
def staged(bucket, local):
    """A data set in the bucket without a version, and a version to be published."""
    said = opening.open_version(local).manifest
    with (
        data_sets.opened("s3://clips/two_writers") as data_set,
        data_set.staging() as staging,
    ):
        folder = staging / "version"
        folder.mkdir()
        (folder / "clips.parquet").write_bytes(b"rows")
        yield data_set, folder, said


def test_a_writer_yields_to_another_that_has_begun(staged, bucket):
    data_set, folder, said = staged
    claim = "clips/two_writers/versions/000001/claims/other"
    bucket.write(claim, b"now")
    with pytest.raises(manifests.PublishConflictError, match="run the same command"):
        data_set.publish(folder, said)
    assert data_set.current_version() is None


def test_of_two_claims_on_a_number_neither_is_kept(staged, bucket, monkeypatch):
    data_set, folder, said = staged
    claim = "clips/two_writers/versions/000001/claims/other"
    refuse = data_set._refuse_rivals

    def as_another_claims(*arguments):
        bucket.write(claim, b"at the same moment")
        refuse(*arguments)

    monkeypatch.setattr(data_set, "_refuse_rivals", as_another_claims)
    with pytest.raises(manifests.PublishConflictError):
        data_set.publish(folder, said)
    assert list(bucket.contents("clips/two_writers/versions/000001")) == [
        "claims/other"
    ]


def test_a_version_published_meanwhile_is_a_conflict(staged):
    data_set, folder, said = staged
    data_set.publish(folder, said)
    with pytest.raises(manifests.PublishConflictError, match="version 000001 is curr"):
        data_set.publish(folder, said)


def test_what_a_dead_writer_claimed_is_passed_over(staged, bucket, monkeypatch):
    data_set, folder, said = staged
    half = "clips/two_writers/versions/000001/clips.parquet"
    bucket.write(half, b"half")
    assert data_set.publish(folder, said).manifest.version == "000002"


def test_a_shard_whose_upload_broke_off_is_not_taken_for_published(
    bucket, local, tmp_path
):
    shard = opening.open_version(local).manifest.shards[0]
    with data_sets.opened("s3://clips/cut") as data_set:
        path = f"clips/cut/{shard.path}"
        bucket.write(path, b"half")
        assert data_set.read_summary(shard.split, shard.key) is None


def test_a_published_shard_that_lost_a_byte_is_an_error(bucket, local):
    shard = opening.open_version(local).manifest.shards[0]
    folder = (local / shard.path).parent
    root = f"clips/cut/{(shard.path).rpartition('/')[0]}"
    for path in folder.iterdir():
        bucket.write(
            f"{root}/{path.name}",
            path.read_bytes()[: 1000 if path.suffix == ".db" else None],
        )
    with (
        data_sets.opened("s3://clips/cut") as data_set,
        pytest.raises(ValueError, match=r"\.db has 1000 bytes, not .*build --repair"),
    ):
        data_set.read_summary(shard.split, shard.key)


def test_a_store_that_is_not_there_is_told_after_several_attempts(
    monkeypatch, bucket, tmp_path
):
    monkeypatch.setattr(object_store, "_FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(object_store, "NUM_ATTEMPTS", 2)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with (
        data_sets.opened("s3://nowhere/data") as data_set,
        pytest.raises(
            object_store.StorageError, match="read s3://nowhere/data/CURRENT"
        ),
    ):
        data_set.current_version()


@pytest.mark.parametrize("style", ["path", "virtual"])
def test_obs_is_s3_at_an_endpoint_with_the_bucket_in_its_path_or_its_host(
    bucket, local, monkeypatch, style
):
    """`virtual` asks clips.localhost, which is this machine too."""
    host = bucket.endpoint.replace("127.0.0.1", "localhost")
    monkeypatch.setenv("AWS_ENDPOINT_URL", host)
    monkeypatch.setenv("AWS_S3_ADDRESSING_STYLE", style)
    bucket.upload(local, "clips/set")
    bucket.requests()
    with data_sets.opened("obs://clips/set") as data_set:
        version = data_set.open_version()
        assert data_set.check_sizes(version) == []
        assert data_set.write("notes", b"mine") == "obs://clips/set/notes"
    asked = {path for method, path, _ in bucket.requests() if method == "PUT"}
    assert {"path": "/clips/set/notes", "virtual": "/set/notes"}[style] in asked
    assert bucket.read("clips/set/notes") == b"mine"
