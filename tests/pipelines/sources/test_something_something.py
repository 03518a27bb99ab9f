import json
import logging
import re

import pytest

from mindrecord_io.records import UNLABELLED, Annotation, LabelMap
from pipelines.sources import something_something
from pipelines.sources.annotations import AnnotationError, Annotations
from tests.annotation_folder import (
    NAMES,
    POURING,
    SPINNING,
    TRAIN,
    VALIDATION,
    write_folder,
)


def with_row(row):
    return [*TRAIN, row]


@pytest.mark.parametrize("prefix", ["", "something-something-v2-"])
def test_reads_splits_in_order_under_both_naming_schemes(tmp_path, prefix):
    result = something_something.read(write_folder(tmp_path, prefix))

    assert result.label_map == LabelMap(NAMES)
    assert result.clips == (
        Annotation("74225", "train", 2, NAMES[2]),
        Annotation("78687", "train", 1, NAMES[1]),
        Annotation("9", "validation", 0, NAMES[0]),
        Annotation("1420", "test", UNLABELLED, ""),
        Annotation("3", "test", UNLABELLED, ""),
    )


def test_labels_and_templates_of_test_rows_are_not_read(tmp_path):
    rows = [{"id": "1420", "template": "No [such] label", "label": 7}]

    result = something_something.read(write_folder(tmp_path, test=rows))

    assert result.clips[-1] == Annotation("1420", "test", UNLABELLED, "")


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.encode("utf-8-sig"),
        lambda text: (text + "\n\n").encode(),
    ],
    ids=["crlf", "byte order mark", "trailing newlines"],
)
def test_reads_any_utf8_file(tmp_path, encode):
    names = {"Wärmen von something": "0"}
    rows = [{"id": "5", "template": "Wärmen von [something]"}]
    texts = {
        role: encode(json.dumps(value, indent=1, ensure_ascii=False))
        for role, value in {"labels": names, "train": rows, "validation": []}.items()
    }

    result = something_something.read(write_folder(tmp_path, **texts))

    assert result.clips[0] == Annotation("5", "train", 0, "Wärmen von something")


