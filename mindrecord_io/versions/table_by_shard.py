"""The clips of one shard after another, out of clips.parquet.

A footer tells of every row group, which is megabytes where there are thousands of
shards: it is read once a process, not once a shard.
"""

import functools
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import compute, parquet

from mindrecord_io.versions import clips_table

__all__ = ["shard_rows"]

_SHARD = "shard"

_opening = threading.Lock()  # two threads would read one footer twice


@dataclass(frozen=True, slots=True)
class _Footer:
    """What a table's footer says.

    Attributes:
      groups: the row groups that hold a shard's clips and no other's, by shard.
      mixed: those of which the footer does not tell whose clips they hold.
    """

    metadata: parquet.FileMetaData
    groups: Mapping[str, tuple[int, ...]]
    mixed: tuple[int, ...]


def shard_rows(path: Path, shard: str, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Returns some columns of the clips of a shard, in the table's order.

    Raises:
      TableError: the table cannot be read.
    """
    try:
        state = path.stat()
        with _opening:
            footer = _footer(path, state.st_mtime_ns, state.st_size)
        indices = sorted((*footer.groups.get(shard, ()), *footer.mixed))
        with parquet.ParquetFile(path, metadata=footer.metadata) as file:
            found = file.read_row_groups(indices, columns=[*columns, _SHARD])
    except (OSError, ValueError, pa.ArrowException) as cause:
        raise clips_table.TableError(f"{path}: cannot be read: {cause}") from cause
    own = found.filter(compute.equal(found.column(_SHARD), shard))
    rows: list[dict[str, Any]] = own.select(list(columns)).to_pylist()
    return rows


@functools.lru_cache(maxsize=1)
def _footer(path: Path, mtime_ns: int, num_bytes: int) -> _Footer:
    del mtime_ns, num_bytes  # a file that is another by now has another footer
    metadata = parquet.read_metadata(path)
    column = metadata.schema.names.index(_SHARD)
    groups: dict[str, list[int]] = {}
    mixed = []
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        told = group.column(column).statistics
        if told is not None and told.null_count == group.num_rows:
            continue  # clips of no shard
        if told is not None and told.has_min_max and told.min == told.max:
            groups.setdefault(told.min, []).append(index)
        else:
            mixed.append(index)
    return _Footer(metadata, {s: tuple(g) for s, g in groups.items()}, tuple(mixed))
