import os

import pytest

from pipelines.sources import annotation_readers
from tests.annotation_files import refusal, summary, written


def test_folders_a_class_are_read(tmp_path):
    for name in (
        *("train_256/air drumming/-a_1.mp4", "train_256/abseiling/b.webm"),
        *("val/abseiling/c.MKV", "test/d.mp4", "train_256/abseiling/notes.txt"),
        *("other/abseiling/e.mp4", "readme.txt"),
    ):
        written(tmp_path / name, "")

    found = annotation_readers.read(tmp_path)

    assert found.label_map.names == ("abseiling", "air drumming")
    assert summary(found) == [
        ("b", "train", 0, "train_256/abseiling/b.webm"),
        ("_-a_1", "train", 1, "train_256/air drumming/-a_1.mp4"),
        ("c", "validation", 0, "val/abseiling/c.MKV"),
        ("d", "test", -1, "test/d.mp4"),
    ]


def test_folders_of_frames_are_clips_in_folders_a_class(tmp_path, monkeypatch):
    for name in ("train/run/a", "train/run/b", "rawframes_val/run/c", "test/d"):
        written(tmp_path / name / "img_00001.jpg", "")
    written(tmp_path / "train/jump/e.mp4", "")
    opened, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda p: opened.append(str(p)) or scandir(p))

    found = annotation_readers.read(tmp_path)

    assert summary(found) == [
        ("e", "train", 0, "train/jump/e.mp4"),
        ("a", "train", 1, "train/run/a"),
        ("b", "train", 1, "train/run/b"),
        ("c", "validation", 1, "rawframes_val/run/c"),
        ("d", "test", -1, "test/d"),
    ]
    of_clips = {f"{tmp_path}/train/run/{clip_id}" for clip_id in "ab"}
    assert len(of_clips & set(opened)) == 1  # one tells what its neighbours are


def test_a_picture_beside_the_clips_of_a_class_is_no_clip(tmp_path):
    for name in ("run/a.mp4", "run/cover.jpg", "jump/b/00001.jpg", "jump/cover.jpg"):
        written(tmp_path / "train" / name, "")

    assert summary(annotation_readers.read(tmp_path)) == [
        ("b", "train", 0, "train/jump/b"),
        ("a", "train", 1, "train/run/a.mp4"),
    ]


def test_what_is_hidden_in_folders_a_class_is_no_clip(tmp_path):
    for name in (
        *("train/run/a.mp4", "train/run/._a.mp4", "train/run/.a.mp4.part.webm"),
        *("train/.trash/b.mp4", "train/run/.cache/x/c.mp4", "train/jump/d.webm"),
    ):
        written(tmp_path / name, "")

    assert summary(annotation_readers.read(tmp_path)) == [
        ("d", "train", 0, "train/jump/d.webm"),
        ("a", "train", 1, "train/run/a.mp4"),
    ]


@pytest.mark.parametrize("name", ["train/a", "val/x/y/a", "test/x/y/a"])
def test_frames_outside_the_folder_of_their_class_are_refused(tmp_path, name):
    written(tmp_path / name / "00001.jpg", "")

    assert refusal(tmp_path).startswith(
        f"{tmp_path / name}: a clip must lie in a folder of its class, "
    )


@pytest.mark.parametrize("name", ["train/a.mp4", "val/x/y/a.mp4", "test/x/y/a.mp4"])
def test_a_clip_outside_the_folder_of_its_class_is_refused(tmp_path, name):
    written(tmp_path / name, "")

    assert refusal(tmp_path).startswith(
        f"{tmp_path / name}: a clip must lie in a folder of its class, "
    )


def test_one_name_in_two_classes_is_refused_with_both(tmp_path):
    one = written(tmp_path / "train/x/a.mp4", "")
    two = written(tmp_path / "train/y/a.webm", "")

    assert refusal(tmp_path) == (
        f"clip 'a' is listed twice: {one} (train/x/a.mp4) and {two} (train/y/a.webm): "
        "rename one, or list them in a table that has a column clip_id"
    )
