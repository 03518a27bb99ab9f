"""Lists as other people's tools leave them: quoted, padded, below other roots."""

import codecs
import os
import unicodedata

import pyarrow as pa
import pytest
from pyarrow import parquet

from pipelines.planning import matching
from pipelines.sources.annotations import AnnotationError
from tests.annotation_files import read, refusal, summary, touched, written

CAFE = "caf\N{LATIN SMALL LETTER E WITH ACUTE}"


def numbers(path, **choices):
    """Returns id and label_id of every clip but those of test."""
    return {c.clip_id: c.label_id for c in read(path, **choices).clips if c.label}


@pytest.mark.parametrize(
    "line",
    [
        "run/a b.mp4 1",
        "run/a b.mp4\t1",
        "run/a b.mp4;1",
        "run/a b.mp4, 1",
        "run/a b.mp4 1.0",
        '"run/a b.mp4" 1',
        '"run/a b.mp4","1"',
        '"run/a b.mp4",30,1',
        "./run/a b.mp4 1",
        "  run/a b.mp4   30\t1  ",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_lists_are_read_however_their_columns_are_set_apart(tmp_path, line, encoding):
    text = f"{line}\r\n\r\nrun/c.mp4 0\r\n \r\n"
    written(tmp_path / "train.txt", "").write_bytes(text.encode(encoding))

    assert summary(read(tmp_path)) == [
        ("a_b", "train", 1, "run/a b.mp4"),
        ("c", "train", 0, "run/c.mp4"),
    ]


def test_rows_of_a_table_may_be_padded_and_blank(tmp_path):
    text = "\n \nPath;LABEL;split\n a.mp4 ; run ;train \n;;\n   \n\nb.mp4;run;val\n;;\n"
    path = written(tmp_path / "a.csv", "")
    path.write_bytes(codecs.BOM_UTF8 + text.replace("\n", "\r\n").encode())

    assert summary(read(path)) == [
        ("a", "train", 0, "a.mp4"),
        ("b", "validation", 0, "b.mp4"),
    ]


def test_a_line_of_a_table_is_counted_from_the_beginning_of_its_file(tmp_path):
    path = written(tmp_path / "a.csv", "\n\npath,label,split\na.mp4,run,never\n")
    assert refusal(path).startswith(f"{path} line 4: split must be train")


def test_blank_lines_may_be_before_a_list_and_numbers_before_names(tmp_path):
    written(tmp_path / "train.txt", "\n \nrun/a.mp4 1\n")
    written(tmp_path / "label_map.txt", "0 jump\n1\trun fast\n")

    annotations = read(tmp_path)

    assert annotations.label_map.names == ("jump", "run fast")
    assert summary(annotations) == [("a", "train", 1, "run/a.mp4")]


def test_a_table_in_parquet_may_have_columns_of_other_case_and_bytes(tmp_path):
    table = {"Path": [b"a.mp4"], "LABEL": [1.0], "split": ["train"], "x": [1]}
    parquet.write_table(pa.table(table), tmp_path / "a.Parquet")
    assert summary(read(tmp_path / "a.Parquet")) == [("a", "train", 1, "a.mp4")]


def test_a_table_of_test_clips_needs_no_labels(tmp_path):
    written(tmp_path / "train.csv", "path,label\na.mp4,run\n")
    written(tmp_path / "test.csv", "path\nb.mp4\n")

    assert summary(read(tmp_path)) == [
        ("a", "train", 0, "a.mp4"),
        ("b", "test", -1, "b.mp4"),
    ]


def test_an_absolute_path_may_lead_through_another_link(tmp_path):
    touched(tmp_path / "store", "run/a.mp4")
    (tmp_path / "data").symlink_to("store")
    line = f"{tmp_path}/data/run/a.mp4 0\n"
    written(tmp_path / "lists/train.txt", line)

    annotations = read(tmp_path / "lists", clips=tmp_path / "store")

    assert summary(annotations) == [("a", "train", 0, "run/a.mp4")]
    with pytest.raises(AnnotationError, match="must lead into the folder of clips"):
        read(tmp_path / "lists", clips=tmp_path / "lists")


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["0", "2", "10"], [0, 2, 10]),
        (["0.0", "2.", "10.00"], [0, 2, 10]),
        (["0.000000000000000000e+00", "2.0e+00", "1.0e+01"], [0, 2, 10]),
        (["000", "002", "010"], [0, 2, 10]),
        (["1.5", "2.0", "10.0"], [0, 2, 1]),  # names, in the order of their letters
    ],
)
def test_numbers_stay_what_they_are_however_they_are_written(
    tmp_path, labels, expected
):
    rows = "".join(f"{i}.mp4,{label},train\n" for i, label in enumerate(labels))
    path = written(tmp_path / "a.csv", f"path,label,split\n{rows}")

    assert list(numbers(path).values()) == expected


@pytest.mark.parametrize("label", ["nan", "NaN", "None", "NULL", "-", "?", "N/A"])
def test_what_stands_for_no_number_is_no_class(tmp_path, label):
    path = written(
        tmp_path / "a.csv", f"path,label,split\na.mp4,1,train\nb.mp4,{label},train\n"
    )
    assert f"labels are numbers, and one is {label!r}" in refusal(path)


def test_numbers_beside_names_are_warned_of(tmp_path, caplog):
    rows = "a.mp4,2,train\nb.mp4,10,train\nc.mp4,run,train\n"
    path = written(tmp_path / "a.csv", f"path,label,split\n{rows}")

    assert read(path).label_map.names == ("10", "2", "run")
    assert "some labels are numbers and 1 are not (run)" in caplog.text


