import errno
import hashlib
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mindrecord_io.storage import files

REPOSITORY = Path(__file__).resolve().parents[3]


def fail_to_write(*_):
    raise OSError(28, "No space left on device")


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("content", "sha256"),
    [
        (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ],
)
def test_fingerprint_is_size_and_sha256(tmp_path, content, sha256):
    (tmp_path / "file").write_bytes(content)
    found = files.fingerprint(tmp_path / "file")
    assert (found.num_bytes, found.sha256) == (len(content), sha256)


def test_fingerprint_covers_files_larger_than_a_buffer(tmp_path):
    content = bytes(range(256)) * 4096
    (tmp_path / "file").write_bytes(content)
    found = files.fingerprint(tmp_path / "file")
    assert found.num_bytes == 1 << 20
    assert found.sha256 == hashlib.sha256(content).hexdigest()


@pytest.fixture(params=["pipe", "socket", "device", "folder"])
def irregular(request, tmp_path):
    """A path that leads to no regular file, by a link, and what the error calls it."""
    path = tmp_path / request.param
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "socket":
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
    elif request.param == "folder":
        path.mkdir()
    link = tmp_path / "link"
    link.symlink_to("/dev/zero" if request.param == "device" else path)
    texts = {"folder": "Is a directory"}
    return link, texts.get(request.param, f"is a {request.param}, not a regular file")


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "read",
    [
        files.check_regular,
        files.open_regular,
        files.read_bytes,
        files.fingerprint,
        lambda path: files.read_text(path, ValueError),
    ],
)
def test_what_is_no_regular_file_is_refused_without_a_wait(irregular, read):
    path, text = irregular
    with pytest.raises((OSError, ValueError), match=text) as raised:
        read(path)
    assert str(path) in str(raised.value)


def test_a_file_that_becomes_a_pipe_meanwhile_is_not_waited_for(tmp_path, monkeypatch):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    monkeypatch.setattr(files, "check_regular", lambda path: None)
    with pytest.raises(OSError, match="is a pipe"):
        files.open_regular(path)


def test_read_bytes_has_a_limit(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    assert files.read_bytes(tmp_path / "file", 5) == b"12345"
    with pytest.raises(OSError, match="has more than 4 bytes") as raised:
        files.read_bytes(tmp_path / "file", 4)
    assert raised.value.filename == str(tmp_path / "file")


def test_write_synced_forces_the_content_to_disk(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_size))
    files.write_synced(tmp_path / "new", b"content")
    assert (tmp_path / "new").read_bytes() == b"content"
    assert synced == [7]


def test_write_synced_refuses_to_overwrite(tmp_path):
    (tmp_path / "old").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        files.write_synced(tmp_path / "old", b"new")
    assert (tmp_path / "old").read_bytes() == b"old"


@pytest.mark.parametrize("before", [None, b"a longer old content"])
def test_replace_file_leaves_the_new_content_and_nothing_else(tmp_path, before):
    path = tmp_path / "CURRENT"
    if before is not None:
        path.write_bytes(before)
    files.replace_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert names_in(tmp_path) == ["CURRENT"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_replace_file_leaves_the_old_content_if_writing_fails(
    tmp_path, monkeypatch, step
):
    path = tmp_path / "CURRENT"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, step, fail_to_write)
    with pytest.raises(OSError, match="No space left"):
        files.replace_file(path, b"new")
    assert path.read_bytes() == b"old"


def test_replace_file_clears_up_after_a_write_that_failed(tmp_path, monkeypatch):
    path = tmp_path / "CURRENT"
    monkeypatch.setattr(os, "fsync", fail_to_write)
    with pytest.raises(OSError, match="No space left"):
        files.replace_file(path, b"new")
    monkeypatch.undo()
    files.replace_file(path, b"newer")
    assert path.read_bytes() == b"newer"
    assert names_in(tmp_path) == ["CURRENT"]


def test_replace_file_shows_a_reader_the_old_content_until_the_new_is_complete(
    tmp_path, monkeypatch
):
    path = tmp_path / "CURRENT"
    path.write_bytes(b"old")
    seen = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.append(path.read_bytes()))
    files.replace_file(path, b"new")
    assert seen == [b"old", b"new"]  # the file's content forced out, then its name


