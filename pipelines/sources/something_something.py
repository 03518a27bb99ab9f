"""Reads the annotation files of Something-Something-v2.

A folder holds `labels.json`, `train.json`, `validation.json` and, if the dataset has
test clips, `test.json`; or the same four with `something-something-v2-` in front.

    labels.json      {"Spinning something that ...": "0", ...}, in number order
    train.json       [{"id": "74225", "template": "Spinning [something] that ..."}, ...]
    validation.json  as train.json
    test.json        [{"id": "1420"}, ...]
    test-answers.csv 1420;Spinning something that ...

A row's own "label" has the placeholders filled in; the label text that labels.json
numbers is the template without its square brackets. Other keys are not read. Test clips
have the labels of test-answers.csv where that file is there, else none.
"""

import bisect
import collections
import itertools
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindrecord_io import json_values
from mindrecord_io.records import SPLITS, UNLABELLED, Annotation, LabelMap
from mindrecord_io.storage import files
from pipelines.sources import text_lines
from pipelines.sources.annotations import (
    AnnotationError,
    Annotations,
    fault_of_label,
    first_repeat,
)
from pipelines.sources.choices import Choices
from pipelines.sources.layouts import Layout

__all__ = ["LAYOUT", "read"]

logger = logging.getLogger(__name__)

_PREFIXES = ("something-something-v2-", "")  # the 20BN package; Qualcomm's
_ROLES = ("labels", *SPLITS)
_ANSWERS = "test-answers.csv"
_REQUIRED_ROLES = ("labels", "train", "validation")


@dataclass(frozen=True, slots=True)
class _RepeatedKey:
    """A JSON object that has one key twice, which no dict can hold."""

    key: str
    first_value: Any
    second_value: Any

    def __str__(self) -> str:
        return f"with {_describe(self.first_value)} and {_describe(self.second_value)}"


def read(folder: Path) -> Annotations:
    """Reads and checks the annotation files of one folder.

    One file at a time is in memory, whole. Test annotations may be absent, which is
    logged. Files are UTF-8, with or without a byte order mark and with either line
    ending.

    Raises:
      AnnotationError: a file is missing, unreadable or malformed, a clip is listed
        twice, its id is no plain name, or its template has no label.
    """
    paths = _find_files(folder)
    label_map = _read_label_map(paths["labels"])
    answers = _read_answers(folder, label_map) if "test" in paths else {}
    num_clips: collections.Counter[str] = collections.Counter()

    def clips() -> Iterator[Annotation]:
        for split in SPLITS:
            if split in paths:
                for clip in _read_split(paths[split], split, label_map):
                    num_clips[split] += 1
                    yield answers.pop(clip.clip_id, clip) if split == "test" else clip
        if not num_clips:
            raise AnnotationError(f"{folder}: the annotation files list no clips")

    annotations = Annotations(label_map, clips())
    if answers:
        raise AnnotationError(
            f"{folder}: {_ANSWERS} has labels of {len(answers)} clips that are not in "
            f"the list of test clips; the first: {next(iter(answers))}"
        )
    _refuse_repeated_ids(annotations, paths, [num_clips[split] for split in SPLITS])
    logger.info(
        "read %s: %d clips, %d labels", folder, num_clips.total(), len(label_map)
    )
    return annotations


def _is_layout_of(path: Path) -> bool:
    return path.is_dir() and any(
        (path / f"{prefix}{role}.json").exists()
        for prefix in _PREFIXES
        for role in _ROLES
    )


def _read_answers(folder: Path, label_map: LabelMap) -> dict[str, Annotation]:
    """Returns the labelled test clips by id; none where no file has their labels."""
    paths = (folder / f"{prefix}{_ANSWERS}" for prefix in _PREFIXES)
    path = next((path for path in paths if path.exists()), None)
    answers: dict[str, Annotation] = {}
    for line, place in text_lines.lines(path) if path else ():
        clip_id, _, label = line.partition(";")
        label = label.replace("[", "").replace("]", "")
        try:
            label_id = label_map.label_id(label)
            answer = Annotation(clip_id, "test", label_id, label)
        except ValueError as cause:
            raise AnnotationError(f"{place} (clip {clip_id!r:.80}): {cause}") from cause
        if answers.setdefault(clip_id, answer) != answer:
            raise AnnotationError(f"{place}: clip {clip_id!r} has another label above")
    if path:
        logger.info("%s: labels of %d test clips", path, len(answers))
    return answers


def _find_files(folder: Path) -> dict[str, Path]:
    """Returns the files by role, in whichever of the two naming schemes is there."""
    try:
        names = {path.name for path in folder.iterdir()}
    except OSError as cause:
        raise AnnotationError(
            f"{folder}: cannot list the folder of annotations: {cause.strerror}"
        ) from cause
    schemes = []
    for prefix in _PREFIXES:
        by_role = {role: folder / f"{prefix}{role}.json" for role in _ROLES}
        schemes.append({role: p for role, p in by_role.items() if p.name in names})
    published, renamed = schemes
    if published and renamed:
        raise AnnotationError(
            f"{folder}: files of both naming schemes, "
            f"{_names(published)} and {_names(renamed)}: leave only one set"
        )
    paths = published or renamed
    prefix = _PREFIXES[0] if published else _PREFIXES[1]
    missing = [f"{prefix}{r}.json" for r in _REQUIRED_ROLES if r not in paths]
    if missing:
        alternative = "" if paths else f", nor any {_PREFIXES[0]}*.json"
        raise AnnotationError(f"{folder}: no {', no '.join(missing)}{alternative}")
    if "test" not in paths:
        logger.warning("%s: no %stest.json: no test clips", folder, prefix)
    return paths


