"""Reads and writes clips.parquet: one row for every clip annotated or present.

A row group holds one shard's clips, so a reader of a few shards reads a few groups.
Column meanings are those of records.ClipOutcome and Annotation; `shard` is the
path of the .mindrecord file below the data set's folder (of the shard's folder, where
none of its clips is stored), null for clips that belong to no shard.
"""

import contextlib
import functools
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import compute, parquet

from mindrecord_io import records
from mindrecord_io.records import Annotation, ShardSummary, SourceFacts
from mindrecord_io.storage import files

__all__ = [
    "SCHEMA",
    "TableError",
    "batches",
    "gathered",
    "missing_rows",
    "num_rows",
    "read",
    "read_shard",
    "shard_rows",
    "unlisted_rows",
    "write",
]

SCHEMA = pa.schema(
    [
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("label_id", pa.int32(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("uri", pa.string()),
        pa.field("source_num_bytes", pa.int64()),
        pa.field("source_sha256", pa.string()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
        pa.field("limits", pa.string(), nullable=False),
        pa.field("num_frames", pa.int32(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("fps_from_header", pa.float64(), nullable=False),
        pa.field("num_frames_from_header", pa.int32(), nullable=False),
        pa.field("duration_seconds_from_header", pa.float64(), nullable=False),
        pa.field("fps_from_content", pa.float64(), nullable=False),
        pa.field("duration_seconds_from_content", pa.float64(), nullable=False),
        pa.field("rotation_degrees", pa.int32(), nullable=False),
        pa.field("num_frames_lost", pa.int32(), nullable=False),
        pa.field("shard", pa.string()),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("frames_offset", pa.int64(), nullable=False),
        pa.field("frame_sizes", pa.list_(pa.int32()), nullable=False),
        pa.field("frames_sha256", pa.string(), nullable=False),
        pa.field("frame_crc32s", pa.list_(pa.uint32()), nullable=False),
    ]
)

_SCHEMA_1 = pa.schema([field for field in SCHEMA if field.name != "frame_crc32s"])
"""Of the tables of format version 1, which readers of columns still read."""

# Most values are there once, and dictionaries of those take space and time.
_WRITE_OPTIONS: dict[str, Any] = {"compression": "zstd", "use_dictionary": False}
_ROWS_PER_BATCH = 10_000
_ROWS_GATHERED = 65_536
_NOT_STORED: dict[str, Any] = {
    "limits": "",
    "num_frames": 0,
    "width": 0,
    "height": 0,
    **records.to_json(SourceFacts()),
    "row": -1,
    "frames_offset": -1,
    "frame_sizes": (),
    "frames_sha256": "",
    "frame_crc32s": (),
}


_opening = threading.Lock()  # two threads would read one footer twice


class TableError(ValueError):
    """A file is not a table of clips."""


def shard_rows(
    summary: ShardSummary,
    shard_path: str,
    uris: Mapping[str, str],
    *,
    label_names: Sequence[str],
) -> list[dict[str, Any]]:
    """Returns the rows of one shard's clips, in storage order.

    Args:
      uris: by clip id.
      label_names: label texts by label_id.
    """
    return [
        {
            "clip_id": clip.clip_id,
            "split": summary.split,
            "label_id": clip.label_id,
            "label": _label(clip.label_id, label_names),
            "uri": uris[clip.clip_id],
            "source_num_bytes": clip.source.num_bytes,
            "source_sha256": clip.source.sha256,
            "status": clip.status,
            "reason": clip.reason,
            "detail": clip.detail,
            "limits": clip.limits,
            "num_frames": len(clip.frame_sizes),
            "width": clip.width,
            "height": clip.height,
            **records.to_json(clip.facts),
            "shard": shard_path,
            "row": clip.row,
            "frames_offset": clip.frames_offset,
            "frame_sizes": clip.frame_sizes,
            "frames_sha256": clip.frames_sha256,
            "frame_crc32s": clip.frame_crc32s,
        }
        for clip in summary.clips
    ]


def missing_rows(
    annotations: Iterable[Annotation], detail: str
) -> list[dict[str, Any]]:
    """Returns rows for clips that are annotated but have no file."""
    return [
        _NOT_STORED
        | records.to_json(annotation)
        | {"status": records.MISSING, "reason": "missing", "detail": detail}
        for annotation in annotations
    ]


def unlisted_rows(clip_ids: Iterable[str], detail: str) -> list[dict[str, Any]]:
    """Returns rows for files that no annotation names: split "", no label."""
    columns = {"split": "", "label_id": records.UNLABELLED, "label": ""}
    why = {"status": records.UNLISTED, "reason": "unlisted", "detail": detail}
    return [_NOT_STORED | columns | why | {"clip_id": clip_id} for clip_id in clip_ids]


def write(path: Path, row_groups: Iterable[Sequence[Mapping[str, Any]]]) -> None:
    """Writes a table to the disk, a Parquet row group for each sequence of rows."""
    with files.errors_name(path):
        with parquet.ParquetWriter(path, SCHEMA, **_WRITE_OPTIONS) as writer:
            for rows in row_groups:
                if rows:
                    writer.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMA))
        files.sync(path)


def num_rows(path: Path) -> int:
    """Returns the number of a table's clips.

    Raises:
      TableError: the table cannot be read.
    """
    with _errors_of(path), _opened(path) as file:
        return int(file.metadata.num_rows)


def read(
    path: Path, columns: Sequence[str] | None = None, split: str | None = None
) -> pa.Table:
    """Reads a table, or only some columns of it, or only one split's rows.

    Raises:
      TableError: the file is missing, damaged or has other columns.
    """
    filters = None if split is None else [("split", "==", split)]
    chosen = None if columns is None else list(columns)
    with _errors_of(path):
        files.check_regular(path)
        _check_schema(path, parquet.read_schema(path))
        return parquet.read_table(
            path, columns=chosen, filters=filters, partitioning=None
        )


def batches(
    path: Path, columns: Sequence[str], split: str | None = None
) -> Iterator[pa.RecordBatch]:
    """Yields some columns of a table's rows, a few thousand rows at a time.

    Args:
      columns: what the table lacks of them, being older, is left out.
      split: only its rows; groups of rows that have none of them are not read.

    Raises:
      TableError: as `read`.
    """
    with _errors_of(path), _opened(path) as file:
        _check_schema(path, file.schema_arrow)
        columns = [name for name in columns if name in file.schema_arrow.names]
        # One by one: Arrow reads ahead of itself otherwise.
        for index in range(file.num_row_groups):
            if split is None or _may_hold(file.metadata.row_group(index), split):
                rows = _read_group(file, index, columns, split)
                yield from rows.to_batches(_ROWS_PER_BATCH)


def read_shard(path: Path, shard: str, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Returns some columns of the clips of a shard, in the table's order.

    Columns that the table lacks, being older, are left out.

    Raises:
      TableError: the table cannot be read.
    """
    with _errors_of(path):
        files.check_regular(path)
        status = path.stat()
        with _opening:
            footer = _footer(path, status.st_mtime_ns, status.st_size)
        indices = sorted((*footer.groups.get(shard, ()), *footer.mixed))
        with parquet.ParquetFile(path, metadata=footer.metadata) as file:
            table = file.read_row_groups(indices, columns=[*columns, "shard"])
    own = table.filter(compute.equal(table.column("shard"), shard))
    present = [name for name in columns if name in own.column_names]
    rows: list[dict[str, Any]] = own.select(present).to_pylist()
    return rows


def _opened(path: Path) -> parquet.ParquetFile:
    files.check_regular(path)
    return parquet.ParquetFile(path)


@contextlib.contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    try:
        yield
    except TableError:
        raise
    except (OSError, ValueError, pa.ArrowException) as cause:
        raise TableError(f"{path}: cannot be read as Parquet: {cause}") from cause


@dataclass(frozen=True, slots=True)
class _Footer:
    """A table's footer; megabytes long where there are thousands of shards.

    Attributes:
      groups: the row groups that hold a shard's clips and no other's, by shard.
      mixed: those that may hold clips of several shards.
    """

    metadata: parquet.FileMetaData
    groups: Mapping[str, tuple[int, ...]]
    mixed: tuple[int, ...]


@functools.lru_cache(maxsize=1)
def _footer(path: Path, mtime_ns: int, num_bytes: int) -> _Footer:
    del mtime_ns, num_bytes  # a file that is another by now has another footer
    metadata = parquet.read_metadata(path)
    column = metadata.schema.names.index("shard")
    groups: dict[str, list[int]] = {}
    mixed = []
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        statistics = group.column(column).statistics
        if statistics is not None and statistics.null_count == group.num_rows:
            continue  # clips of no shard
        if (
            statistics is not None
            and statistics.has_min_max
            and statistics.min == statistics.max
        ):
            groups.setdefault(statistics.min, []).append(index)
        else:
            mixed.append(index)
    return _Footer(metadata, {s: tuple(g) for s, g in groups.items()}, tuple(mixed))


def _may_hold(group: parquet.RowGroupMetaData, split: str) -> bool:
    statistics = group.column(SCHEMA.get_field_index("split")).statistics
    if statistics is None or not statistics.has_min_max:
        return True
    return bool(statistics.min <= split <= statistics.max)


def _read_group(
    file: parquet.ParquetFile, index: int, columns: Sequence[str], split: str | None
) -> pa.Table:
    if split is None:
        return file.read_row_group(index, columns=list(columns), use_threads=False)
    wanted = list({*columns, "split"})
    rows = file.read_row_group(index, columns=wanted, use_threads=False)
    return rows.filter(compute.equal(rows["split"], split)).select(list(columns))


def gathered(
    some: Iterable[pa.RecordBatch], num_rows: int = _ROWS_GATHERED
) -> Iterator[pa.Table]:
    """Yields the rows of batches as tables of at least `num_rows`, but for the last.

    Batches are as small as shards: each costs more to look at than its rows do.
    """
    waiting: list[pa.RecordBatch] = []
    num_waiting = 0
    for batch in some:
        waiting.append(batch)
        num_waiting += batch.num_rows
        if num_waiting >= num_rows:
            yield pa.Table.from_batches(waiting).combine_chunks()
            waiting, num_waiting = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting).combine_chunks()


def _check_schema(path: Path, schema: pa.Schema) -> None:
    if not any(schema.equals(s, check_metadata=False) for s in (SCHEMA, _SCHEMA_1)):
        raise TableError(
            f"{path}: its columns are {schema.names}, expected {SCHEMA.names}"
        )


def _label(label_id: int, label_names: Sequence[str]) -> str:
    return "" if label_id == records.UNLABELLED else label_names[label_id]
