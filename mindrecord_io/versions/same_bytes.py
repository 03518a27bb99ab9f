"""Finds clips whose files are equal byte for byte, within a split and across splits.

Eight bytes of each file's SHA-256 stay in memory. The rows that share them are read a
second time, kept on the disk, and compared whole, in parts.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

from mindrecord_io import records
from mindrecord_io.shards import sharding
from mindrecord_io.storage import spilled_rows
from mindrecord_io.storage.tallies import Tally
from mindrecord_io.versions import clips_table

__all__ = [
    "COLUMNS",
    "LISTED_COLUMNS",
    "MAX_SHOWN",
    "SAME_BYTES",
    "Clip",
    "SameBytes",
    "same_bytes_of",
]

SAME_BYTES = "same_bytes.tsv"
"""The list of such clips, beside a version's other files."""

LISTED_COLUMNS = ("source_sha256", "what", "clip_id", "split", "label", "uri")
"""The columns of the list."""

MAX_SHOWN = 100
"""Files, each with its clips, that are kept for a page."""

Clip = tuple[str, str, str, str]
"""Clip id, split, label, uri."""

COLUMNS = ("source_sha256", "clip_id", "split", "label", "uri", "status")
"""The columns of clips.parquet that are read."""

_ROWS = pa.schema([(name, pa.string()) for name in COLUMNS[:-1]])
_NUM_DIGITS = 16  # hexadecimal, of a hash: eight bytes
_NUM_NAMED = 3  # clips of a file, in a line of the log


def _spilled() -> spilled_rows.SpilledRows:
    return spilled_rows.SpilledRows(_ROWS, sharding.NUM_PARTITIONS)


@dataclass(slots=True)
class SameBytes:
    """Stored clips whose files are there more than once, byte for byte.

    Attributes:
      num_files: that several clips share.
      num_clips: that share one.
      leaks: files in two splits, each as its clips' ids; conflicts: those under two
        labels; repeats: all others.
      shown: the clips of files, leaks and conflicts first.
    """

    num_files: int = 0
    num_clips: int = 0
    leaks: Tally[str] = field(default_factory=Tally)
    conflicts: Tally[str] = field(default_factory=Tally)
    repeats: Tally[str] = field(default_factory=Tally)
    shown: Tally[tuple[Clip, ...]] = field(default_factory=lambda: Tally(MAX_SHOWN))
    _candidates: spilled_rows.SpilledRows = field(default_factory=_spilled)

    def __bool__(self) -> bool:
        return self.num_files > 0

    def __str__(self) -> str:
        kinds = {
            "in two splits": self.leaks,
            "under two labels": self.conflicts,
            "twice in one class": self.repeats,
        }
        return ", ".join(
            f"{len(of_kind)} {words} (the first: {of_kind.first[0]})"
            for words, of_kind in kinds.items()
            if len(of_kind)
        )

    def rows(self) -> Iterator[dict[str, str]]:
        """Yields a row of LISTED_COLUMNS for every clip that shares its file."""
        for sha256, clips in self._files():
            what = _what(clips)
            for clip in clips:
                yield dict(zip(LISTED_COLUMNS, (sha256, what, *clip), strict=True))

    @classmethod
    def of_rows(cls, rows: Iterable[Mapping[str, str]]) -> "SameBytes":
        """Returns what rows of LISTED_COLUMNS list."""
        same = cls()
        same._count((row[name] for name in _ROWS.names) for row in rows)
        return same

    def _files(self) -> Iterator[tuple[str, list[Clip]]]:
        for partition in range(self._candidates.num_partitions):
            clips: dict[str, list[Clip]] = {}
            for sha256, *clip in self._candidates.rows(partition):
                clips.setdefault(sha256, []).append(tuple(clip))  # type: ignore[arg-type]
            yield from ((s, equal) for s, equal in clips.items() if len(equal) > 1)

    def _count(self, candidates: Iterable[Iterable[str]]) -> None:
        """Keeps rows, SHA-256 first, and counts the files that several of them have."""
        for sha256, *clip in candidates:
            place = sharding.partition_of(sha256)
            self._candidates.append((sha256, *clip), place)
        for _, clips in self._files():
            self.num_files += 1
            self.num_clips += len(clips)
            named = " and ".join(f"{c[0]} ({c[1]})" for c in clips[:_NUM_NAMED])
            is_leak, is_conflict = _is_leak(clips), _is_conflict(clips)
            if is_leak:
                self.leaks.add(named, named)
            if is_conflict:
                self.conflicts.add(named, named)
            if not (is_leak or is_conflict):
                self.repeats.add(named, named)
            in_order = tuple(sorted(clips))
            self.shown.add((not is_leak, not is_conflict, in_order), in_order)


def same_bytes_of(read: Callable[[], Iterable[pa.RecordBatch]]) -> SameBytes:
    """Returns the equal files of a version's stored clips.

    Args:
      read: begins anew with batches of clips with COLUMNS; called at most twice.
    """
    same = SameBytes()
    parts = [_prefixes(_hashed(table)) for table in clips_table.gathered(read())]
    prefixes = np.concatenate(parts) if parts else np.empty(0, np.uint64)
    prefixes.sort()
    shared = np.unique(prefixes[1:][prefixes[1:] == prefixes[:-1]])
    if shared.size:
        same._count(_rows_that_share(clips_table.gathered(read()), shared))
    return same


def _rows_that_share(
    tables: Iterable[pa.Table], shared: npt.NDArray[np.uint64]
) -> Iterator[tuple[str, ...]]:
    for table in tables:
        hashed = _hashed(table)
        rows = hashed.filter(pa.array(np.isin(_prefixes(hashed), shared)))
        columns = (rows[name].to_pylist() for name in _ROWS.names)
        yield from zip(*columns, strict=True)


def _what(clips: Sequence[Clip]) -> str:
    """Returns in a word what equal files are."""
    kinds = ("leak" * _is_leak(clips), "conflict" * _is_conflict(clips))
    return "+".join(filter(None, kinds)) or "repeat"


def _is_leak(clips: Sequence[Clip]) -> bool:
    return len({split for _, split, _, _ in clips}) > 1


def _is_conflict(clips: Sequence[Clip]) -> bool:
    return len({label for _, _, label, _ in clips if label}) > 1


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
