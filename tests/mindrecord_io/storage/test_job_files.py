"""Files of a job, here or in an object store: whole, or not there."""

import pytest

from mindrecord_io.storage import job_files, object_store


def left_over(tmp_path):
    return [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


@pytest.mark.parametrize("scheme", ["s3", "obs"])
def test_a_remote_file_is_written_and_fetched(bucket, tmp_path, scheme):
    uri = f"{scheme}://runs/r50/best.ckpt"
    for content in (b"old", b"new and longer"):
        with job_files.written(uri) as path:
            path.write_bytes(content)
        assert bucket.contents("runs/r50") == {"best.ckpt": content}
        with job_files.fetched(uri) as path:
            assert (path.name, path.read_bytes()) == ("best.ckpt", content)
    assert left_over(tmp_path) == []


def test_nothing_is_uploaded_of_work_that_fails(bucket, tmp_path):
    def fail():
        with job_files.written("s3://runs/best.ckpt") as path:
            path.write_bytes(b"half")
            raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        fail()
    assert bucket.contents("runs") == {}
    assert left_over(tmp_path) == []


def test_a_remote_file_that_is_not_there_is_named(bucket):
    message = "there is no file s3://runs/gone.ckpt"
    with (
        pytest.raises(FileNotFoundError, match=message),
        job_files.fetched("s3://runs/gone.ckpt"),
    ):
        pass


def test_a_place_is_tried_and_left_as_it_was(bucket, tmp_path):
    job_files.check_writable("s3://runs/new/best.ckpt")
    job_files.check_writable(tmp_path / "new" / "best.ckpt")
    assert bucket.contents("runs") == {}
    assert list((tmp_path / "new").iterdir()) == []


def test_where_nothing_can_be_written_it_is_noticed(bucket, tmp_path, monkeypatch):
    with pytest.raises(OSError, match=r"cannot write /proc/s\.csv: "):
        job_files.check_writable("/proc/s.csv")
    with pytest.raises(IsADirectoryError, match="must be a file, not a folder"):
        job_files.check_writable(tmp_path)
    monkeypatch.setattr(object_store, "_FIRST_PAUSE_SECONDS", 0.001)
    with pytest.raises(object_store.StorageError, match="s3://nobody/"):
        job_files.check_writable("s3://nobody/s.csv")


def test_a_local_file_is_its_own_path(tmp_path):
    with job_files.written(tmp_path / "new" / "a") as path:
        path.write_bytes(b"1")
    with job_files.fetched(tmp_path / "new" / "a") as path:
        assert path == tmp_path / "new" / "a"
        assert path.read_bytes() == b"1"
