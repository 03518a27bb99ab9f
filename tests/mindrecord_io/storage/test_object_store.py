import re
import socket
from pathlib import Path

import pytest
from pyarrow import fs

from mindrecord_io.storage import object_store
from mindrecord_io.storage.patience import Patience

MOTO = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9000"}


@pytest.fixture
def local(tmp_path):
    """A Storage whose folder is a local one."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "two.txt").write_text("2")
    (tmp_path / "a" / "one.txt").write_text("1")
    filesystem = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    return object_store.Storage("s3://bucket/path", filesystem)


@pytest.mark.parametrize("uri", ["s3://bucket/a/b", "obs://bucket/a/b/"])
def test_s3_is_opened_at_the_endpoint_of_the_environment(uri):
    opened = object_store.open_storage(uri, MOTO)
    assert opened.uri == uri.rstrip("/")
    assert opened.filesystem.base_path == "bucket/a/b/"
    assert opened.filesystem.base_fs.type_name == "s3"


@pytest.mark.parametrize(
    ("uri", "environment", "expected"),
    [
        ("obs://bucket/a", {}, "obs://bucket/a: cannot be opened: obs:// needs AWS_EN"),
        (
            "s3://bucket/a",
            {"AWS_ENDPOINT_URL": "127.0.0.1:9000"},
            "AWS_ENDPOINT_URL must be http(s)://host, got '127.0.0.1:9000'",
        ),
    ],
)
def test_impossible_endpoints_are_refused(uri, environment, expected):
    with pytest.raises(object_store.StorageError, match=re.escape(expected)):
        object_store.open_storage(uri, environment)


def test_files_are_read_listed_and_copied(local, tmp_path):
    assert local.read_bytes("a/two.txt") == b"2"
    assert local.list_names("a") == ["one.txt", "two.txt"]
    assert local.list_names("nowhere") == []
    local.copy("a/one.txt", tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "1"


def test_what_is_not_there_is_not_tried_again(local, monkeypatch):
    monkeypatch.setattr(object_store.time, "sleep", None)
    with pytest.raises(FileNotFoundError):
        local.read_bytes("a/three.txt")


class Flaky:
    def __init__(self, num_failures):
        self.num_failures, self.num_calls = num_failures, 0

    def __call__(self):
        self.num_calls += 1
        if self.num_calls <= self.num_failures:
            raise OSError("reset by peer")
        return "done"


def test_failures_are_tried_again_ever_later(monkeypatch):
    pauses = []
    monkeypatch.setattr(object_store.time, "sleep", pauses.append)
    action = Flaky(3)
    assert object_store.retried(action, "read it", pause=1) == "done"
    assert pauses == [1, 2, 4]


def test_what_stays_wrong_is_an_error_with_its_name(monkeypatch):
    monkeypatch.setattr(object_store.time, "sleep", lambda seconds: None)
    action = Flaky(99)
    expected = "cannot read s3://b/x, tried 6 times: reset by peer"
    with pytest.raises(object_store.StorageError, match=expected):
        object_store.retried(action, "read s3://b/x")
    assert action.num_calls == object_store.NUM_ATTEMPTS


def test_another_gs_server_is_told_by_the_environment_and_asks_nobody_who_we_are():
    for host in ("127.0.0.1:9", "http://127.0.0.1:9"):
        opened = object_store.open_storage(
            "gs://clips/a", {"STORAGE_EMULATOR_HOST": host}
        )
        assert opened.filesystem.base_fs.type_name == "gcs"


def test_a_folder_of_a_listing_of_all_below_it_is_named_once():
    paths = ["v/1/a", "v/1/b", "v/2/c/d", "v/x"]
    infos = [fs.FileInfo(path, fs.FileType.File) for path in paths]
    found = object_store._directly_in("v", infos)
    assert [(i.path, i.is_file) for i in found] == [
        ("v/1", False),
        ("v/2", False),
        ("v/x", True),
    ]
    assert [i.path for i in object_store._directly_in("", infos)] == ["v"]


def test_part_of_a_file_is_read_and_a_file_that_ends_before_is_an_error(
    local, monkeypatch
):
    monkeypatch.setattr(object_store, "NUM_ATTEMPTS", 1)
    (Path(local.filesystem.base_path) / "a" / "long.txt").write_text("0123456789")
    assert local.read_part("a/long.txt", 3, 4) == b"3456"
    with pytest.raises(object_store.StorageError, match="ends 2 bytes too early"):
        local.read_part("a/long.txt", 8, 4)


def test_what_is_gone_already_counts_as_removed(local):
    local.remove_file("a/one.txt")
    local.remove_file("a/one.txt")
    local.remove_folder("a")
    local.remove_folder("a")
    assert local.list_names("a") == []


def test_what_cannot_be_removed_is_an_error(local, monkeypatch):
    monkeypatch.setattr(object_store, "NUM_ATTEMPTS", 1)
    with pytest.raises(
        object_store.StorageError, match=r"remove s3.*a, .*it is still there"
    ):
        local.remove_file("a")  # a folder


def test_requests_at_one_moment_are_told_by_the_environment():
    assert object_store.num_requests({}) == 64
    assert object_store.num_requests({"CLIPMILL_STORE_REQUESTS": "200"}) == 200
    for wrong in ("0", "-1", "many", "1025", ""):
        with pytest.raises(ValueError, match="CLIPMILL_STORE_REQUESTS must be a numb"):
            object_store.num_requests({"CLIPMILL_STORE_REQUESTS": wrong})


@pytest.mark.slow
def test_a_store_that_accepts_and_never_answers_is_given_up(monkeypatch, caplog):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("CLIPMILL_STORE_SECONDS", "12")
        storage = object_store.open_storage("s3://clips/ssv2")

        with pytest.raises(object_store.StorageError, match=r"tried [2-5] times: "):
            storage.read_bytes("CURRENT")

    assert "attempt 1 to read s3://clips/ssv2/CURRENT failed: " in caplog.text


@pytest.mark.parametrize("given", ["", "0", "-1", "inf", "nan", "soon"])
def test_an_impossible_patience_is_refused(given):
    with pytest.raises(ValueError, match=r"^CLIPMILL_STORE_SECONDS must be a number"):
        Patience.from_environment({"CLIPMILL_STORE_SECONDS": given})
