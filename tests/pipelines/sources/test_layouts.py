"""What is divided, left out, linked and refused; and the one table of layouts."""

import os
import random
from pathlib import Path

import pytest

from mindrecord_io.records import Annotation, LabelMap
from pipelines.planning import matching
from pipelines.sources import annotation_readers, clip_files, layouts
from pipelines.sources.annotations import AnnotationError, Annotations
from tests.annotation_files import read, refusal, summary, touched, written
from tests.annotation_trees import hmdb51, split_list, table_of_ids

README = Path(annotation_readers.__file__).parents[1] / "README.md"
HEADER = "path,label,split\n"


def test_what_lists_and_folders_leave_out_is_unlisted(tmp_path):
    hmdb51(tmp_path)
    touched(tmp_path, "clips/wave/w4.avi", "clips/wave/cover.jpg", "clips/wave/.w5.avi")
    listing = matching.match_clips(read(tmp_path / "ann"), tmp_path / "clips")
    assert list(listing.unlisted()) == ["wave/w3.avi", "wave/w4.avi"]

    split_list(tmp_path / "more")
    clips = tmp_path / "more/clips"
    touched(clips, "run/e.flv", "run/f.MPG")
    divided = read(clips, split_by=f"{tmp_path}/more/ann/splits.txt")
    listing = matching.match_clips(divided, clips)
    assert list(listing.unlisted()) == ["run/d.mp4", "run/e.flv", "run/f.MPG"]


def test_other_files_are_counted(tmp_path, caplog):
    touched(tmp_path, "train/run/a.mp4", "train/run/b.txt", "train/cover.jpg")
    touched(tmp_path, "dev/run/c.mp4", "Val/run/d.mp4")
    caplog.set_level("WARNING")

    found = read(tmp_path)

    assert [clip.split for clip in found.clips] == ["train", "validation"]
    assert caplog.messages == [
        f"{tmp_path}: left out 1 folder whose names are no splits (train, validation, "
        "test): dev",
        f"{tmp_path}: left out 2 files whose names are no clips' (.jpg: 1, "
        ".txt: 1); the first: train/cover.jpg",
    ]


def test_linked_folders_of_classes_are_followed(tmp_path):
    touched(tmp_path / "store", "jump/j1.mp4", "frames/00001.jpg")
    touched(tmp_path / "tree", "train/run/r1.mp4", "val/run/r2.mp4")
    (tmp_path / "tree/train/jump").symlink_to("../../store/jump")
    (tmp_path / "tree/val/jump").mkdir()
    (tmp_path / "tree/val/jump/j2").symlink_to(tmp_path / "store/frames")

    annotations = read(tmp_path / "tree")

    assert summary(annotations) == [
        ("j1", "train", 0, "train/jump/j1.mp4"),
        ("r1", "train", 1, "train/run/r1.mp4"),
        ("j2", "validation", 0, "val/jump/j2"),
        ("r2", "validation", 1, "val/run/r2.mp4"),
    ]
    assert matching.match_clips(annotations, tmp_path / "tree").num_clips.total() == 4


def test_a_link_that_leads_back_is_refused(tmp_path):
    touched(tmp_path, "train/run/a.mp4")
    (tmp_path / "train/run/back").symlink_to(tmp_path / "train")

    assert refusal(tmp_path) == (
        f"{tmp_path}/train/run/back: a link that leads back to {tmp_path}/train, in "
        "which it lies: remove it"
    )


def test_a_share_is_drawn_by_seed_and_stays_when_clips_come(tmp_path):
    touched(tmp_path, *(f"run/{n}.mp4" for n in range(400)))
    before = {c.clip_id: c.split for c in read(tmp_path, split_by="0.25").clips}
    other = {
        c.clip_id: c.split for c in read(tmp_path, split_by=".25", split_seed=2).clips
    }
    touched(tmp_path, *(f"jump/{n}.mp4" for n in range(400, 500)))
    after = {c.clip_id: c.split for c in read(tmp_path, split_by="0.25").clips}

    num_validation = sum(split == "validation" for split in before.values())
    assert 70 <= num_validation <= 130  # 100, by 3.5 standard deviations
    assert before != other
    assert before.items() <= after.items()


def test_a_list_of_paths_alone_is_of_validation(tmp_path):
    touched(tmp_path / "c", "run/a.mp4", "run/b.mp4")
    listed = written(tmp_path / "validation", "run/b.mp4\n")

    divided = read(tmp_path / "c", split_by=str(listed))

    assert {c.clip_id: c.split for c in divided.clips} == {
        "a": "train",
        "b": "validation",
    }


