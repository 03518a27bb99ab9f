import json
import os
import shutil
from collections import Counter

import pyarrow as pa
import pytest
from pyarrow import parquet

from mindrecord_io.versions import opening
from pipelines.planning import matching
from pipelines.sources import annotation_readers, clip_files
from tests import listings
from tests.annotation_files import refusal, summary, written

HEADER = "path,label,split\n"


def test_a_csv_lists_files_labels_and_splits(tmp_path):
    path = written(
        tmp_path / "clips.csv",
        "\ufefflabel,path,note,split\r\n"
        "run,a/2.mp4,x,val\r\n"
        '"jump, high",a/1.mp4,,train\r\n'
        "ignored,3.avi,,test\r\n"
        "run,b/4.webm,,Train\r\n",
    )

    found = annotation_readers.read(path)

    assert found.label_map.names == ("jump, high", "run")
    assert summary(found) == [
        ("1", "train", 0, "a/1.mp4"),
        ("4", "train", 1, "b/4.webm"),
        ("2", "validation", 1, "a/2.mp4"),
        ("3", "test", -1, "3.avi"),
    ]


def test_parquet_of_texts_that_are_no_utf_8_is_refused_by_its_name(tmp_path):
    path = tmp_path / "clips.parquet"
    offsets, content = pa.py_buffer(bytes([0, 0, 0, 0, 1, 0, 0, 0])), b"\xff"
    bad = pa.StringArray.from_buffers(1, offsets, pa.py_buffer(content))
    parquet.write_table(pa.table({"path": bad, "label": ["a"], "split": ["val"]}), path)

    assert refusal(path).startswith(f"{path}: cannot be read as Parquet: 'utf-8' codec")


def test_labels_that_are_numbers_stay_what_they_are(tmp_path):
    rows = "".join(f"{n}.mp4,{n},train\n" for n in (10, 2, 0, 1))
    path = written(tmp_path / "clips.csv", HEADER + rows)

    found = annotation_readers.read(path)

    assert found.label_map.names == tuple(map(str, range(11)))
    assert {clip.clip_id: clip.label_id for clip in found.clips} == {
        "10": 10,
        "2": 2,
        "0": 0,
        "1": 1,
    }


def test_ids_may_be_given(tmp_path):
    text = (
        "clip_id,path,label,split\nfirst,a/1.mp4,run,train\nsecond,b/1.mp4,run,train\n"
    )

    found = annotation_readers.read(written(tmp_path / "clips.csv", text))

    assert [clip.clip_id for clip in found.clips] == ["first", "second"]


@pytest.mark.parametrize(
    ("name", "clip_id"),
    [
        ("-0Bn_000123.mp4", "_-0Bn_000123"),
        (".hidden.mp4", "_.hidden"),
        ("two words (1).mp4", "two_words__1_"),
        ("Größe.mp4", "Gr__e-b7256ba6"),
        ("no_suffix", "no_suffix"),
        ("a.b.mp4", "a.b"),
    ],
)
def test_file_names_become_ids(tmp_path, name, clip_id):
    path = written(tmp_path / "clips.csv", f"{HEADER}{name},run,train\n")

    assert summary(annotation_readers.read(path)) == [(clip_id, "train", 0, name)]


