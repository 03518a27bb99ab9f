"""Something-Something-v2 annotation files in, checked `Annotation` values out.

A folder holds `labels.json`, `train.json`, `validation.json` and, if the dataset has
test clips, `test.json`; or the same four with `something-something-v2-` in front.

    labels.json      {"Spinning something that ...": "0", ...}, in number order
    train.json       [{"id": "74225", "template": "Spinning [something] that ..."}, ...]
    validation.json  as train.json
    test.json        [{"id": "1420"}, ...]

A row's own "label" has the placeholders filled in; the label text that labels.json
numbers is the template without its square brackets. Other keys are not read.
"""

import hashlib
import json
import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from mindrecord_io.records import SPLITS, UNLABELLED, Annotation, LabelMap
from mindrecord_io.storage import files, spilled_rows
from pipelines.sources import repeats

__all__ = ["AnnotationError", "Annotations", "is_one_line", "read_annotations"]

logger = logging.getLogger(__name__)

_PREFIXES = ("something-something-v2-", "")  # the 20BN package; Qualcomm's
_ROLES = ("labels", *SPLITS)
_REQUIRED_ROLES = ("labels", "train", "validation")
_ROWS = pa.schema(
    [("clip_id", pa.string()), ("split_index", pa.int8()), ("label_id", pa.int32())]
)


class AnnotationError(ValueError):
    """An annotation file cannot be used; the message says which, where and why."""


@dataclass(frozen=True, slots=True)
class Annotations:
    """Every annotated clip of a dataset; what reads them leaves them on the disk.

    Attributes:
      label_map: label texts by label_id.
      clips: train, then validation, then test clips, each in file order; ids unique.
        To be gone through, as often as wanted.
      paths: of each clip's file below the folder of clips; () where the files are
        found by the clips' ids.
      digest: BLAKE2b-256 in hex of the label texts and of every clip's split, id and
        label_id, in order; equal for equal annotations, however they are written.
    """

    label_map: LabelMap
    clips: Sequence[Annotation]
    paths: Collection[str] = ()
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        if not self.clips:
            raise ValueError("annotations must name at least one clip")
        if self.paths and len(self.paths) != len(self.clips):
            raise ValueError(f"{len(self.paths)} paths of {len(self.clips)} clips")
        digest = _digest(self.label_map, self.clips)
        object.__setattr__(self, "digest", digest)


@dataclass(frozen=True, slots=True)
class _RepeatedKey:
    """Stands for a JSON object that gives one key two values: no dict can say that."""

    key: str
    first_value: Any
    second_value: Any

    def __str__(self) -> str:
        return f"with {_shown(self.first_value)} and {_shown(self.second_value)}"


def read_annotations(folder: Path) -> Annotations:
    """Reads and checks the annotation files of one folder.

    One file at a time is in memory, whole. Test annotations may be absent, which is
    logged. Files are UTF-8, with or without a byte order mark and with either line
    ending.

    Raises:
      AnnotationError: a file is missing, unreadable or malformed, a clip is listed
        twice, its id is no plain name, or its template has no label.
    """
    files = _find_files(folder)
    label_map = _read_label_map(files["labels"])
    spilled = spilled_rows.SpilledRows(_ROWS)
    for split_index, split in enumerate(SPLITS):
        if split in files:
            for clip in _read_split(files[split], split, label_map):
                spilled.append((clip.clip_id, split_index, clip.label_id))
    _refuse_repeated_ids(spilled, files)
    if not len(spilled):
        raise AnnotationError(f"{folder}: the annotation files list no clips")
    logger.info("read %s: %d clips, %d labels", folder, len(spilled), len(label_map))
    texts = {UNLABELLED: "", **dict(enumerate(label_map.names))}

    def annotation(clip_id: str, split_index: int, label_id: int) -> Annotation:
        return Annotation(clip_id, SPLITS[split_index], label_id, texts[label_id])

    clips = spilled_rows.SpilledView(spilled, _ROWS.names, annotation)
    return Annotations(label_map, clips)