@pytest.mark.parametrize("split_by", ["0", "1", "1.5", "/no/list"])
def test_a_division_that_cannot_be_is_refused(tmp_path, split_by):
    touched(tmp_path, "run/a.mp4")
    with pytest.raises(AnnotationError, match=r"a share must be between|cannot read"):
        read(tmp_path, split_by=split_by)


def test_folders_of_classes_need_a_division(tmp_path):
    touched(tmp_path, "run/a.mp4")
    assert "without splits: give --split_by" in refusal(tmp_path)


def test_clips_with_splits_are_not_divided_again(tmp_path):
    touched(tmp_path / "a", "train/run/a.mp4")
    text = HEADER + "a.mp4,run,train\n"
    listed = written(tmp_path / "b.csv", text)
    for path in (tmp_path / "a", listed):
        with pytest.raises(AnnotationError, match="so --split_by cannot be given"):
            read(path, split_by="0.1")


def test_a_table_without_splits_is_divided(tmp_path):
    listed = written(tmp_path / "b.csv", "path,label\na.mp4,run\nb.mp4,run\n")
    divisions = written(tmp_path / "splits.txt", "a.mp4\ttest\nb.mp4\ttrain\n")

    assert "no column split" in refusal(listed)
    assert summary(read(listed, split_by=str(divisions))) == [
        ("b", "train", 0, "b.mp4"),
        ("a", "test", -1, "a.mp4"),
    ]


def test_two_files_of_one_id_in_deep_folders_are_refused(tmp_path):
    table_of_ids(tmp_path)
    touched(tmp_path / "clips", "other/a.mkv")
    annotations = read(tmp_path / "ann")
    with pytest.raises(clip_files.SourceError, match=r"a\.mkv and a\.mp4: leave only"):
        matching.match_clips(annotations, tmp_path / "clips")


def test_an_annotated_clip_in_a_folder_whose_name_is_no_unicode_is_refused(tmp_path):
    table_of_ids(tmp_path)
    next((tmp_path / "clips").rglob("a.mp4")).unlink()
    touched(tmp_path / "clips", os.fsdecode(b"caf\xe9/a.mp4"))
    annotations = read(tmp_path / "ann")
    with pytest.raises(clip_files.SourceError, match=r"caf\\udce9/a\.mp4: .* UTF-8"):
        matching.match_clips(annotations, tmp_path / "clips")


@pytest.mark.parametrize(
    ("make", "hint"),
    [
        (
            lambda f: touched(f, "ssv2/train/run/a.mp4"),
            "did you mean its subfolder {}/ssv2",
        ),
        (
            lambda f: touched(f, "1.webm", "2.webm"),
            "are --clips and --annotations swapped",
        ),
        (lambda f: touched(f, "notes.md", "x.zip"), "it has notes.md, x.zip in it"),
        (lambda f: f.mkdir(), "it is empty"),
    ],
)
def test_every_refusal_of_a_folder_names_what_is_accepted(tmp_path, make, hint):
    folder = tmp_path / "given"
    make(folder)

    message = refusal(folder)

    assert hint.format(folder) in message
    for layout in annotation_readers.LAYOUTS:
        assert layout.annotations.replace("`", "") in message


def test_the_readme_has_the_table_of_layouts():
    _, table, _ = (
        README.read_text()
        .replace("<!-- /layouts", "<!-- layouts")
        .split("<!-- layouts -->\n")
    )
    assert table.strip() == annotation_readers.layouts_table()


def test_a_layout_is_one_file_and_one_line(tmp_path, monkeypatch):
    def read_names(path, choices):
        del choices
        clips = [Annotation(name, "train", 0, "x") for name in path.read_text().split()]
        return Annotations(LabelMap(("x",)), clips)

    added = layouts.Layout(
        annotations="a `.names` file",
        clips="`<id>.webm`",
        is_layout_of=lambda path: path.suffix == ".names",
        read=read_names,
    )
    listed = written(tmp_path / "a.names", "1 2")
    assert "no annotations that clipmill reads" in refusal(listed)

    monkeypatch.setattr(
        annotation_readers, "LAYOUTS", (*annotation_readers.LAYOUTS, added)
    )

    assert [clip.clip_id for clip in read(listed).clips] == ["1", "2"]
    assert "a .names file" in refusal(written(tmp_path / "b.other", ""))
    assert "| a `.names` file | `<id>.webm` |" in annotation_readers.layouts_table()


def test_a_folder_of_clips_is_walked_in_one_order(tmp_path):
    names = [f"train/run/{n}.mp4" for n in range(20)]
    random.Random(1).shuffle(names)
    touched(tmp_path, *names)
    assert [clip.clip_id for clip in read(tmp_path).clips] == sorted(
        str(n) for n in range(20)
    )