@pytest.mark.parametrize("other", ["Push-up", "push\u200b_up", "\uff50ush up"])
def test_spellings_of_one_class_are_warned_of(tmp_path, caplog, other):
    rows = f"a.mp4,push up,train\nb.mp4,{other},train\n"
    read(written(tmp_path / "a.csv", f"path,label,split\n{rows}"))
    assert "differ by spelling alone and are classes of their own" in caplog.text


def test_files_that_no_list_names_are_unlisted_in_any_form_of_their_names(tmp_path):
    clips = tmp_path / "clips"
    listed, other = f"{CAFE}/a.mp4", unicodedata.normalize("NFD", f"{CAFE}/b.mp4")
    touched(clips, listed, other, "c/d/e.flv", "c/notes.txt", "f/00001.jpg")
    touched(clips, "g/00001.jpg", ".cache/h.mp4")
    (clips / "c/back").symlink_to(clips)
    (clips / "itself.mp4").symlink_to("itself.mp4")
    decomposed = unicodedata.normalize("NFD", listed)
    written(tmp_path / "lists/train.txt", f"{decomposed} 0\n{CAFE}/b.mp4 0\nf 3 0\n")
    written(tmp_path / "lists/val.txt", "gone.mp4 0\n")

    listing = matching.match_clips(read(tmp_path / "lists", clips=clips), clips)

    assert listing.num_clips.total() == 3
    assert listing.missing.first == ("gone",)
    assert list(listing.unlisted()) == ["c/d/e.flv", "g", "itself.mp4"]


def test_videos_of_other_kinds_are_unlisted_where_ids_are_looked_for(tmp_path):
    touched(tmp_path / "clips", "deep/a.mp4", "deep/b.flv", "c.mkv", "d.txt")
    path = written(tmp_path / "a.csv", "clip_id,label,split\na,x,train\nb,x,train\n")

    listing = matching.match_clips(read(path), tmp_path / "clips")

    assert listing.missing.first == ("b",)
    assert list(listing.unlisted()) == ["c", "deep/b.flv"]


@pytest.mark.parametrize(
    "line", ["b.mp4,val", "b;val", "b.mp4 val", "run/b.mp4\tvalidation"]
)
def test_a_list_of_splits_may_have_a_heading_and_any_separator(tmp_path, line):
    touched(tmp_path / "c/run", "a.mp4", "b.mp4")
    path = line.replace("b.mp4", "run/b.mp4").replace("run/run", "run")
    listed = written(tmp_path / "l", f"path,split\nrun/a.mp4,train\n{path}\n")

    assert {
        c.clip_id: c.split for c in read(tmp_path / "c", split_by=str(listed)).clips
    } == {
        "a": "train",
        "b": "validation",
    }


def test_a_list_of_splits_that_names_no_clip_is_refused(tmp_path, caplog):
    touched(tmp_path / "c/run", "a.mp4", "b.mp4")
    listed = written(tmp_path / "l", "x/a.mp4\n")
    with pytest.raises(AnnotationError, match="none of its 1 lines names one of the"):
        read(tmp_path / "c", split_by=str(listed))
    listed.write_text("run/a.mp4\nrun/z.mp4\n")
    read(tmp_path / "c", split_by=str(listed))
    assert f"{listed}: --split_by: 1 of its 2 lines name no clip" in caplog.messages


def test_links_that_lead_nowhere_in_folders_of_classes_are_left_out(tmp_path):
    touched(tmp_path / "c", "train/run/a.mp4", "val/run/b.mp4")
    (tmp_path / "c/train/round").symlink_to("round")
    (tmp_path / "c/train/run/gone.mp4").symlink_to(tmp_path / "nowhere.mp4")

    annotations = read(tmp_path / "c")

    assert [clip.clip_id for clip in annotations.clips] == ["a", "b"]
    listing = matching.match_clips(annotations, tmp_path / "c")
    assert list(listing.unlisted()) == ["train/run/gone.mp4"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda f: touched(f, "run/a.mp4"), "without splits: give --split_by"),
        (lambda f: touched(f, "train/x/y/a.mp4"), "must lie in a folder of its class"),
        (lambda f: written(f / "train.csv", "video,label\na,b\n"), "no column path"),
        (lambda f: f.mkdir(), "it is empty"),
    ],
)
def test_every_error_of_layout_lists_what_is_accepted(tmp_path, make, words):
    make(tmp_path / "given")

    message = refusal(tmp_path / "given")

    assert words in message
    for line in ("trainlist01.txt", "<split>/<class>/<clip>", "clips: <id>.webm"):
        assert line in message


def test_hmdb51s_columns_may_be_set_apart_by_tabs(tmp_path):
    written(tmp_path / "wave_test_split1.txt", "w 1.avi\t1\nw2.avi  2 \n")
    assert summary(read(tmp_path)) == [
        ("w_1", "train", 0, "wave/w 1.avi"),
        ("w2", "validation", 0, "wave/w2.avi"),
    ]


def test_an_unreadable_folder_beside_the_listed_clips_is_passed_by(
    tmp_path, monkeypatch
):
    touched(tmp_path / "clips", "a.mp4", "closed/b.mp4", "c.mp4")
    written(tmp_path / "l/train.txt", "a.mp4 0\n")
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    listing = matching.match_clips(read(tmp_path / "l"), tmp_path / "clips")
    assert list(listing.unlisted()) == ["c.mp4"]
