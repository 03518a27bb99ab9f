"""Finds clips whose files are equal byte for byte, within a split and across splits.

Eight bytes of each file's SHA-256 stay in memory; the rows that share them are then
read again and compared whole.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

from mindrecord_io import records
from mindrecord_io.versions import clips_table

__all__ = ["COLUMNS", "MAX_LISTED", "Duplicates", "duplicates_of"]

COLUMNS = ("clip_id", "split", "label", "status", "source_sha256")
"""The columns of clips.parquet that are compared."""

MAX_LISTED = 100
"""Groups of equal files that are listed."""

_NUM_DIGITS = 16  # hexadecimal, of a hash: eight bytes


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Stored clips whose files are equal.

    Attributes:
      num_groups: files that several clips share.
      num_clips: clips that share one.
      num_leaks: groups with clips of several splits.
      num_contradictions: groups with several labels.
      listed: groups, leaks and contradictions first: (clip_id, split, label) each.
    """

    num_groups: int
    num_clips: int
    num_leaks: int
    num_contradictions: int
    listed: tuple[tuple[tuple[str, str, str], ...], ...]


def duplicates_of(read: Callable[[], Iterable[pa.RecordBatch]]) -> Duplicates:
    """Returns the equal files of a version.

    Args:
      read: begins anew with batches of clips with COLUMNS; called at most twice.
    """
    parts = [_prefixes(_hashed(table)) for table in clips_table.gathered(read())]
    prefixes = np.concatenate(parts) if parts else np.empty(0, np.uint64)
    values, counts = np.unique(prefixes, return_counts=True)
    shared = values[counts > 1]
    groups: dict[str, list[tuple[str, str, str]]] = {}
    if shared.size:
        for table in clips_table.gathered(read()):
            hashed = _hashed(table)
            rows = hashed.filter(pa.array(np.isin(_prefixes(hashed), shared)))
            for row in rows.to_pylist():
                clip = (row["clip_id"], row["split"], row["label"])
                groups.setdefault(row["source_sha256"], []).append(clip)
    return _summary([group for group in groups.values() if len(group) > 1])


def _summary(groups: list[list[tuple[str, str, str]]]) -> Duplicates:
    def num_of(index: int, group: list[tuple[str, str, str]]) -> int:
        return len({clip[index] for clip in group})

    worst_first = sorted(
        groups, key=lambda g: (num_of(1, g) == 1, num_of(2, g) == 1, sorted(g))
    )
    return Duplicates(
        num_groups=len(groups),
        num_clips=sum(map(len, groups)),
        num_leaks=sum(num_of(1, group) > 1 for group in groups),
        num_contradictions=sum(num_of(2, group) > 1 for group in groups),
        listed=tuple(tuple(sorted(group)) for group in worst_first[:MAX_LISTED]),
    )


def _hashed(table: pa.Table) -> pa.Table:
    """Returns the stored clips whose file was hashed."""
    length = compute.utf8_length(table["source_sha256"])
    is_hashed = compute.fill_null(compute.greater_equal(length, _NUM_DIGITS), False)
    is_stored = compute.equal(table["status"], records.STORED)
    return table.filter(compute.and_(is_hashed, is_stored))


def _prefixes(hashed: pa.Table) -> npt.NDArray[np.uint64]:
    """Returns the first eight bytes of each hash as a number."""
    column: Any = compute.utf8_slice_codeunits(hashed["source_sha256"], 0, _NUM_DIGITS)
    text = "".join(column.to_pylist()).encode("ascii")
    digits = np.frombuffer(text, np.uint8).reshape(-1, _NUM_DIGITS).astype(np.uint64)
    nibbles = (digits & np.uint64(15)) + np.uint64(9) * (digits >> np.uint64(6))
    shifts = np.arange(4 * (_NUM_DIGITS - 1), -1, -4, dtype=np.uint64)
    prefixes: npt.NDArray[np.uint64] = (nibbles << shifts).sum(axis=1, dtype=np.uint64)
    return prefixes