def test_parquet_is_read_as_csv_is(tmp_path):
    columns = {
        "path": ["a/1.mp4", "a/2.mp4", "a/3.mp4"],
        "label": [7, 3, None],
        "split": ["train", "valid", "test"],
        "more": [1.5, None, 2.5],
    }
    parquet.write_table(pa.table(columns), tmp_path / "clips.parquet")

    found = annotation_readers.read(tmp_path / "clips.parquet")

    assert found.label_map.names == tuple("01234567")
    assert summary(found) == [
        ("1", "train", 7, "a/1.mp4"),
        ("2", "validation", 3, "a/2.mp4"),
        ("3", "test", -1, "a/3.mp4"),
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", ": no column path, no label, no split among []"),
        ("way;label;split\n", ": no column path among ['way', 'label', 'split']; --co"),
        ("path,label,path,split\n", ": column 'path' is there twice"),
        (HEADER, ": lists no clips"),
        (HEADER + "1.mp4,run,dev\n", " line 2: split must be train, validation (val,"),
        (HEADER + "1.mp4,run\n", " line 2: must have 3 values, as the header"),
        (HEADER + "1.mp4,run,train,x\n", " line 2: must have 3 values, as the header"),
        (HEADER + ",run,train\n", " line 2: no path"),
        (HEADER + "1.mp4,,train\n", " line 2: a train clip needs a label"),
        (HEADER + '1.mp4,"a\nb",train\n', " line 3: a train clip needs a label"),
        (HEADER + '1.mp4,"run,train\n', " line 2: unexpected end of data"),
        (HEADER + "../1.mp4,run,train\n", " line 2: a clip's path must lead from"),
        (HEADER + "a/./1.mp4,run,train\n", " line 2: a clip's path must lead from"),
        (HEADER + "a\\1.mp4,run,train\n", " line 2: a clip's path must lead from"),
        (HEADER + "a//1.mp4,run,train\n", " line 2: a clip's path must lead from"),
        (HEADER + "1.mp4,,test\n", ": no clip has a label"),
        (
            HEADER + "1.mp4,run,train\n1.mp4,run,val\n",
            "file '1.mp4' is listed twice: {0} line 2 and {0} line 3",
        ),
        (
            HEADER + "a/1.mp4,run,train\nb/1.mp4,run,test\n",
            "clip '1' is listed twice: {0} line 2 (a/1.mp4) and {0} line 3 (b/1.mp4)",
        ),
        (
            "path,label,split,clip_id\n1.mp4,run,train,../1\n",
            " line 2: clip id must be letters, digits, '.', '_' or '-'",
        ),
    ],
)
def test_a_list_that_cannot_be_used_is_refused(tmp_path, text, complaint):
    path = written(tmp_path / "clips.csv", text)

    whole = complaint.format(path) if "{0}" in complaint else f"{path}{complaint}"
    assert refusal(path).startswith(whole)


def test_lists_that_are_missing_or_damaged_are_refused(tmp_path):
    (tmp_path / "text.csv").write_bytes(b"\xff")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    written(tmp_path / "odd.txt", "")

    assert refusal(tmp_path / "none.csv").endswith(
        "none.csv: cannot read: No such file or directory"
    )
    assert "not UTF-8 text" in refusal(tmp_path / "text.csv")
    assert "cannot be read as Parquet" in refusal(tmp_path / "bad.parquet")
    assert "no annotations that clipmill reads: it is a file named .txt" in refusal(
        tmp_path / "odd.txt"
    )


@pytest.fixture
def jester(tmp_path):
    folder = tmp_path / "jester"
    written(folder / "jester-v1-labels.csv", "Swiping Left\nDoing other things\n\n")
    written(
        folder / "jester-v1-train.csv", "34870;Doing other things\n56557;Swiping Left\n"
    )
    written(folder / "jester-v1-validation.csv", "9223;Swiping Left\n")
    written(folder / "jester-v1-test.csv", "100\n101\n")
    return folder


def test_jester_is_read_with_its_own_numbers(jester):
    found = annotation_readers.read(jester)

    assert found.label_map.names == ("Swiping Left", "Doing other things")
    assert found.paths == ()
    assert summary(found) == [
        ("34870", "train", 1, ""),
        ("56557", "train", 0, ""),
        ("9223", "validation", 0, ""),
        ("100", "test", -1, ""),
        ("101", "test", -1, ""),
    ]


def test_jester_may_lack_its_test_list(jester):
    (jester / "jester-v1-test.csv").unlink()

    assert len(annotation_readers.read(jester).clips) == 3


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("train", "1;Waving\n", "train.csv line 1: no label 'Waving' among 2 labels"),
        ("train", "1\n", "train.csv line 1: a train clip needs a label"),
        ("train", "a/b;Swiping Left\n", "train.csv line 1: clip id must be letters"),
        (
            "validation",
            "34870;Swiping Left\n",
            "clip '34870' is listed twice: {0}/jester-v1-train.csv line 1 () and "
            "{0}/jester-v1-validation.csv line 1 ()",
        ),
    ],
)
def test_jester_lists_that_cannot_be_used_are_refused(jester, name, text, complaint):
    written(jester / f"jester-v1-{name}.csv", text)

    assert complaint.format(jester) in refusal(jester)


