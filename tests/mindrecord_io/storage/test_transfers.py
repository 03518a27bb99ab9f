import hashlib
import os

import pytest
from pyarrow import fs

from mindrecord_io import records
from mindrecord_io.storage import object_store, transfers

CONTENT = b"frames" * 1000
HERE = records.Fingerprint(len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(object_store, "_FIRST_PAUSE_SECONDS", 0.0)


@pytest.fixture
def store(tmp_path):
    """A Storage whose folder is a local one."""
    (tmp_path / "store").mkdir()
    folder = fs.SubTreeFileSystem(str(tmp_path / "store"), fs.LocalFileSystem())
    return object_store.Storage("s3://bucket/path", folder)


@pytest.fixture
def source(tmp_path):
    (tmp_path / "source").write_bytes(CONTENT)
    return tmp_path / "source"


def damaging(monkeypatch, num_times):
    """Makes the first so many fingerprints of remote files those of other files."""
    right, left = transfers.fingerprint, [num_times]

    def fingerprint(remote, path):
        left[0] -= 1
        return records.Fingerprint(1, "0" * 64) if left[0] >= 0 else right(remote, path)

    monkeypatch.setattr(transfers, "fingerprint", fingerprint)


def test_an_uploaded_file_is_there_in_folders_made_for_it(store, source, tmp_path):
    transfers.upload(store, "shards/train/one", source)
    assert (tmp_path / "store/shards/train/one").read_bytes() == CONTENT


def test_what_is_put_replaces_what_was_there(store):
    transfers.put(store, "CURRENT", b"000001\n")
    transfers.put(store, "CURRENT", b"000002\n")
    assert store.read_bytes("CURRENT") == b"000002\n"


def test_an_upload_that_reads_back_wrong_is_made_again(store, source, monkeypatch):
    damaging(monkeypatch, 2)
    transfers.upload(store, "one", source)
    assert store.read_bytes("one") == CONTENT


def test_an_upload_that_is_never_right_is_an_error(store, source, monkeypatch):
    damaging(monkeypatch, 100)
    with pytest.raises(object_store.StorageError) as caught:
        transfers.upload(store, "one", source)
    assert str(caught.value) == (
        f"cannot write s3://bucket/path/one, tried {object_store.NUM_ATTEMPTS} times: "
        f"it reads back as 1 bytes with SHA-256 {'0' * 64}, written were "
        f"{len(CONTENT)} with {HERE.sha256}"
    )


def test_the_fingerprint_of_a_remote_file_is_that_of_its_content(store, source):
    transfers.upload(store, "one", source)
    assert transfers.fingerprint(store, "one") == HERE


def test_a_downloaded_file_is_proved_where_its_content_is_known(
    store, source, tmp_path
):
    transfers.upload(store, "one", source)
    transfers.download(store, "one", tmp_path / "copy", HERE)
    assert (tmp_path / "copy").read_bytes() == CONTENT
    other = records.Fingerprint(7, "0" * 64)
    with pytest.raises(object_store.StorageError, match="published were 7 with 000"):
        transfers.download(store, "one", tmp_path / "copy", other)


def test_a_file_that_is_not_there_is_not_asked_for_again(store, tmp_path):
    with pytest.raises(FileNotFoundError):
        transfers.download(store, "none", tmp_path / "copy")


@pytest.mark.parametrize(
    "num_bytes", [0, 10 << 20, (10 << 20) + 1, 20 << 20], ids=lambda n: f"{n}-bytes"
)
def test_an_uploaded_file_of_any_size_is_proved_without_being_read_back(
    bucket, tmp_path, num_bytes
):
    (tmp_path / "source").write_bytes(os.urandom(num_bytes))
    remote = object_store.open_storage("s3://bucket/path")
    transfers.upload(remote, "one", tmp_path / "source")
    methods = [method for method, path, _ in bucket.requests() if "one" in path]
    assert "GET" not in methods
    assert methods[-1] == "HEAD"


def test_an_uploaded_file_of_other_content_in_the_store_is_read_back(
    bucket, tmp_path, monkeypatch
):
    (tmp_path / "source").write_bytes(bytes(11 << 20))
    remote = object_store.open_storage("s3://bucket/path")
    monkeypatch.setattr(object_store, "NUM_ATTEMPTS", 1)

    def copy_other(remote, path, source):
        with remote.filesystem.open_output_stream(path) as file:
            file.write(bytes(10 << 20) + b"\1" * (1 << 20))

    monkeypatch.setattr(transfers, "_copy", copy_other)
    with pytest.raises(object_store.StorageError, match="it reads back as 11534336"):
        transfers.upload(remote, "one", tmp_path / "source")
    assert bucket.fetched("one") == {"one": 1}