def is_one_line(text: str) -> bool:
    """Tells whether a text can be a line of category.txt, as every label's must."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can spell
        return False
    return text.splitlines() == [text]


def _find_files(folder: Path) -> dict[str, Path]:
    """Returns the files by role, from whichever naming scheme the folder follows."""
    try:
        names = {path.name for path in folder.iterdir()}
    except OSError as cause:
        raise AnnotationError(
            f"{folder}: cannot list the folder of annotations: {cause.strerror}"
        ) from cause
    schemes = []
    for prefix in _PREFIXES:
        paths = {role: folder / f"{prefix}{role}.json" for role in _ROLES}
        schemes.append({role: p for role, p in paths.items() if p.name in names})
    published, renamed = schemes
    if published and renamed:
        raise AnnotationError(
            f"{folder}: files of both naming schemes, "
            f"{_names(published)} and {_names(renamed)}: leave only one set"
        )
    files = published or renamed
    prefix = _PREFIXES[0] if published else _PREFIXES[1]
    missing = [f"{prefix}{r}.json" for r in _REQUIRED_ROLES if r not in files]
    if missing:
        alternative = "" if files else f", nor any {_PREFIXES[0]}*.json"
        raise AnnotationError(f"{folder}: no {', no '.join(missing)}{alternative}")
    if "test" not in files:
        logger.warning("%s: no %stest.json: no test clips", folder, prefix)
    return files


def _names(files: dict[str, Path]) -> str:
    return ", ".join(path.name for path in files.values())


def _load_json(path: Path) -> Any:
    text = files.read_text(path, AnnotationError)
    try:
        return json.loads(text, object_pairs_hook=_object_from_pairs)
    except json.JSONDecodeError as cause:
        is_cut_off = (
            cause.pos >= len(cause.doc.rstrip()) or "Unterminated string" in cause.msg
        )
        problem = "JSON is cut off" if is_cut_off else "not JSON"
        raise AnnotationError(f"{path}: {problem}: {cause}") from cause
    except RecursionError as cause:
        raise AnnotationError(f"{path}: JSON is nested too deeply") from cause
    except ValueError as cause:  # a number of more digits than int accepts
        raise AnnotationError(f"{path}: not JSON: {cause}") from cause


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
            f"{path}: must be an object, label text to number, got {_shown(numbers)}"
        )
    if not numbers:
        raise AnnotationError(f"{path}: lists no labels")
    for position, (name, number) in enumerate(numbers.items()):
        _check_label(path, position, name, number)
    return LabelMap(tuple(numbers))


def _check_label(path: Path, position: int, name: str, number: Any) -> None:
    place = f"{path}: label {name!r}"
    if not (isinstance(number, str) and number.isascii() and number.isdigit()):
        raise AnnotationError(
            f"{place}: its number must be a string of digits, got {_shown(number)}"
        )
    if number != str(position):
        raise AnnotationError(
            f'{place}: must be numbered "{position}", as its place in the file, '
            f'got "{number:.80}"'
        )
    # category.txt is one label a line, so a label must be one line of valid text.
    if not is_one_line(name):
        raise AnnotationError(f"{place}: its text must be one line of valid Unicode")


def _read_split(path: Path, split: str, label_map: LabelMap) -> Iterator[Annotation]:
    rows = _load_json(path)
    if not isinstance(rows, list):
        raise AnnotationError(f"{path}: must be a list of rows, got {_shown(rows)}")
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
        raise ValueError(f"must be an object, got {_shown(row)}")
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
        raise ValueError(f"{key!r} must be a string, got {_shown(value)}")
    return value


def _refuse_repeated_ids(
    spilled: spilled_rows.SpilledRows, files: dict[str, Path]
) -> None:
    ids = spilled_rows.SpilledView(spilled, ["clip_id"], str)
    repeat = repeats.first_repeat(ids)
    if repeat is not None:
        places = [_place(spilled, position, files) for position in repeat]
        raise AnnotationError(
            f"clip {ids[repeat[0]]!r} is listed twice: {' and '.join(places)}"
        )


def _place(
    spilled: spilled_rows.SpilledRows, position: int, files: dict[str, Path]
) -> str:
    splits = spilled_rows.SpilledView(spilled, ["split_index"], int)
    split_index = splits[position]
    row_index = sum(other == split_index for other in splits[:position])
    return f"{files[SPLITS[split_index]]} row_index {row_index}"


def _shown(value: Any) -> str:
    """Says what a JSON value is; containers by kind only, as they may be huge."""
    if isinstance(value, dict | _RepeatedKey):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return json.dumps(value)[:80]


def _digest(label_map: LabelMap, clips: Collection[Annotation]) -> str:
    # Names and ids hold no line breaks, so lines cannot run into one another.
    lines = [str(len(label_map)), *label_map.names]
    digest = hashlib.blake2b("\n".join(lines).encode("utf-8"), digest_size=32)
    for clip in clips:
        line = f"\n{clip.split} {clip.clip_id} {clip.label_id}"
        digest.update(line.encode("utf-8"))
    return digest.hexdigest()