def _names(paths: dict[str, Path]) -> str:
    return ", ".join(path.name for path in paths.values())


def _load_json(path: Path) -> Any:
    text = files.read_text(path, AnnotationError)
    try:
        return json_values.parse(text, _object_from_pairs)
    except json.JSONDecodeError as cause:
        is_cut_off = (
            cause.pos >= len(cause.doc.rstrip()) or "Unterminated string" in cause.msg
        )
        problem = "JSON is cut off" if is_cut_off else "not JSON"
        raise AnnotationError(f"{path}: {problem}: {cause}") from cause
    except ValueError as cause:
        raise AnnotationError(f"{path}: {cause}") from cause


def _object_from_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _RepeatedKey:
    fields = dict(pairs)
    if len(fields) == len(pairs):
        return fields
    first_values: dict[str, Any] = {}
    for key, value in pairs:
        if key in first_values:
            return _RepeatedKey(key, first_values[key], value)
        first_values[key] = value
    raise AssertionError("a shorter dict has a repeated key")


def _read_label_map(path: Path) -> LabelMap:
    numbers = _load_json(path)
    if isinstance(numbers, _RepeatedKey):
        raise AnnotationError(
            f"{path}: label {numbers.key!r} is listed twice, {numbers}"
        )
    if not isinstance(numbers, dict):
        raise AnnotationError(
            f"{path}: must be an object, label text to number, got {_describe(numbers)}"
        )
    if not numbers:
        raise AnnotationError(f"{path}: lists no labels")
    for position, (name, number) in enumerate(numbers.items()):
        _check_label(path, position, name, number)
    return LabelMap(tuple(numbers))


def _check_label(path: Path, position: int, name: str, number: Any) -> None:
    place = f"{path}: label {name!r:.80}"
    if not (isinstance(number, str) and number.isascii() and number.isdigit()):
        raise AnnotationError(
            f"{place}: its number must be a string of digits, got {_describe(number)}"
        )
    if number != str(position):
        raise AnnotationError(
            f'{place}: must be numbered "{position}", as its place in the file, '
            f'got "{number:.80}"'
        )
    if why := fault_of_label(name):
        raise AnnotationError(f"{place}: its text {why}")


def _read_split(path: Path, split: str, label_map: LabelMap) -> Iterator[Annotation]:
    rows = _load_json(path)
    if not isinstance(rows, list):
        raise AnnotationError(f"{path}: must be a list of rows, got {_describe(rows)}")
    label_ids: dict[str, int] = {}  # by template: each is looked up once
    for row_index, row in enumerate(rows):
        try:
            yield _read_row(row, split, label_map, label_ids)
        except ValueError as cause:
            clip_id = row.get("id") if isinstance(row, dict) else None
            clip = f" (clip {clip_id!r:.80})" if isinstance(clip_id, str) else ""
            raise AnnotationError(
                f"{path}: row_index {row_index}{clip}: {cause}"
            ) from cause


def _read_row(
    row: Any, split: str, label_map: LabelMap, label_ids: dict[str, int]
) -> Annotation:
    if isinstance(row, _RepeatedKey):
        raise ValueError(f"key {row.key!r} is given twice, {row}")
    if not isinstance(row, dict):
        raise ValueError(f"must be an object, got {_describe(row)}")
    clip_id = _text_of(row, "id")
    if split == "test":
        return Annotation(clip_id, split, UNLABELLED, "")
    template = _text_of(row, "template")
    if template not in label_ids:
        label = template.replace("[", "").replace("]", "")
        label_ids[template] = label_map.label_id(label)
    label_id = label_ids[template]
    return Annotation(clip_id, split, label_id, label_map.names[label_id])


def _text_of(row: dict[str, Any], key: str) -> str:
    if key not in row:
        raise ValueError(f"no {key!r} among its keys {sorted(row)[:8]}")
    value = row[key]
    if not isinstance(value, str):
        raise ValueError(f"{key!r} must be a string, got {_describe(value)}")
    return value


def _refuse_repeated_ids(
    annotations: Annotations, paths: dict[str, Path], num_clips: list[int]
) -> None:
    repeat = first_repeat(annotations.clip_ids)
    if repeat is None:
        return
    begins = [0, *itertools.accumulate(num_clips)]
    places = []
    for position in repeat:
        split_index = bisect.bisect_right(begins, position) - 1
        row_index = position - begins[split_index]
        places.append(f"{paths[SPLITS[split_index]]} row_index {row_index}")
    raise AnnotationError(
        f"clip {annotations.clip_ids[repeat[0]]!r} is listed twice: "
        f"{' and '.join(places)}"
    )


def _describe(value: Any) -> str:
    """Returns a JSON value as text; containers by kind only, as they may be huge."""
    if isinstance(value, dict | _RepeatedKey):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return json.dumps(value)[:80]


def _read(path: Path, choices: Choices) -> Annotations:
    del choices  # there is nothing to choose
    return read(path)


LAYOUT = Layout(
    annotations="Something-Something-v2's JSON files, of either naming "
    "(`something-something-v2-train.json`, `train.json`), and `test-answers.csv` if it "
    "is there",
    clips="`<id>.webm`",
    is_layout_of=_is_layout_of,
    read=_read,
)
