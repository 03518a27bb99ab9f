"""What people should know of a version's clips: the lost ones, and equal files.

While the table of clips is written, its rows pass here. Lost clips go straight into
lost.tsv, hashes of files to the disk, to be grouped in parts: memory does not grow with
the number of clips.
"""

import collections
import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from mindrecord_io import records
from mindrecord_io.shards import sharding
from mindrecord_io.storage import files, spilled_rows, tallies
from pipelines.planning.clip_listing import LOST_COLUMNS
from pipelines.quarantine import REASONS

__all__ = ["LOST", "SAME_BYTES", "ClipNotes", "LostClips", "SameBytes", "write_tsv"]

LOST = "lost.tsv"
SAME_BYTES = "same_bytes.tsv"

_SAME_COLUMNS = ("source_sha256", "what", "clip_id", "split", "label", "uri")
_FILES = pa.schema([(n, pa.string()) for n in ("sha256", *_SAME_COLUMNS[2:])])
_LOST = (records.QUARANTINED, records.MISSING)
_MAX_COLUMNS = 1000  # of a table in a file
_MAX_DETAIL = 60  # characters of an example in a line of the log

Row = Mapping[str, Any]


@dataclass(slots=True)
class LostClips:
    """Clips that are not stored, counted by reason, each with its first example."""

    num_clips: collections.Counter[str] = field(default_factory=collections.Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, clip_id: str, reason: str, detail: str) -> None:
        """Counts a clip."""
        self.num_clips[reason] += 1
        shown = " ".join(f"{clip_id}: {detail}".split())
        shown = shown if len(shown) <= _MAX_DETAIL else f"{shown[:_MAX_DETAIL]}..."
        self.examples.setdefault(reason, shown)

    def table(self, num_columns: int = _MAX_COLUMNS) -> str:
        """Returns a line for each reason: how many, an example, and what to do.

        Where these would have more columns, the examples are left out.
        """
        rows: list[tuple[str, ...]]
        rows = [("reason", "clips", "for example", "what to do")]
        for reason, num in self.num_clips.most_common():
            example, remedy = self.examples[reason], REASONS[reason].remedy
            rows.append((reason, f"{num:,}", example, remedy))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        if sum(widths) + 2 * len(widths) > num_columns:
            rows = [(reason, num, remedy) for reason, num, _, remedy in rows]
            widths.pop(2)
        lines = (
            "  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True))
            for row in rows
        )
        return "\n".join(line.rstrip() for line in lines)

    def __str__(self) -> str:
        return ", ".join(f"{reason} {n}" for reason, n in self.num_clips.most_common())


@dataclass(slots=True)
class SameBytes:
    """Files of clips that are there more than once, byte for byte.

    Attributes:
      leaks: those in two splits, each as its clips' ids; conflicts: those under two
        labels; repeats: all others.
    """

    leaks: tallies.Tally[str] = field(default_factory=tallies.Tally)
    conflicts: tallies.Tally[str] = field(default_factory=tallies.Tally)
    repeats: tallies.Tally[str] = field(default_factory=tallies.Tally)

    def __bool__(self) -> bool:
        return bool(len(self.leaks) or len(self.conflicts) or len(self.repeats))

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


class ClipNotes:
    """Gathers both while rows pass."""

    def __init__(self) -> None:
        self.lost = LostClips()
        self._files = spilled_rows.SpilledRows(_FILES, sharding.NUM_PARTITIONS)

    def passing(
        self, groups: Iterable[Sequence[Row]], folder: Path
    ) -> Iterator[Sequence[Row]]:
        """Yields the groups of rows as they come; writes lost.tsv if clips are lost."""
        with _TsvFile(folder / LOST, LOST_COLUMNS) as tsv:
            for rows in groups:
                for row in rows:
                    if row["status"] in _LOST:
                        self.lost.add(row["clip_id"], row["reason"], row["detail"])
                        tsv.write(row)
                    elif row["status"] == records.STORED:
                        self._add_file(row)
                yield rows

    def same_bytes(self, folder: Path) -> SameBytes:
        """Returns the files that are there twice; writes same_bytes.tsv if any is."""
        same = SameBytes()
        with _TsvFile(folder / SAME_BYTES, _SAME_COLUMNS) as tsv:
            for partition in range(self._files.num_partitions):
                clips: dict[str, list[tuple[str, ...]]] = {}
                for row in self._files.rows(partition):
                    clips.setdefault(row[0], []).append(row[1:])
                for sha256, equal in clips.items():
                    if len(equal) > 1:
                        what = _add_group(same, equal)
                        for clip in equal:
                            cells = (sha256, what, *clip)
                            tsv.write(dict(zip(_SAME_COLUMNS, cells, strict=True)))
        return same

    def _add_file(self, row: Row) -> None:
        sha256 = row["source_sha256"]
        clip = (row["clip_id"], row["split"], row["label"], row["uri"])
        self._files.append((sha256, *clip), sharding.partition_of(sha256))


class _TsvFile:
    """A TSV file that is there only once it has a row."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path, self._columns = path, columns
        self._file: Any = None

    def __enter__(self) -> "_TsvFile":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._file is not None:
            with files.errors_name(self._path):
                self._file.close()
            if kind is None:  # else what is half written is swept, or swept already
                files.sync(self._path)

    def write(self, row: Row) -> None:
        with files.errors_name(self._path):
            if self._file is None:
                self._file = self._path.open("x", encoding="utf-8", newline="")
                self._writer = csv.writer(
                    self._file, delimiter="\t", lineterminator="\n"
                )
                self._writer.writerow(self._columns)
            # One line for each clip: a detail may quote several of a decoder's.
            cells = (str(row.get(name) or "") for name in self._columns)
            self._writer.writerow([" ".join(cell.split()) for cell in cells])


def write_tsv(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Writes rows as a TSV file; none where there is no row."""
    with _TsvFile(path, columns) as tsv:
        for row in rows:
            tsv.write(row)


def _add_group(same: SameBytes, clips: Sequence[tuple[str, ...]]) -> str:
    """Counts clips of one file by the worst that they are; returns that in words."""
    splits = {split for _, split, _, _ in clips}
    labels = {label for _, _, label, _ in clips if label}
    named = " and ".join(f"{clip_id} ({split})" for clip_id, split, _, _ in clips[:3])
    if len(splits) > 1:
        same.leaks.add(named, named)
    if len(labels) > 1:
        same.conflicts.add(named, named)
    if len(splits) == 1 and len(labels) < 2:
        same.repeats.add(named, named)
        return "repeat"
    kinds = ("leak" if len(splits) > 1 else "", "conflict" if len(labels) > 1 else "")
    return "+".join(filter(None, kinds))
