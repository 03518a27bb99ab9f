"""Reads tables of clips row by row: CSV with a header, and Parquet.

The separator of a CSV is the one of `,`, `;`, tab, `|` and space by which its header
has the columns that are wanted.
"""

import csv
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from mindrecord_io.storage import files
from pipelines.sources import text_lines
from pipelines.sources.annotations import AnnotationError, LayoutError

__all__ = ["SUFFIXES", "header", "is_table", "rows"]

SUFFIXES = (".csv", ".tsv", ".parquet")

_PARQUET = ".parquet"
_SEPARATORS = ",;\t| "
_ROWS_PER_BATCH = 10_000
_MAX_COLUMNS_NAMED = 8


def is_table(path: Path) -> bool:
    """Returns whether a path is named as a table is, and is no folder."""
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def header(path: Path, wanted: Iterable[str]) -> Sequence[str]:
    """Returns the names of a table's columns, () if it cannot be read."""
    if path.suffix.lower() == _PARQUET:
        try:
            return _as_wanted(parquet.read_schema(path).names, wanted)
        except (OSError, UnicodeDecodeError, pa.ArrowException):
            return ()
    return _columns_of(text_lines.first_line(path), wanted)[0]


def rows(
    path: Path, required: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[tuple[Mapping[str, str], str]]:
    """Yields the rows of a table, each with its place; None and NaN are "".

    Raises:
      AnnotationError: it cannot be read, or lacks a required column.
    """
    is_parquet = path.suffix.lower() == _PARQUET
    return (_parquet_rows if is_parquet else _csv_rows)(path, required, optional)


def _csv_rows(
    path: Path, required: Sequence[str], optional: Sequence[str]
) -> Iterator[tuple[Mapping[str, str], str]]:
    first = text_lines.first_line(path)
    _, separator = _columns_of(first, [*required, *optional])
    with text_lines.opened(path) as file:
        num_blank, not_blank = 0, iter(file)
        for line in file:
            if line.strip():
                not_blank = itertools.chain([line], file)
                break
            num_blank += 1
        reader = csv.DictReader(not_blank, strict=True, delimiter=separator)
        try:
            columns = [name.strip() for name in reader.fieldnames or []]
            columns = _as_wanted(columns, [*required, *optional])
            reader.fieldnames = columns
            _check_columns(path, columns, required)
            for row in reader:
                if not any(map(_is_filled, row.values())):
                    continue  # Excel leaves such rows below the last one
                place = f"{path} line {num_blank + reader.line_num}"
                if None in row or None in row.values():
                    raise AnnotationError(
                        f"{place}: must have {len(columns)} values, as the header"
                    )
                yield {name: text.strip() for name, text in row.items()}, place
        except csv.Error as cause:
            number = num_blank + reader.reader.line_num
            raise AnnotationError(f"{path} line {number}: {cause}") from cause


def _parquet_rows(
    path: Path, required: Sequence[str], optional: Sequence[str]
) -> Iterator[tuple[Mapping[str, str], str]]:
    number = 0
    try:
        files.check_regular(path)
        with parquet.ParquetFile(path) as file:
            own = file.schema_arrow.names
            columns = _as_wanted(own, [*required, *optional])
            _check_columns(path, columns, required)
            wanted = [*required, *(name for name in optional if name in columns)]
            of_wanted = [own[columns.index(name)] for name in wanted]
            for batch in file.iter_batches(_ROWS_PER_BATCH, columns=of_wanted):
                values = (batch.column(name).to_pylist() for name in of_wanted)
                for cells in zip(*values, strict=True):
                    row = dict(zip(wanted, cells, strict=True))
                    yield (
                        {k: _text(v) for k, v in row.items()},
                        (f"{path} row_index {number}"),
                    )
                    number += 1
    except (OSError, UnicodeDecodeError, pa.ArrowException) as cause:
        raise AnnotationError(f"{path}: cannot be read as Parquet: {cause}") from cause


def _text(value: Any) -> str:
    if value is None or value != value:  # NaN, pandas' word for nothing
        return ""
    text = value.decode("utf-8") if isinstance(value, bytes) else str(value)
    return text.strip()


def _is_filled(value: str | list[str] | None) -> bool:
    """Returns whether a value of a row, or what a row has beyond its header, is one."""
    values = value if isinstance(value, list) else [value or ""]
    return any(text.strip() for text in values)


def _as_wanted(columns: Sequence[str], wanted: Iterable[str]) -> list[str]:
    """Returns columns by the names that are wanted, where only the case differs."""
    absent = {name.casefold(): name for name in wanted if name not in columns}
    return [absent.get(name.casefold(), name) for name in columns]


def _columns_of(first_line: str, wanted: Iterable[str]) -> tuple[list[str], str]:
    """Returns the columns of a header, and what separates them."""
    wanted = set(wanted)
    splits = {
        separator: _as_wanted(_cells(first_line, separator), wanted)
        for separator in _SEPARATORS
        if first_line
    }
    if not splits:
        return [], ","
    # Of equally good ones the first: max() keeps it.
    best = max(splits, key=lambda separator: len(wanted & set(splits[separator])))
    return splits[best], best


def _cells(line: str, separator: str) -> list[str]:
    return [name.strip() for name in next(csv.reader([line], delimiter=separator))]


def _check_columns(path: Path, columns: Sequence[str], required: Sequence[str]) -> None:
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise AnnotationError(f"{path}: column {twice[0]!r} is there twice")
    missing = [name for name in required if name not in columns]
    if missing:
        raise LayoutError(
            f"{path}: no column {', no '.join(missing)} among "
            f"{list(columns)[:_MAX_COLUMNS_NAMED]}; --columns "
            f"{missing[0]}=NAME,... names columns that are called otherwise"
            f"{', --split_by 0.1 draws splits' if 'split' in missing else ''}"
        )