def test_test_annotations_are_optional_and_their_absence_is_logged(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        result = something_something.read(write_folder(tmp_path, test=None))

    assert [clip.split for clip in result.clips] == ["train", "train", "validation"]
    assert caplog.messages == [f"{tmp_path}: no test.json: no test clips"]


@pytest.mark.parametrize(
    ("present", "message"),
    [
        (
            [],
            "no labels.json, no train.json, no validation.json, "
            "nor any something-something-v2-*.json",
        ),
        (["labels.json", "train.json"], "no validation.json"),
        (
            ["something-something-v2-train.json"],
            "no something-something-v2-labels.json, "
            "no something-something-v2-validation.json",
        ),
        (
            ["labels.json", "test.json", "something-something-v2-train.json"],
            "files of both naming schemes, something-something-v2-train.json "
            "and labels.json, test.json: leave only one set",
        ),
    ],
)
def test_says_which_files_are_missing_or_too_many(tmp_path, present, message):
    for name in present:
        (tmp_path / name).write_text("[]")

    with pytest.raises(AnnotationError) as error:
        something_something.read(tmp_path)

    assert str(error.value) == f"{tmp_path}: {message}"


@pytest.mark.parametrize(
    ("name", "reason"),
    [("absent", "No such file or directory"), ("file", "Not a directory")],
)
def test_says_that_the_folder_cannot_be_listed(tmp_path, name, reason):
    (tmp_path / "file").write_text("")

    with pytest.raises(AnnotationError) as error:
        something_something.read(tmp_path / name)

    assert str(error.value) == (
        f"{tmp_path / name}: cannot list the folder of annotations: {reason}"
    )


def test_says_that_a_file_cannot_be_read(tmp_path):
    write_folder(tmp_path, train=None)
    (tmp_path / "train.json").mkdir()

    with pytest.raises(AnnotationError, match=r"train\.json: cannot read: Is a direct"):
        something_something.read(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "JSON is cut off: Expecting value: line 1 column 1 (char 0)"),
        ('[{"id": "1"', "JSON is cut off: Expecting ',' delimiter: line 1 column 12"),
        ('[{"id": "1", "temp', "JSON is cut off: Unterminated string starting at:"),
        ('[{"id": "1"},\n', "JSON is cut off: Expecting value: line 2 column 1"),
        ("[{'id': 1}]", "not JSON: Expecting property name enclosed in double quotes"),
        ("[] []", "not JSON: Extra data: line 1 column 4 (char 3)"),
        (
            "[" + "9" * 5000 + "]",
            "not JSON: a number has 5000 digits, more than 4300: line 1 column 2",
        ),
        ("[" * 100_000, "JSON is nested too deeply"),
        ("[" * 100_000 + "]" * 100_000, "JSON is nested too deeply"),
        ('{"id":' * 100_000, "JSON is nested too deeply"),
        (b"[\xff]", "not UTF-8 text: invalid start byte at byte 1"),
        ("[]".encode("utf-16"), "not UTF-8 text: invalid start byte at byte 0"),
        ({"id": "1"}, "must be a list of rows, got an object"),
        ('{"id": "1", "id": "2"}', "must be a list of rows, got an object"),
        ("7", "must be a list of rows, got 7"),
        ("null", "must be a list of rows, got null"),
    ],
)
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_refuses_a_split_file_that_is_no_list_of_rows(
    tmp_path, split, content, message
):
    write_folder(tmp_path, **{split: content})

    with pytest.raises(AnnotationError) as error:
        something_something.read(tmp_path)

    assert str(error.value).startswith(f"{tmp_path / split}.json: {message}")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["5", SPINNING], ": must be an object, got a list"),
        ("5", ': must be an object, got "5"'),
        (None, ": must be an object, got null"),
        ({}, ": no 'id' among its keys []"),
        ({"template": SPINNING}, ": no 'id' among its keys ['template']"),
        ({"id": 5, "template": SPINNING}, ": 'id' must be a string, got 5"),
        ({"id": None, "template": SPINNING}, ": 'id' must be a string, got null"),
        ({"id": ["5"], "template": SPINNING}, ": 'id' must be a string, got a list"),
        (
            {"id": "5", "label": "x"},
            " (clip '5'): no 'template' among its keys ['id', ",
        ),
        (
            {"id": "5", "template": 1.5},
            " (clip '5'): 'template' must be a string, got 1.5",
        ),
        (
            {"id": "5", "template": "Spinning [thing] that quickly stops spinning"},
            " (clip '5'): no label 'Spinning thing that quickly stops spinning' "
            "among 3 labels; nearest: "
            "['Spinning something that quickly stops spinning'",
        ),
        (
            {"id": "", "template": SPINNING},
            " (clip ''): clip id must be letters, digits, '.', '_' or '-'",
        ),
        (
            {"id": "../5", "template": SPINNING},
            " (clip '../5'): clip id must be letters, digits, '.', '_' or '-' "
            "and not start with '.' or '-', got '../5'",
        ),
        (
            {"id": "1" * 201, "template": SPINNING},
            f" (clip '{'1' * 79}): clip id is 201 characters long, the limit is 200",
        ),
    ],
)
def test_refuses_a_bad_row_naming_file_row_and_clip(tmp_path, row, message):
    write_folder(tmp_path, train=with_row(row))

    with pytest.raises(AnnotationError) as error:
        something_something.read(tmp_path)

    assert str(error.value).startswith(f"{tmp_path}/train.json: row_index 2{message}")


@pytest.mark.parametrize(
    "clip_id", [".", "..", "a/b", "a\\b", "1\0", "1\n", "1 2", "é"]
)
def test_refuses_ids_that_are_no_plain_names_in_every_split(tmp_path, clip_id):
    write_folder(tmp_path, test=[{"id": clip_id}])

    with pytest.raises(AnnotationError) as error:
        something_something.read(tmp_path)

    assert f"row_index 0 (clip {clip_id!r}): clip id must be" in str(error.value)


def test_refuses_a_row_with_a_repeated_key(tmp_path):
    text = '[{"id": "5", "id": "6", "template": "x"}]'
    write_folder(tmp_path, validation=text)

    message = (
        f"{tmp_path}/validation.json: row_index 0: key 'id' is given twice, "
        f'with "5" and "6"'
    )
    with pytest.raises(AnnotationError, match=f"^{re.escape(message)}$"):
        something_something.read(tmp_path)


