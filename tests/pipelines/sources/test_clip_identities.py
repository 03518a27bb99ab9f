import os
import shutil
import stat
from types import SimpleNamespace

import pytest

from pipelines.sources import clip_identities
from tests import frame_files

SECOND_NS = 1_000_000_000
NOW_NS = 1_800_000_000 * SECOND_NS
FILE = {
    "st_mode": stat.S_IFREG | 0o644,
    "st_size": 88_000,
    "st_mtime_ns": NOW_NS - 7 * SECOND_NS,
    "st_ctime_ns": NOW_NS - 5 * SECOND_NS,
    "st_ino": 4711,
    "st_dev": 1,
}


@pytest.fixture
def identity_of(monkeypatch):
    """Returns the identity's text of a file with other fields of its status."""

    def text(**fields):
        status = SimpleNamespace(**FILE | fields)
        with monkeypatch.context() as patched:
            patched.setattr(clip_identities.os, "stat", lambda path: status)
            patched.setattr(clip_identities.time, "time_ns", lambda: NOW_NS)
            return clip_identities.identity("/clips/7.webm").text

    return text


@pytest.fixture
def of_any_age(monkeypatch):
    monkeypatch.setattr(clip_identities, "_MARGIN_NS", -(10**15))


@pytest.mark.parametrize("field", ["st_size", "st_mtime_ns", "st_ctime_ns", "st_ino"])
def test_a_file_of_another_size_time_or_inode_is_another(identity_of, field):
    before = identity_of()
    assert len(before) == 16
    assert identity_of() == before
    assert identity_of(**{field: FILE[field] - 1}) not in ("", before)


def test_a_machine_that_was_started_again_has_the_same_files(identity_of):
    assert identity_of(st_dev=2) == identity_of()


@pytest.mark.parametrize("field", ["st_mtime_ns", "st_ctime_ns"])
@pytest.mark.parametrize(
    ("age_ns", "is_recognised"),
    [
        (3 * SECOND_NS, True),
        (2 * SECOND_NS + 1, True),
        (2 * SECOND_NS, False),
        (0, False),
        (-SECOND_NS, False),  # from the future
    ],
)
def test_what_was_changed_just_now_is_not_recognised(
    identity_of, field, age_ns, is_recognised
):
    assert bool(identity_of(**{field: NOW_NS - age_ns})) == is_recognised


def test_a_file_that_was_just_written_is_not_recognised(tmp_path):
    path = tmp_path / "7.webm"
    path.write_bytes(b"a clip")
    os.utime(path, (0, 0))  # as rsync and unzip do: the other time stays
    identity = clip_identities.identity(str(path))
    assert (identity.text, identity.num_bytes) == ("", 6)


def test_a_file_that_took_anothers_place_is_another(tmp_path, of_any_age):
    path = tmp_path / "7.webm"
    path.write_bytes(b"a clip")
    before = clip_identities.identity(str(path))
    assert clip_identities.identity(str(path)) == before
    shutil.copy2(path, tmp_path / "copy")
    (tmp_path / "copy").replace(path)
    assert clip_identities.identity(str(path)) != before


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        clip_identities.identity(str(tmp_path / "7.webm"))


CHANGES = {
    "a frame written again": lambda folder: (folder / "00002.jpg").write_bytes(b"x"),
    "a frame less": lambda folder: (folder / "00005.jpg").unlink(),
    "a frame more": lambda folder: (folder / "00006.jpg").write_bytes(b"x"),
    "two frames exchanged": lambda folder: exchange(folder, "00001.jpg", "00002.jpg"),
    "a link to nothing": lambda folder: (folder / "00009.jpg").symlink_to("nothing"),
}


def exchange(folder, first, second):
    (folder / first).rename(folder / ".away")
    (folder / second).rename(folder / first)
    (folder / ".away").rename(folder / second)


@pytest.mark.parametrize("change", CHANGES)
def test_a_folder_is_recognised_by_all_its_files(tmp_path, of_any_age, change):
    folder = frame_files.write_folder(tmp_path / "7")
    before = clip_identities.identity(str(folder))
    (folder / ".hidden").write_bytes(b"x")
    assert clip_identities.identity(str(folder)) == before
    assert not before.is_file
    CHANGES[change](folder)
    assert clip_identities.identity(str(folder)).text not in ("", before.text)


def test_a_folder_with_a_young_file_is_not_recognised(tmp_path):
    folder = frame_files.write_folder(tmp_path / "7")
    assert clip_identities.identity(str(folder)).text == ""


def test_an_object_is_recognised_by_size_and_etag_with_one_request(bucket):
    bucket.write("clips/7.webm", b"a clip")
    bucket.requests()
    identity = clip_identities.identity("s3://clips/7.webm")
    assert [method for method, _, _ in bucket.requests()] == ["HEAD"]
    assert (len(identity.text), identity.num_bytes) == (16, 6)

    bucket.write("clips/7.webm", b"a clip")
    assert clip_identities.identity("s3://clips/7.webm") == identity
    bucket.write("clips/7.webm", b"a clap")
    assert clip_identities.identity("s3://clips/7.webm").text not in ("", identity.text)
    with pytest.raises(FileNotFoundError):
        clip_identities.identity("s3://clips/8.webm")