def test_publish_folder_renames_it_with_all_it_holds(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_bytes(b"content")
    files.publish_folder(tmp_path / "a", tmp_path / "final")
    assert names_in(tmp_path) == ["final"]
    assert (tmp_path / "final" / "b" / "c").read_bytes() == b"content"


def test_publish_folder_forces_to_disk_what_it_holds_and_then_its_name(
    tmp_path, monkeypatch
):
    (tmp_path / "a").mkdir()
    synced = []
    monkeypatch.setattr(
        os,
        "fsync",
        lambda fd: synced.append(str(Path(f"/proc/self/fd/{fd}").readlink())),
    )
    files.publish_folder(tmp_path / "a", tmp_path / "final")
    assert synced == [str(tmp_path / "a"), str(tmp_path)]


@pytest.mark.parametrize("is_file", [False, True])
def test_publish_folder_keeps_what_is_published_already(tmp_path, is_file):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"second")
    final = tmp_path / "final"
    first = final if is_file else final / "file"
    first.parent.mkdir(exist_ok=True)
    first.write_bytes(b"first")
    with pytest.raises(FileExistsError) as caught:
        files.publish_folder(tmp_path / "a", final)
    assert str(caught.value) == f"{final} is published already"
    assert first.read_bytes() == b"first"
    assert (tmp_path / "a" / "file").read_bytes() == b"second"


def test_publish_folder_passes_on_other_errors(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(FileNotFoundError):
        files.publish_folder(tmp_path / "a", tmp_path / "nowhere" / "final")
    assert names_in(tmp_path) == ["a"]


def test_synced_directory_forces_renames_to_disk_after_they_are_made(
    tmp_path, monkeypatch
):
    (tmp_path / "old").write_bytes(b"")
    seen = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.append(names_in(tmp_path)))
    with files.synced_directory(tmp_path):
        (tmp_path / "old").rename(tmp_path / "new")
    assert seen == [["new"]]


def test_locked_directory_lets_one_in_at_a_time(tmp_path):
    seen = []

    def enter():
        with files.locked_directory(tmp_path):
            seen.append("second")

    second = threading.Thread(target=enter)
    with files.locked_directory(tmp_path):
        second.start()
        second.join(timeout=0.1)
        seen.append("first")
    second.join()
    assert seen == ["first", "second"]


def test_a_lock_ends_with_the_process_that_held_it(tmp_path):
    program = (
        "import os, pathlib, sys; from mindrecord_io.storage import files\n"
        "with files.locked_directory(pathlib.Path(sys.argv[1])): os._exit(9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], cwd=REPOSITORY, check=False
    )
    assert done.returncode == 9
    with files.locked_directory(tmp_path):
        pass


def test_an_error_that_names_no_file_gets_its_name_and_the_room_left(tmp_path):
    path = tmp_path / "file"
    with pytest.raises(OSError) as caught, files.errors_name(path):
        Path("/dev/full").write_bytes(b"x")
    assert caught.value.errno == errno.ENOSPC
    assert re.fullmatch(
        rf"\[Errno 28\] No space left on device \(\d+ bytes free there\): '{path}'",
        str(caught.value),
    )


def test_an_error_that_names_a_file_stays_as_it_is(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, files.errors_name(tmp_path / "a"):
        (tmp_path / "b").read_bytes()
    assert caught.value.filename == str(tmp_path / "b")


@pytest.mark.parametrize(("umask", "mode"), [(0o002, 0o664), (0o077, 0o600)])
def test_the_lock_follows_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        with files.locked_directory(tmp_path):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / ".lock").stat().st_mode & 0o777 == mode


def test_a_folder_goes_that_a_thread_still_writes_into(tmp_path, monkeypatch):
    folder = tmp_path / "work"
    folder.mkdir()
    rmdir, late = os.rmdir, ["a", "b"]

    def written_into_first(path, **where):
        if late:
            (folder / late.pop()).write_bytes(b"x")
        rmdir(path, **where)

    monkeypatch.setattr(os, "rmdir", written_into_first)

    files.remove_folder(folder)

    assert (list(tmp_path.iterdir()), late) == ([], [])
