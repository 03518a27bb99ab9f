"""Reads Diving48's lists, JSON or CSV: rows of `vid_name` and `label`.

Its test list has labels and is what others validate by: its clips are of validation.
`Diving48_vocab.json`, where it is there, has the classes' names, by number.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mindrecord_io import json_values
from mindrecord_io.storage import files
from pipelines.sources import label_numbers, split_lists, table_rows
from pipelines.sources.annotations import AnnotationError, Annotations
from pipelines.sources.choices import Choices
from pipelines.sources.layouts import Layout
from pipelines.sources.listed_clips import ListedClips, id_of

__all__ = ["LAYOUT"]

_VOCABULARY = "Diving48_vocab.json"
_COLUMNS = ("vid_name", "label")


def _is_list(path: Path) -> bool:
    if path.suffix.lower() == ".json":
        return path.name.lower().startswith("diving48")
    return table_rows.is_table(path) and set(_COLUMNS) <= set(
        table_rows.header(path, _COLUMNS)
    )


def _is_layout_of(path: Path) -> bool:
    return split_lists.has_lists(path, _is_list)


def _read(folder: Path, choices: Choices) -> Annotations:
    clips = ListedClips(folder, choices.clips)
    vocabulary = folder / _VOCABULARY
    names = [_name(item) for item in _list(vocabulary)] if vocabulary.exists() else None
    for split, path in split_lists.by_split(folder, _is_list).items():
        is_json = path.suffix.lower() == ".json"
        for row, place in _json_rows(path) if is_json else _table_rows(path):
            clips.add(
                "train" if split == "train" else "validation",
                row["label"] if names is None else _named(row["label"], names, place),
                place=place,
                clip_id=id_of(f"{row['vid_name']}.mp4"),
            )
    return clips.annotations(names, is_deep=True)


def _table_rows(path: Path) -> Iterator[tuple[Mapping[str, str], str]]:
    return table_rows.rows(path, _COLUMNS)


def _json_rows(path: Path) -> Iterator[tuple[Mapping[str, str], str]]:
    for index, row in enumerate(_list(path)):
        place = f"{path} row_index {index}"
        if not isinstance(row, dict) or not set(_COLUMNS) <= row.keys():
            raise AnnotationError(f"{place}: must have 'vid_name' and 'label'")
        yield {name: str(row[name]) for name in _COLUMNS}, place


def _named(label: str, names: Sequence[str], place: str) -> str:
    is_number = label.isascii() and label.isdigit()
    number = label_numbers.number_of(label) if is_number else len(names)
    if number >= len(names):
        raise AnnotationError(
            f"{place}: label must be a number below {len(names)}, the classes of "
            f"{_VOCABULARY}, got {label:.80}"
        )
    return names[number]


def _list(path: Path) -> list[Any]:
    text = files.read_text(path, AnnotationError)
    try:
        rows = json_values.parse(text)
    except ValueError as cause:
        raise AnnotationError(f"{path}: not JSON: {cause}") from cause
    if not isinstance(rows, list):
        raise AnnotationError(f"{path}: must be a list")
    return rows


def _name(item: Any) -> str:
    return " ".join(map(str, item)) if isinstance(item, list) else str(item)


LAYOUT = Layout(
    annotations="Diving48's `Diving48_V2_{train,test}.json` and "
    "`Diving48_vocab.json`, or CSV files with columns `vid_name` and `label`; test "
    "clips become validation clips",
    clips="`<vid_name>.mp4`, ..., in any folder",
    is_layout_of=_is_layout_of,
    read=_read,
)