def test_repeated_keys_in_values_that_are_not_read_do_no_harm(tmp_path):
    text = '[{"id": "1420", "placeholders": {"a": 1, "a": 2}}]'

    result = something_something.read(write_folder(tmp_path, test=text))

    assert result.clips[-1].clip_id == "1420"


@pytest.mark.parametrize(
    ("changed", "first", "second"),
    [
        (
            {"train": with_row(TRAIN[0])},
            "train.json row_index 0",
            "train.json row_index 2",
        ),
        (
            {"validation": [*VALIDATION, TRAIN[1]]},
            "train.json row_index 1",
            "validation.json row_index 1",
        ),
        (
            {"test": [{"id": "3"}, {"id": "9"}]},
            "validation.json row_index 0",
            "test.json row_index 1",
        ),
    ],
)
def test_refuses_an_id_listed_twice_naming_both_places(
    tmp_path, changed, first, second
):
    write_folder(tmp_path, **changed)

    with pytest.raises(AnnotationError) as error:
        something_something.read(tmp_path)

    text = str(error.value)
    assert text.endswith(f"is listed twice: {tmp_path}/{first} and {tmp_path}/{second}")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", "b"], ": must be an object, label text to number, got a list"),
        ({}, ": lists no labels"),
        ({"a": 0}, ": label 'a': its number must be a string of digits, got 0"),
        ({"a": "x"}, ": label 'a': its number must be a string of digits, got \"x\""),
        ({"a": "-1"}, ": label 'a': its number must be a string of digits, got \"-1\""),
        ({"a": ""}, ": label 'a': its number must be a string of digits, got \"\""),
        (
            {"a": "\N{ARABIC-INDIC DIGIT ZERO}"},
            ": label 'a': its number must be a string of digits, got ",
        ),
        ({"a": {"n": 0}}, ": label 'a': its number must be a string of digits, got an"),
        (
            {"a": "1", "b": "0"},
            ': label \'a\': must be numbered "0", as its place in the file, got "1"',
        ),
        (
            {"a": "0", "b": "0"},
            ': label \'b\': must be numbered "1", as its place in the file, got "0"',
        ),
        ({"a": "0", "b": "2"}, ": label 'b': must be numbered \"1\""),
        ({"a": "00"}, ": label 'a': must be numbered \"0\""),
        (
            '{"a": "0", "b": "1", "a": "2"}',
            ": label 'a' is listed twice, with \"0\" and",
        ),
        ({"": "0"}, ": label '': its text must be one line of valid Unicode"),
        ({"a\nb": "0"}, ": label 'a\\nb': its text must be one line of valid Unicode"),
        ({"a\r": "0"}, ": label 'a\\r': its text must be one line of valid Unicode"),
        ({"\ud800": "0"}, ": label '\\ud800': its text must be one line of valid Uni"),
        ('{"a": "0"', ": JSON is cut off: Expecting ',' delimiter: line 1 column 10"),
    ],
)
def test_refuses_bad_labels(tmp_path, labels, message):
    write_folder(tmp_path, labels=labels)

    with pytest.raises(AnnotationError) as error:
        something_something.read(tmp_path)

    assert str(error.value).startswith(f"{tmp_path}/labels.json{message}")


def test_refuses_annotations_without_clips(tmp_path):
    write_folder(tmp_path, train=[], validation=[], test=None)

    with pytest.raises(AnnotationError, match=r"list no clips$"):
        something_something.read(tmp_path)
    with pytest.raises(ValueError, match="must name at least one clip"):
        Annotations(LabelMap(("a",)), ())


def test_reads_many_rows_and_looks_each_template_up_once(tmp_path, monkeypatch):
    num_clips = 20_000
    templates = [SPINNING, POURING]
    rows = [{"id": str(i), "template": templates[i % 2]} for i in range(num_clips)]
    write_folder(tmp_path, train=rows, validation=[], test=[])
    looked_up = []
    label_id = LabelMap.label_id
    monkeypatch.setattr(
        something_something.LabelMap,
        "label_id",
        lambda self, name: looked_up.append(name) or label_id(self, name),
    )

    result = something_something.read(tmp_path)

    assert [clip.clip_id for clip in result.clips] == [str(i) for i in range(num_clips)]
    assert [clip.label_id for clip in result.clips[:3]] == [2, 1, 2]
    assert len(looked_up) == 2
