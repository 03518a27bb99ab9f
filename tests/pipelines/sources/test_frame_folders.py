import os
import re

import pytest

from mindrecord_io import records
from pipelines import quarantine
from pipelines.sources import frame_folders


def folder_of(folder, *names, content="{}"):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(content.format(name))
    return folder


def read(folder, max_frames=100):
    return frame_folders.read(folder, frame_folders.fingerprint(folder), max_frames)


def refused(folder, **arguments):
    with pytest.raises(quarantine.ClipError) as caught:
        read(folder, **arguments)
    return caught.value.reason, str(caught.value).removeprefix(f"{folder}")


def test_the_fingerprint_of_known_content(tmp_path):
    folder_of(tmp_path / "7", "2.jpg", "1.jpg", content="abc")

    found = frame_folders.fingerprint(tmp_path / "7")

    # printf 'folder of frames\0'; for n in 1 2; do printf '3 %s %s.jpg\0' \
    #   $(printf abc | sha256sum | cut -c-64) $n; done; all | sha256sum
    assert found == records.Fingerprint(
        6, "d56e84dcb7c3e174e9cc0aae32a18c0940efd0a2e00485b8ed685358a6bff052"
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "2.jpg").write_text("other"),
        lambda folder: (folder / "2.jpg").rename(folder / "3.jpg"),
        lambda folder: (folder / "2.jpg").unlink(),
        lambda folder: (folder / "3.jpg").touch(),
        lambda folder: (folder / "notes.txt").touch(),
        lambda folder: (folder / "inner").mkdir(),
        lambda folder: os.mkfifo(folder / "3.jpg"),
    ],
)
def test_whatever_changes_changes_the_fingerprint(tmp_path, change):
    folder = folder_of(tmp_path / "7", "1.jpg", "2.jpg")
    before = frame_folders.fingerprint(folder)

    change(folder)

    assert frame_folders.fingerprint(folder) != before


def test_neither_place_nor_hidden_files_are_in_the_fingerprint(tmp_path):
    one = folder_of(tmp_path / "one", "1.jpg", "2.jpg")
    two = folder_of(tmp_path / "two", ".DS_Store", "._1.jpg", "2.jpg")
    (two / "1.jpg").symlink_to(one / "1.jpg")

    assert frame_folders.fingerprint(one) == frame_folders.fingerprint(two)


@pytest.mark.parametrize(
    "names",
    [
        ("000001.jpg", "000002.jpg", "000003.jpg"),
        ("img_00000.jpg", "img_00001.jpg", "img_00002.jpg"),
        ("8.JPG", "9.jpeg", "10.Jpg"),
        ("clip2_1.jpg", "clip2_02.jpg", "clip2_003.jpg"),
    ],
)
def test_frames_are_in_the_order_of_their_numbers(tmp_path, names):
    numbers = [int(re.findall(r"\d+", name)[-1]) for name in names]
    found = read(folder_of(tmp_path / "7", *reversed(names), ".hidden.jpg"))

    assert found.names == names
    assert found.contents == tuple(name.encode() for name in names)
    assert found.num_missing == max(0, numbers[0] - 1)


@pytest.mark.parametrize(
    ("numbers", "num_missing", "gaps"),
    [
        ([0, 1, 2], 0, ""),
        ([1, 2, 3], 0, ""),
        ([2, 3], 1, "1"),
        ([0, 2, 6, 7], 4, "1, 3 to 5"),
        ([1, 3, 5, 7, 9], 4, "2, 4, 6, ..."),
    ],
)
def test_gaps_are_counted_and_named(tmp_path, numbers, num_missing, gaps):
    found = read(folder_of(tmp_path / "7", *(f"{n:05d}.jpg" for n in numbers)))

    assert (found.num_missing, found.gaps) == (num_missing, gaps)
    assert len(found.names) == len(numbers)


@pytest.mark.parametrize(
    ("names", "reason", "detail"),
    [
        ((), "empty", " has no files"),
        ((".1.jpg",), "empty", " has no files"),
        (
            ("1.png", "2.png", "3.png", "4.png", "5.png"),
            *("no_frames", " has no file named .jpg or .jpeg, but 1.png, 2.png, "),
        ),
        (
            ("1.jpg", "Thumbs.db"),
            *("foreign_files", " has other things among its frames: Thumbs.db"),
        ),
        (
            ("img_1.jpg", "flow_x_1.jpg"),
            *("misnumbered", ": flow_x_1.jpg, img_1.jpg are not of one sequence"),
        ),
        (
            ("1.jpg", "01.jpg"),
            *("misnumbered", ": 01.jpg, 1.jpg are not of one sequence"),
        ),
        (
            ("1.jpg", "1.jpeg"),
            *("misnumbered", ": 1.jpeg, 1.jpg are not of one sequence"),
        ),
        (
            ("1.jpg", "cover.jpg"),
            *("misnumbered", ": cover.jpg does not end in a number"),
        ),
    ],
)
def test_what_is_no_sequence_of_frames_is_refused(tmp_path, names, reason, detail):
    found = refused(folder_of(tmp_path / "7", *names))

    assert found[0] == reason
    assert found[1].startswith(detail)


def test_what_is_no_file_is_refused_by_name(tmp_path):
    folder = folder_of(tmp_path / "7", "1.jpg")
    (folder / "2.jpg").mkdir()
    os.mkfifo(folder / "3.jpg")
    (folder / "4.jpg").symlink_to(folder / "4.jpg")
    (folder / "5.jpg").symlink_to(folder / "absent")

    assert refused(folder) == (
        "foreign_files",
        " has other things among its frames: 2.jpg, 3.jpg, 4.jpg and 1 more",
    )


def test_names_that_are_no_unicode_are_spelt(tmp_path):
    folder = folder_of(tmp_path / "7", "1.jpg")
    (folder / os.fsdecode(b"\xff.txt")).touch()

    assert refused(folder)[1].endswith(r": \udcff.txt")


def test_more_frames_than_allowed_are_not_kept(tmp_path):
    folder = folder_of(tmp_path / "7", "1.jpg", "2.jpg", "3.jpg")

    assert refused(folder, max_frames=2) == (
        "too_long",
        "3 frames, the limit: 2 (--max_clip_frames)",
    )
    assert len(read(folder, max_frames=3).names) == 3


def test_a_folder_that_is_not_the_planned_one_is_told_apart(tmp_path):
    folder = folder_of(tmp_path / "7", "1.jpg", "2.jpg")
    planned = frame_folders.fingerprint(folder)
    (folder / "2.jpg").rename(folder / "cover.txt")

    with pytest.raises(quarantine.ClipError, match="changed since the build") as error:
        frame_folders.read(folder, planned, 100)

    assert error.value.reason == "changed"


def test_a_file_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    folder = folder_of(tmp_path / "7", "1.jpg", "2.jpg")
    planned = frame_folders.fingerprint(folder)

    def refuse(path, flags):  # chmod does not stop root
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(quarantine.ClipError) as error:
        frame_folders.read(folder, planned, 100)

    assert error.value.reason == "unreadable"
    assert str(error.value) == f"{folder}/1.jpg: Permission denied"


def test_a_folder_that_is_gone_is_unreadable(tmp_path):
    planned = records.Fingerprint(0, "0" * 64)

    with pytest.raises(quarantine.ClipError) as error:
        frame_folders.read(tmp_path / "7", planned, 100)

    assert error.value.reason == "unreadable"
    assert str(error.value) == f"{tmp_path}/7: No such file or directory"
