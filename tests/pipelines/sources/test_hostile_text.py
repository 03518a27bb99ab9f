"""Labels and numbers that no honest file has: one sentence with file and place."""

import json

import pyarrow as pa
import pytest
from pyarrow import parquet

from pipelines.sources import annotation_readers
from pipelines.sources.annotations import AnnotationError

LABELS = {
    "an escape": ("\x1b[31mred", r"must be without control characters, has '\x1b'"),
    "a null": ("re\0d", r"must be without control characters, has '\x00'"),
    "10 MB": ("x" * 10_000_000, "must have at most 1000 characters, has 10000000"),
    "two lines": ("re\u2028d", "must be one line of valid Unicode"),
    "5,000 digits": ("9" * 5000, "must have at most 1000 characters, has 5000"),
}


def package(folder, label):
    """Something-Something-v2's files, the label in its labels.json."""
    for role, content in (
        ("labels", {"good": "0", label: "1"}),
        ("train", [{"id": "1", "template": "good"}]),
        ("validation", [{"id": "2", "template": "good"}]),
    ):
        (folder / f"{role}.json").write_text(json.dumps(content))
    return folder, f"{folder}/labels.json: label "


def template(folder, label):
    """The same, the label as the template of a clip."""
    package(folder, "bad")
    rows = [{"id": "1", "template": "good"}, {"id": "3", "template": label}]
    (folder / "train.json").write_text(json.dumps(rows))
    return folder, f"{folder}/train.json: row_index 1 (clip '3'): "


def table(folder, label):
    path = folder / "clips.parquet"
    columns = {"path": ["1.webm", "2.webm"], "split": ["train", "train"]}
    parquet.write_table(pa.table(columns | {"label": ["good", label]}), path)
    return path, f"{path} row_index 1: "


def names(folder, label):
    """A list of label_ids beside the classes' names, which one is not used of."""
    (folder / "train.txt").write_text("a/1.mp4 0\na/2.mp4 0\n")
    (folder / "val.txt").write_text("a/3.mp4 0\n")
    (folder / "category.txt").write_text(f"good\n{label}\n")
    return folder, str(folder)


def vocabulary(folder, label):
    for split in ("train", "test"):
        rows = [{"vid_name": split, "label": 0}]
        (folder / f"Diving48_V2_{split}.json").write_text(json.dumps(rows))
    (folder / "Diving48_vocab.json").write_text(json.dumps(["good", label]))
    return folder, f"{folder}: the text of label 1 "


def refusal(path):
    with pytest.raises(AnnotationError) as raised:
        annotation_readers.read(path)
    text = str(raised.value)
    assert len(text) < 1000
    assert text.isprintable()
    return text


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("write", [package, table, vocabulary])
def test_a_label_that_no_terminal_should_show_is_refused(tmp_path, write, name):
    label, expected = LABELS[name]
    path, place = write(tmp_path, label)
    text = refusal(path)
    assert text.startswith(place)
    assert expected in text


@pytest.mark.parametrize("name", LABELS)
def test_a_template_of_no_label_is_cut_short(tmp_path, name):
    path, place = template(tmp_path, LABELS[name][0])
    assert refusal(path).startswith(f"{place}no label ")


@pytest.mark.parametrize("name", ["an escape", "a null", "10 MB", "5,000 digits"])
def test_a_list_of_classes_is_held_to_the_same(tmp_path, name):
    path, place = names(tmp_path, LABELS[name][0])
    assert refusal(path).startswith(place)


LONG = "9" * 5000
CSV = {"val.csv": "path,label\nz.mp4,0\n"}
TXT = {"val.txt": "a/9.mp4 0\n"}
DIVING = {"Diving48_V2_test.json": '[{"vid_name": "z", "label": 0}]'}


@pytest.mark.parametrize(
    ("files", "place"),
    [
        (
            CSV | {"train.csv": f"path,label\na.mp4,{LONG}\n"},
            "train.csv line 2: a train clip needs a label",
        ),
        (
            CSV | {"train.csv": f"path,label\na.mp4,0\nb.mp4,{'9' * 900}\n"},
            ": labels are numbers, so they must be at most 65535, got 9999",
        ),
        (
            TXT
            | {"train.txt": f"a/1.mp4 0\na/2.mp4 {LONG}\n", "category.txt": "good\n"},
            "train.txt line 2: label 9999",
        ),
        (
            TXT | {"train.txt": f"a/1.mp4 0\na/2.mp4 {LONG}\n"},
            "train.txt line 2: a train clip",
        ),
        (
            TXT | {"train.txt": "a/1.mp4 0\n" + " " * 100_000 + "\n"},
            "train.txt line 2: has 100001 characters, at most 8192",
        ),
        (
            DIVING
            | {"Diving48_V2_train.json": f'[{{"vid_name": "a",\n"label": {LONG}}}]'},
            "Diving48_V2_train.json: not JSON: a number has 5000 digits, more than "
            "4300: line 2 column 10 (char 28)",
        ),
        (
            DIVING
            | {
                "Diving48_V2_train.json": f'[{{"vid_name": "a", "label": "{LONG}"}}]',
                "Diving48_vocab.json": '["good"]',
            },
            "Diving48_V2_train.json row_index 0: label must be a number below 1",
        ),
        (
            {
                "classInd.txt": f"1 good\n{LONG} bad\n",
                "trainlist01.txt": "good/a.avi 1\n",
                "testlist01.txt": "good/b.avi\n",
            },
            "classInd.txt line 2: must be 2 and a class",
        ),
        (
            {
                "classInd.txt": "1 good\n",
                "trainlist01.txt": f"good/a.avi {LONG}\n",
                "testlist01.txt": "good/b.avi\n",
            },
            "trainlist01.txt line 1: classInd.txt does not number 'good'",
        ),
    ],
)
def test_a_number_of_too_many_digits_is_named_with_its_place(tmp_path, files, place):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert place in refusal(tmp_path)


def test_a_table_may_have_any_metadata(tmp_path):
    """As pandas writes it, and as nobody does: it is not looked at."""
    path = tmp_path / "clips.parquet"
    rows = {"path": ["1.mp4"], "split": ["train"], "label": ["good"]}
    metadata = {"pandas": f'{{"index_columns": [{LONG}]}}', "\x1b": "[" * 100_000}
    parquet.write_table(pa.table(rows).replace_schema_metadata(metadata), path)
    assert len(annotation_readers.read(path).clips) == 1
