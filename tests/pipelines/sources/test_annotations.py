import json

import pytest

from mindrecord_io.records import Annotation, LabelMap
from pipelines.sources import annotations, something_something
from pipelines.sources.annotations import Annotations
from tests.annotation_folder import LABELS, SPINNING, TRAIN, VALIDATION, write_folder


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], None),
        (["a"], None),
        (["a", "b", "c"], None),
        (["a", "b", "a"], (0, 2)),
        (["a", "b", "b", "a"], (1, 2)),
        (["a", "b", "c", "a", "a", "c"], (0, 3)),
        (["", "", "a"], None),
        (["", "x", "", "x"], (1, 3)),
    ],
)
def test_the_first_repeat_is_named_by_both_positions(texts, expected):
    assert annotations.first_repeat(texts) == expected


def test_equal_hashes_alone_are_no_repeat(monkeypatch):
    monkeypatch.setattr(annotations, "_hash", lambda text: 7)
    assert annotations.first_repeat(["a", "b", "c"]) is None
    assert annotations.first_repeat(["a", "b", "a"]) == (0, 2)


def test_a_repeat_among_many_is_found():
    texts = [str(n) for n in range(20_000)]
    assert annotations.first_repeat(texts) is None
    assert annotations.first_repeat([*texts, "777"]) == (777, 20_000)


def digest_of(folder, **changed):
    folder.mkdir()
    return something_something.read(write_folder(folder, **changed)).digest


def test_digest_ignores_how_the_annotations_are_written(tmp_path):
    pretty = json.dumps(TRAIN, indent=4).replace("\n", "\r\n")

    assert digest_of(tmp_path / "a") == digest_of(tmp_path / "b", train=pretty)


def test_digest_changes_with_whatever_the_label_files_depend_on(tmp_path):
    renamed = {"Approaching a thing": "0"} | dict(list(LABELS.items())[1:])
    swapped = [TRAIN[0], TRAIN[1] | {"template": SPINNING}]
    changes = [
        {},
        {"labels": LABELS | {"Zooming": "3"}},
        {"labels": renamed, "validation": []},
        {"validation": []},
        {"train": swapped},
        {"train": TRAIN[::-1]},
        {"train": [TRAIN[0]], "validation": [TRAIN[1], *VALIDATION]},
        {"test": [{"id": "1421"}, {"id": "3"}]},
        {"test": None},
    ]

    digests = [
        digest_of(tmp_path / str(index), **changed)
        for index, changed in enumerate(changes)
    ]

    assert len(set(digests)) == len(changes)


def test_digest_is_stable_across_releases():
    result = Annotations(LabelMap(("a", "b")), (Annotation("5", "train", 1, "b"),))

    # printf '2\na\nb\ntrain 5 1' | b2sum -l 256
    assert (
        result.digest
        == "eb7ece07b38a9e8194f142e5e01f890cf63c4a55a16fcab9a763f848f5a83c88"
    )
