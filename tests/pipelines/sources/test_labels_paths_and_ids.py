"""Labels, paths and names as people's tools write them: what becomes of each."""

import json
import unicodedata

import pyarrow as pa
import pytest
from pyarrow import parquet

from pipelines.planning import matching
from pipelines.sources.annotations import AnnotationError
from tests import listings
from tests.annotation_files import read, refusal, summary, touched, written

HEADER = "path,label,split\n"


def test_absolute_paths_must_lead_into_the_clips(tmp_path):
    clips = tmp_path / "clips"
    touched(clips, "a.mp4")
    (tmp_path / "link").symlink_to(clips)
    listed = tmp_path / "list.csv"
    for root in (clips, tmp_path / "link"):
        written(listed, f"{HEADER}{clips}/a.mp4,run,train\n")
        assert summary(read(listed, clips=root)) == [("a", "train", 0, "a.mp4")]

    written(listed, HEADER + "/etc/1.mp4,run,train\n")
    with pytest.raises(
        AnnotationError, match="line 2: an absolute path must lead into"
    ):
        read(listed, clips=clips)


def test_parquet_of_bytes_and_floats_is_read_as_texts_and_numbers(tmp_path):
    columns = {
        "path": pa.array([b"a.webm", b"b.webm", b"c.webm", b"d.webm"]),
        "label": pa.array([10.0, 2.0, 0.0, float("nan")]),
        "split": ["train", "train", "val", "test"],
    }
    parquet.write_table(pa.table(columns), tmp_path / "list.parquet")

    assert summary(read(tmp_path / "list.parquet")) == [
        ("a", "train", 10, "a.webm"),
        ("b", "train", 2, "b.webm"),
        ("c", "validation", 0, "c.webm"),
        ("d", "test", -1, "d.webm"),
    ]


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        ("-1 0 1", "must be at least 0, got -1"),
        ("0 1 70000", "must be at most 65535, got 70000"),
        ("1 01 2", "labels '1' and '01' are one number"),
    ],
)
def test_numbers_that_are_no_label_ids_are_refused(tmp_path, labels, complaint):
    rows = "".join(f"{n}.mp4,{n},train\n" for n in labels.split())
    assert complaint in refusal(written(tmp_path / "list.csv", HEADER + rows))


def test_gaps_between_numbers_stay_classes(tmp_path, caplog):
    rows = "a.webm,3,train\nb.webm,7,train\nc.webm,10,train\n"
    caplog.set_level("WARNING")

    found = read(written(tmp_path / "list.csv", HEADER + rows))

    assert [clip.label_id for clip in found.clips] == [3, 7, 10]
    assert len(found.label_map) == 11
    assert caplog.messages == [
        f"{tmp_path}/list.csv: labels are numbers up to 10, and 8 of these have no "
        "clip (0, 1, 2, ...): they stay classes, so that no number changes"
    ]


def test_spellings_are_one_class_or_named(tmp_path, caplog):
    decomposed = unicodedata.normalize("NFD", "café")
    rows = (
        f" cat,train\ncat,train\ncat ,val\ncafé,train\n{decomposed},val\n"
        "push_up,train\nPush up,val\n"
    ).splitlines()
    text = "".join(f"{n}.webm,{row}\n" for n, row in enumerate(rows))
    caplog.set_level("WARNING")

    found = read(written(tmp_path / "list.csv", HEADER + text))

    assert found.label_map.names == ("Push up", "café", "cat", "push_up")
    assert caplog.messages == [
        f"{tmp_path}/list.csv: labels 'Push up' and 'push_up' differ by spelling alone "
        "and are classes of their own",
        f"{tmp_path}/list.csv: 1 classes have validation clips and not one training "
        "clip: 'Push up'",
    ]


def test_names_of_any_script_give_ids_that_differ(tmp_path):
    names = ["数据", "视频", "走路_001", "跑步_001", "Größe", "Grüße", "видео", "فيديو"]
    touched(tmp_path, *(f"train/类/{name}.mp4" for name in names))

    ids = {clip.clip_id for clip in read(tmp_path).clips}

    assert len(ids) == len(names)
    folded = unicodedata.normalize("NFD", "Größe")
    touched(tmp_path / "other", f"train/x/{folded}.mp4")
    (clip,) = read(tmp_path / "other").clips
    assert clip.clip_id in ids  # one id in both of Unicode's normal forms


def test_a_path_is_looked_for_in_both_normal_forms(tmp_path):
    name = unicodedata.normalize("NFD", "Größe.mp4")
    touched(tmp_path / "clips", name)
    rows = f"{HEADER}{unicodedata.normalize('NFC', name)},run,train\n"

    annotations = read(written(tmp_path / "list.csv", rows))

    listing = matching.match_clips(annotations, tmp_path / "clips")
    assert [c.uri for c in listings.clips_of(listing)] == [f"{tmp_path}/clips/{name}"]


def test_test_clips_have_the_labels_of_the_answers(tmp_path):
    written(
        tmp_path / "labels.json", json.dumps({"Rolling it": "0", "Tilting it": "1"})
    )
    rows = [{"id": "1", "template": "Rolling [it]"}]
    written(tmp_path / "train.json", json.dumps(rows))
    written(tmp_path / "validation.json", json.dumps([]))
    written(tmp_path / "test.json", json.dumps([{"id": "7"}, {"id": "8"}]))
    answers = written(tmp_path / "test-answers.csv", "7;Tilting it\n")

    found = read(tmp_path)

    assert [(c.clip_id, c.label_id) for c in found.clips] == [
        ("1", 0),
        ("7", 1),
        ("8", -1),
    ]
    written(answers, "7;Tilting it\n9;Rolling it\n")
    assert "labels of 1 clips that are not in the list of test clips; the first: 9" in (
        refusal(tmp_path)
    )
    written(answers, "7;Tilting\n")
    assert "line 1 (clip '7'): no label 'Tilting' among 2 labels" in refusal(tmp_path)
