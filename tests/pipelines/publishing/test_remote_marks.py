import threading

import pytest

from mindrecord_io import interrupts
from mindrecord_io.storage import object_store
from pipelines.publishing import remote_marks

URI = "s3://clips/set"


@pytest.fixture
def remote(bucket):
    return object_store.open_storage(URI)


def test_a_mark_is_there_while_the_block_runs(bucket, remote):
    with remote_marks.at_work(remote, ".incomplete-a", "job"):
        assert bucket.contents("clips/set") == {"versions/.incomplete-a/job": b""}
    assert bucket.contents("clips/set") == {}


def test_of_two_that_begin_at_the_same_moment_each_sees_the_other(remote):
    with (
        remote_marks.at_work(remote, ".incomplete-a", "job") as one,
        remote_marks.at_work(remote, ".incomplete-b", "prune") as other,
    ):
        (seen,) = one.others()
        assert (seen.folder, seen.kind, seen.is_void) == (
            "versions/.incomplete-b",
            "prune",
            False,
        )
        (seen,) = other.others()
        assert (seen.folder, seen.kind) == ("versions/.incomplete-a", "job")


def test_versions_and_stray_files_are_no_work_in_progress(bucket, remote):
    bucket.write("clips/set/versions/000001/manifest.json", b"{}")
    bucket.write("clips/set/versions/notes", b"mine")
    with remote_marks.at_work(remote, ".incomplete-a", "job") as mark:
        assert mark.others() == []


def test_a_mark_is_written_again_and_again(bucket, remote, monkeypatch):
    monkeypatch.setattr(remote_marks, "RENEWED_EVERY_SECONDS", 0.01)
    put, times, often = remote_marks.transfers.put_note, [], threading.Event()

    def counted(*arguments):
        put(*arguments)
        times.append(1)
        if len(times) == 4:
            often.set()

    monkeypatch.setattr(remote_marks.transfers, "put_note", counted)
    with remote_marks.at_work(remote, ".incomplete-a", "job"):
        assert often.wait(60)
    assert bucket.contents("clips/set") == {}


def test_who_could_not_renew_in_time_gives_up_and_stays_so(remote, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(remote_marks, "_now", lambda: now[0])
    with remote_marks.at_work(remote, ".incomplete-a", "prune") as mark:
        now[0] += 1799
        mark.check()
        mark.write()
        now[0] += 1799
        mark.check()
        now[0] += 2
        with pytest.raises(remote_marks.LostMarkError, match="not renewed for 1801 s"):
            mark.write()
        now[0] -= 1801
        with pytest.raises(remote_marks.LostMarkError):
            mark.check()


def test_a_mark_that_is_gone_is_lost(bucket, remote):
    with remote_marks.at_work(remote, ".incomplete-a", "prune") as mark:
        bucket.delete("clips/set/versions/.incomplete-a/prune")
        with pytest.raises(
            remote_marks.LostMarkError, match=r"another process removed it"
        ):
            mark.others()


def test_an_interruption_removes_the_mark(bucket, remote):
    before = set(interrupts._clean_ups)
    with remote_marks.at_work(remote, ".incomplete-a", "job"):
        (clean_up,) = set(interrupts._clean_ups) - before
        clean_up()
        assert bucket.contents("clips/set") == {}
    assert set(interrupts._clean_ups) == before


def test_where_no_mark_can_be_written_nothing_begins(bucket, remote, monkeypatch):
    monkeypatch.setattr(object_store, "NUM_ATTEMPTS", 1)
    bucket.fail(100)
    try:
        with (
            pytest.raises(
                object_store.StorageError, match=r"write s3.*incomplete-a/job"
            ),
            remote_marks.at_work(remote, ".incomplete-a", "job"),
        ):
            raise AssertionError
    finally:
        bucket.fail(0)
