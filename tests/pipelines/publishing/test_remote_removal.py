"""The commands that look at versions, go back to them and remove them, on a store."""

import dataclasses
import json
import threading

import pytest

from mindrecord_io import naming
from mindrecord_io.storage import object_store
from mindrecord_io.versions import manifests, opening, shard_checks, version_checks
from pipelines.jobs import history, prune, report, rollback, verify
from pipelines.publishing import data_sets, remote_marks, remote_removal, removal
from tests import versions_by_hand as by_hand

URI = "s3://clips/set"


@pytest.fixture
def local(tmp_path):
    """Three versions: clip 101 is in the first only, clip 102 is not in the last."""
    by_hand.publish(tmp_path / "dataset")
    by_hand.publish(tmp_path / "dataset", by_hand.without("101"))
    by_hand.publish(tmp_path / "dataset", by_hand.without("101", "102"))
    return tmp_path / "dataset"


@pytest.fixture
def remote(bucket, local, monkeypatch):
    """The server that has them too."""
    monkeypatch.setattr(object_store, "_FIRST_PAUSE_SECONDS", 0.01)
    bucket.upload(local, "clips/set")
    return bucket


def last_line(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def assert_readable(bucket):
    """Every version that can be read has its shards, byte for byte."""
    with data_sets.opened(URI) as data_set:
        for name in data_set.list_versions():
            version = data_set.open_version(name)
            assert version_checks.check_version(version) == []
            for entry in version.manifest.shards:
                with data_sets.fetched(data_set, [f"{entry.split}/{entry.key}"]):
                    clips = shard_checks.shard_clips(version, entry)
                    found = shard_checks.check_shard(version, entry, clips)
                    assert found == []
        return data_set.list_versions()


# Each command says of the data set in the store what it says of the local one.


def test_history_is_the_local_one(remote, local, capsys):
    assert history.main(["--dataset", str(local)]) == 0
    expected = capsys.readouterr().out
    assert history.main(["--dataset", URI]) == 0
    assert capsys.readouterr().out == expected


def test_history_of_nothing_names_the_uri(bucket, caplog):
    assert history.main(["--dataset", "s3://clips/none"]) == 1
    assert caplog.messages == [
        "history failed: s3://clips/none: no data set here, it has no versions"
    ]


def test_history_lists_what_it_cannot_read(remote, capsys):
    remote.write("clips/set/versions/000001/manifest.json", b"{")
    assert history.main(["--dataset", URI]) == 1
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith(f"! 000001  {URI}: version '000001': Expecting")


def test_rollback_publishes_the_old_content(remote, capsys):
    assert rollback.main(["--dataset", URI, "--version", "000001"]) == 0
    assert last_line(capsys) == {"version": "000004", "same_as": "000001"}
    made = remote.contents("clips/set")
    table = "versions/{}/clips.parquet"
    assert made["CURRENT"] == b"000004\n"
    assert made[table.format("000004")] == made[table.format("000001")]
    assert assert_readable(remote)[-1] == "000004"
    assert not [path for path in made if ".incomplete" in path]


def test_rollback_refuses_a_version_whose_shard_is_gone(remote, local, caplog):
    entry = opening.open_version(local, "000001").manifest.shards[1]
    remote.delete(f"clips/set/{entry.path}")
    assert rollback.main(["--dataset", URI, "--version", "000001"]) == 1
    assert f"nothing is published: {entry.path} is missing, expected" in caplog.text
    assert remote.read("clips/set/CURRENT") == b"000003\n"


def test_a_quick_verification_compares_sizes_and_reads_no_shard(remote, local, capsys):
    remote.requests()
    assert verify.main(["--dataset", URI, "--quick"]) == 0
    assert last_line(capsys)["damaged"] == []
    assert not remote.fetched(".mindrecord")


def test_a_quick_verification_tells_of_damage_as_of_a_local_one(remote, local, capsys):
    first, second, *_ = opening.open_version(local).manifest.shards
    folder = (local / first.path).parent
    (local / first.path).write_bytes(b"short")
    remote.write(f"clips/set/{first.path}", b"short")
    for name, content in ("summary.json", None), ("notes", b"mine"):
        path = (local / second.path).parent / name
        below = f"clips/set/{path.relative_to(local).as_posix()}"
        if content is None:
            path.unlink()
            remote.delete(below)
        else:
            path.write_bytes(content)
            remote.write(below, content)
    told = []
    for dataset in (local, URI):
        assert verify.main(["--dataset", str(dataset), "--quick"]) == 1
        told.append(last_line(capsys)["damaged"])
    assert told[0] == told[1]
    assert len(told[0]) == 3
    assert str(folder.name) in told[0][0]["path"]


def test_a_report_is_beside_its_version_and_reads_parts_of_shards(
    bucket, published_version, capsys, tmp_path
):
    bucket.upload(published_version.dataset, "clips/set")
    bucket.requests()
    assert report.main(["--dataset", URI, "--num_samples", "3"]) == 0
    path = "versions/000001/report.html"
    assert last_line(capsys)["report"] == f"{URI}/{path}"
    page = bucket.read(f"clips/set/{path}").decode()
    here = tmp_path / "page.html"
    words = ["--dataset", str(published_version.dataset), "--output", str(here)]
    assert report.main([*words, "--num_samples", "3"]) == 0
    local = here.read_text().replace("dataset, version", "set, version")
    assert page == local  # but for the name of the data set
    assert "data:image/jpeg" in page
    with data_sets.opened(URI) as data_set:
        entry = published_version.manifest.shards[0]
        content = (published_version.dataset / entry.path).read_bytes()
        assert data_set.read_part(entry.path, 100, 50) == content[100:150]
        # Of a part beyond the end there is less, as on this machine.
        assert data_set.read_part(entry.path, len(content) - 10, 20) == content[-10:]


# Pruning.


def test_a_prune_removes_what_a_local_one_does(remote, local, capsys):
    assert prune.main(["--dataset", URI, "--keep", "2", "--dry_run"]) == 0
    would = last_line(capsys)
    assert prune.main(["--dataset", URI, "--keep", "2"]) == 0
    removed = last_line(capsys)
    assert prune.main(["--dataset", str(local), "--keep", "2"]) == 0
    assert would == removed | {"is_dry_run": True}
    assert removed == last_line(capsys)
    files = by_hand.snapshot(local)
    files.pop("versions/.lock", None)
    assert remote.contents("clips/set") == files
    assert assert_readable(remote) == ["000002", "000003"]


def test_the_bytes_of_a_withdrawn_clip_are_gone_from_the_store(remote):
    def holding(frame):
        return [p for p, c in remote.contents("clips/set").items() if frame in c]

    assert len(holding(by_hand.frame("101", 0))) == 1
    prune.prune(URI, 1)
    assert holding(by_hand.frame("101", 0)) == []
    assert len(holding(by_hand.frame("105", 0))) == 1


@pytest.mark.slow
def test_requests_that_fail_are_made_again(remote):
    remote.requests()
    remote.fail(12)
    result = prune.prune(URI, 1)
    failed = [what for _, _, what in remote.requests() if what != "answered"]
    remote.fail(0)
    assert len(failed) > 2
    assert result.kept == ("000003",)
    assert assert_readable(remote) == ["000003"]


def test_nothing_is_removed_while_a_job_is_at_work(remote, caplog):
    before = remote.contents("clips/set")
    with data_sets.opened(URI) as data_set, data_set.staging() as staging:
        assert prune.main(["--dataset", URI, "--keep", "1"]) == 1
        mark = f"versions/{staging.name}/job"
        assert remote.contents("clips/set") == before | {mark: b""}
    (message,) = caplog.messages
    assert message.startswith(
        f"prune failed: {URI}: another job is at work and may need any shard, so "
        f"nothing was removed: versions/{staging.name} (a job, last sign 20"
    )
    assert remote.contents("clips/set") == before
    assert prune.prune(URI, 1).kept == ("000003",)


def test_of_two_prunes_at_most_one_removes(remote):
    with (
        data_sets.opened(URI) as data_set,
        data_set.removing(),
        pytest.raises(removal.AtWorkError, match="a prune, last sign"),
    ):
        prune.prune(URI, 1)


def test_a_job_waits_for_the_end_of_a_prune_before_it_looks_at_a_shard(
    remote, monkeypatch
):
    monkeypatch.setattr("pipelines.publishing.remote_data_set._POLL_SECONDS", 0.05)
    begun = threading.Event()

    def work():
        with data_sets.opened(URI) as data_set, data_set.staging():
            begun.set()

    job = threading.Thread(target=work, daemon=True)
    with data_sets.opened(URI) as data_set, data_set.removing():
        job.start()
        assert not begun.wait(1)
    job.join(60)
    assert begun.is_set()


def test_what_dead_jobs_left_goes_and_counts(remote, monkeypatch):
    remote.write("clips/set/versions/.incomplete-a/job", b"")
    remote.write("clips/set/versions/.incomplete-a/receipts/x.json", b"receipt")
    remote.write("clips/set/versions/000002/claims/mine", b"kept")
    remote.write("clips/set/versions/000004/claims/other", b"about to be")
    with pytest.raises(removal.AtWorkError):  # it may live
        prune.prune(URI, 3)
    monkeypatch.setattr(remote_marks, "VOID_AFTER_SECONDS", -1.0)
    with pytest.raises(remote_marks.LostMarkError):  # and we, so, are dead as well
        prune.prune(URI, 3)
    monkeypatch.setattr(remote_marks.Mark, "check", lambda self: None)
    assert prune.prune(URI, 3).freed_bytes == len(b"receipt")
    paths = remote.contents("clips/set").keys()
    assert not [path for path in paths if ".incomplete" in path]
    assert {"versions/000002/claims/mine", "versions/000004/claims/other"} <= paths


def test_receipts_of_a_verification_that_runs_stay_and_hinder_nobody(remote, tmp_path):
    with data_sets.opened(URI) as data_set:
        where = data_set.receipts(tmp_path / "verify-1").removeprefix("s3://")
    remote.write(f"{where}/000001.json", b"{}")
    assert prune.prune(URI, 1).kept == ("000003",)
    assert remote.read(f"{where}/000001.json") == b"{}"


class StoppedError(Exception):
    """In place of a SIGKILL."""


@pytest.mark.parametrize("num_requests", range(12))
def test_stopped_anywhere_every_version_that_is_left_is_whole(
    remote, monkeypatch, num_requests
):
    """Two versions and two shards go, each by two requests; then nothing is left."""
    done = []

    def counted(remove):
        def stop_or_remove(self, path):
            if len(done) == num_requests:
                raise StoppedError
            done.append(path)
            remove(self, path)

        return stop_or_remove

    with monkeypatch.context() as stopping:
        stopping.setattr(remote_removal, "_NUM_REQUESTS", 1)
        for name in ("_remove_file", "_remove_folder"):
            remove = getattr(remote_removal.RemoteRemoval, name)
            stopping.setattr(remote_removal.RemoteRemoval, name, counted(remove))
        if num_requests < 8:
            with pytest.raises(StoppedError):
                prune.prune(URI, 1)
        else:
            prune.prune(URI, 1)
    assert len(done) == min(num_requests, 8)
    assert "000003" in assert_readable(remote)

    assert prune.prune(URI, 1).kept == ("000003",)  # the next one finishes

    assert assert_readable(remote) == ["000003"]
    listed = {f"shards/{e.split}/{e.key}" for e in _current(remote).shards}
    found = remote.contents("clips/set")
    assert {p.rpartition("/")[0] for p in found if p.startswith("shards/")} == listed


def _current(bucket):
    content = bucket.read("clips/set/versions/000003/manifest.json")
    return manifests.parse(content, URI, "000003")


def test_a_half_removed_shard_is_made_again_by_who_wants_it(remote, local):
    entry = opening.open_version(local).manifest.shards[0]
    with data_sets.opened(URI) as data_set:
        assert data_set.read_summary(entry.split, entry.key) is not None
        remote.delete(f"clips/set/{entry.path}")
        assert data_set.read_summary(entry.split, entry.key) is None


def test_a_job_that_was_taken_for_dead_publishes_nothing(remote):
    with data_sets.opened(URI) as data_set, data_set.staging() as staging:
        folder = staging / "version"
        naming.labels_folder(folder).mkdir(parents=True)
        naming.clips_table_path(folder).write_bytes(b"rows")
        remote.delete(f"clips/set/versions/{staging.name}/job")
        said = dataclasses.replace(data_set.read_manifest(), parent="000003")
        with pytest.raises(manifests.PublishConflictError, match="taken for dead"):
            data_set.publish(folder, said)
        assert data_set.current_name() == "000003"
    assert "versions/000004/manifest.json" not in remote.contents("clips/set")
