"""Reads annotations in any supported layout; one function per layout.

The layout is recognised by what the path is or holds; no flag names it:

    a .csv or .parquet file      path, label, split (and clip_id): read_list
    *jester-v1-train.csv ...     Jester's lists, "id;label": read_jester
    folders named as splits      in each one folder per class (Kinetics): class_folders
    *labels.json, ...            Something-Something-v2: something_something

A clip is a file or, in every layout, a folder of frames.
"""

import csv
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from mindrecord_io.records import SPLITS
from mindrecord_io.storage import files
from pipelines.sources import class_folders, something_something
from pipelines.sources.annotations import AnnotationError, Annotations
from pipelines.sources.listed_clips import ListedClips, split_named

__all__ = ["read"]

_REQUIRED_COLUMNS = ("path", "label", "split")
_OPTIONAL_COLUMN = "clip_id"
_ROWS_PER_BATCH = 10_000
_JESTER = "jester-v1-"


def read(path: Path) -> Annotations:
    """Reads annotations; what the path is or holds decides how.

    Raises:
      AnnotationError: they cannot be used; the message says what, where and why.
    """
    for is_layout, read_layout in _LAYOUTS:
        if is_layout(path):
            return read_layout(path)
    if path.exists() and not path.is_dir():
        raise AnnotationError(
            f"{path}: annotations are a .csv or .parquet file, or a folder: of "
            f"Something-Something-v2's JSON files, of Jester's lists, or of "
            f"<split>/<class>/<clip>"
        )
    return something_something.read(path)


def read_list(path: Path) -> Annotations:
    """Reads a CSV (comma, with a header) or Parquet file with one row per clip.

    Its columns are `path`, below the folder of clips; `label`, a text or a number;
    `split`, train, validation (val, valid) or test; and optionally `clip_id`. Test
    clips' labels are not read. Other columns are ignored.
    """
    rows = _parquet_rows(path) if path.suffix == ".parquet" else _csv_rows(path)
    clips = ListedClips(path)
    for row, place in rows:
        split = split_named(row["split"])
        if not split:
            raise AnnotationError(
                f"{place}: split must be train, validation (val, valid) or test, got "
                f"{row['split']!r:.80}"
            )
        if not row["path"]:
            raise AnnotationError(f"{place}: no path")
        clip_id = row.get(_OPTIONAL_COLUMN, "")
        clips.add(split, row["label"], place=place, path=row["path"], clip_id=clip_id)
    return clips.annotations()


def read_jester(folder: Path) -> Annotations:
    """Reads Jester's lists: lines of `id;label`, in test of `id`; labels in a file."""
    names = [line for line, _ in _lines(folder / f"{_JESTER}labels.csv")]
    clips = ListedClips(folder)
    for split in SPLITS:
        path = folder / f"{_JESTER}{split}.csv"
        if split == "test" and not path.exists():
            continue
        for line, place in _lines(path):
            clip_id, _, label = line.partition(";")
            clips.add(split, label, place=place, clip_id=clip_id)
    return clips.annotations(names)


def _csv_rows(path: Path) -> Iterator[tuple[dict[str, str], str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _rows_of_csv(path, file)
    except OSError as cause:
        raise AnnotationError(f"{path}: cannot read: {cause.strerror}") from cause
    except UnicodeDecodeError:
        files.read_text(path, AnnotationError)  # names the byte of the whole file
        raise


def _rows_of_csv(
    path: Path, file: Iterable[str]
) -> Iterator[tuple[dict[str, str], str]]:
    reader = csv.DictReader(file, strict=True)
    try:
        _check_columns(path, reader.fieldnames or [])
        for row in reader:
            place = f"{path} line {reader.line_num}"
            if None in row or None in row.values():
                raise AnnotationError(
                    f"{place}: must have {len(reader.fieldnames or [])} values, as "
                    f"the header"
                )
            yield row, place
    except csv.Error as cause:
        line = reader.reader.line_num
        raise AnnotationError(f"{path} line {line}: {cause}") from cause


def _parquet_rows(path: Path) -> Iterator[tuple[dict[str, str], str]]:
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            columns = file.schema_arrow.names
            _check_columns(path, columns)
            wanted = [*_REQUIRED_COLUMNS, *({_OPTIONAL_COLUMN} & set(columns))]
            for batch in file.iter_batches(_ROWS_PER_BATCH, columns=wanted):
                for row in batch.to_pylist():
                    texts = {k: "" if v is None else str(v) for k, v in row.items()}
                    yield texts, f"{path} row_index {number}"
                    number += 1
    except (OSError, UnicodeDecodeError, pa.ArrowException) as cause:
        raise AnnotationError(f"{path}: cannot be read as Parquet: {cause}") from cause


def _check_columns(path: Path, columns: Iterable[str]) -> None:
    missing = [name for name in _REQUIRED_COLUMNS if name not in columns]
    if missing:
        raise AnnotationError(
            f"{path}: no column {', no '.join(missing)} among {list(columns)[:8]}"
        )


def _lines(path: Path) -> list[tuple[str, str]]:
    """Returns the lines of a text file that are not empty, each with its place."""
    text = files.read_text(path, AnnotationError)
    return [
        (line.strip(), f"{path} line {number}")
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip()
    ]


def _is_list(path: Path) -> bool:
    return path.suffix in (".csv", ".parquet") and not path.is_dir()


def _is_jester(path: Path) -> bool:
    return (path / f"{_JESTER}labels.csv").exists()


_LAYOUTS: tuple[
    tuple[Callable[[Path], bool], Callable[[Path], Annotations]],
    ...,
] = (
    (_is_list, read_list),
    (_is_jester, read_jester),
    (class_folders.is_layout_of, class_folders.read),
)
