"""A full disk: a file system of a few pages where there may be one, else a stand-in."""

import errno
import os

import pytest

from model import whole_file


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def write_in_part(path):
    path.write_bytes(b"cut")
    full()


def test_a_finished_file_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "a.ckpt"
    path.write_bytes(b"old")
    with whole_file.replaced(path) as incomplete:
        assert incomplete.suffix == ".ckpt"
        incomplete.write_bytes(b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", ["", ".tmp"])  # MindSpore's own
def test_a_full_disk_is_told_with_the_files_name_and_nothing_stays(tmp_path, suffix):
    path = tmp_path / "a.ckpt"
    path.write_bytes(b"old")
    with (
        pytest.raises(OSError, match=r"No space left on device \(\d+ bytes free") as e,
        whole_file.replaced(path) as incomplete,
    ):
        write_in_part(incomplete.with_suffix(suffix or ".ckpt"))
    assert e.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_of_syncing_names_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", full)
    with (
        pytest.raises(OSError, match="No space left") as raised,
        whole_file.replaced(tmp_path / "a.onnx") as incomplete,
    ):
        incomplete.write_bytes(b"x")
    assert raised.value.filename == str(tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_library_that_writes_nothing_and_says_nothing_is_an_error(tmp_path):
    with (
        pytest.raises(OSError, match="could not be written") as raised,
        whole_file.replaced(tmp_path / "a.onnx"),
    ):
        pass
    assert raised.value.filename == str(tmp_path / "a.onnx")


def test_another_files_error_keeps_its_name(tmp_path):
    with (
        pytest.raises(FileNotFoundError) as raised,
        whole_file.replaced(tmp_path / "a.onnx"),
    ):
        (tmp_path / "input").read_bytes()
    assert raised.value.filename == str(tmp_path / "input")