def test_a_missing_list_of_jester_is_named(jester):
    (jester / "jester-v1-validation.csv").unlink()

    assert refusal(jester).endswith(
        "jester-v1-validation.csv: cannot read: No such file or directory"
    )


def test_something_something_is_read_as_ever(package):
    found = annotation_readers.read(package.annotations)

    assert Counter(clip.split for clip in found.clips) == {
        "train": 5,
        "validation": 2,
        "test": 1,
    }
    assert found.paths == ()


def test_files_that_are_named_and_not_there_are_missing(tmp_path):
    text = HEADER + "a/1.mp4,run,train\na/2.mp4,run,train\na/3.mp4,run,train\n"
    annotations = annotation_readers.read(written(tmp_path / "clips.csv", text))
    written(tmp_path / "clips/a/2.mp4", "")
    os.mkfifo(tmp_path / "clips/a/3.mp4")

    listing = matching.match_clips(annotations, tmp_path / "clips")

    assert [c.uri for c in listings.clips_of(listing)] == [f"{tmp_path}/clips/a/2.mp4"]
    assert listing.missing.first == ("1", "3")
    assert listing.num_unlisted == 0


def test_lists_may_lie_in_folders_whose_names_are_no_unicode(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    path = written(folder / "clips.csv", HEADER + "1.mp4,run,train\n")
    written(folder / "classes/train/run/1.mp4", "")

    assert summary(annotation_readers.read(path)) == [("1", "train", 0, "1.mp4")]
    assert summary(annotation_readers.read(folder / "classes")) == [
        ("1", "train", 0, "train/run/1.mp4")
    ]
    written(path, HEADER + "1.mp4,run,train\n1.mp4,run,train\n")
    assert r"caf\udce9/clips.csv line 2 and " in refusal(path)


def test_clips_that_are_named_must_not_lie_in_such_folders(tmp_path):
    path = written(tmp_path / "clips.csv", HEADER + "1.mp4,run,train\n")
    annotations = annotation_readers.read(path)
    written(tmp_path / os.fsdecode(b"caf\xe9") / "1.mp4", "")

    with pytest.raises(clip_files.SourceError, match="must have a UTF-8 name"):
        matching.match_clips(annotations, tmp_path / os.fsdecode(b"caf\xe9"))


def test_a_folder_without_one_of_the_files_is_refused(tmp_path):
    text = HEADER + "a/1.mp4,run,train\n"
    annotations = annotation_readers.read(written(tmp_path / "clips.csv", text))
    (tmp_path / "clips").mkdir()

    with pytest.raises(
        clip_files.SourceError, match=r"name is in it; the first: a/1\.mp4"
    ):
        matching.match_clips(annotations, tmp_path / "clips")
    with pytest.raises(clip_files.SourceError, match="/none: no such folder of clips"):
        matching.match_clips(annotations, tmp_path / "none")


@pytest.mark.slow
def test_one_build_for_every_source(package, tools, tmp_path):
    clips = tmp_path / "clips"
    for name, source in (
        ("train/x/1", "101"),
        ("train/y/2", "102"),
        ("val/x/3", "103"),
    ):
        (clips / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(package.clip(source), clips / f"{name}.mp4")
    rows = "train/x/1.mp4,x,train\ntrain/y/2.mp4,y,train\nval/x/3.mp4,x,val\n"
    listed = written(tmp_path / "list.csv", HEADER + rows)
    said = []
    for annotations in (clips, listed):
        words = ("--clips", clips, "--annotations", annotations, "--num_shards", 2)
        done = tools.run_command("build", *words, "--dataset", tmp_path / "dataset")
        assert done.returncode == 0, done.stderr
        said.append(json.loads(done.stdout))

    # The list says what the folders say, so there is nothing to build.
    assert said[0]["shards"]["decoded"] == said[1]["shards"]["reused"] == 2
    rows = opening.open_version(tmp_path / "dataset").read_clips().to_pylist()
    assert {row["clip_id"]: (row["label"], row["num_frames"]) for row in rows} == {
        "1": ("x", 6),
        "2": ("y", 3),
        "3": ("x", 5),
    }
