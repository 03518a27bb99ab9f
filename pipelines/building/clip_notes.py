"""Counts and lists a version's lost clips; writes lists for people.

While the table of clips is written, its rows pass here, and lost clips go straight into
lost.tsv: memory does not grow with their number.
"""

import collections
import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mindrecord_io import records
from mindrecord_io.storage import files
from pipelines.planning.clip_listing import LOST_COLUMNS
from pipelines.quarantine import REASONS

__all__ = ["LOST", "LostClips", "passing", "write_tsv"]

LOST = "lost.tsv"
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


def passing(
    groups: Iterable[Sequence[Row]], folder: Path, lost: LostClips
) -> Iterator[Sequence[Row]]:
    """Yields the groups of rows as they come; writes lost.tsv of what is not stored.

    Args:
      lost: counts these clips, but for files that no annotation names.
    """
    with _TsvFile(folder / LOST, LOST_COLUMNS) as tsv:
        for rows in groups:
            for row in rows:
                if row["status"] in _LOST:
                    lost.add(row["clip_id"], row["reason"], row["detail"])
                if row["status"] != records.STORED or row["reason"]:
                    tsv.write(row)  # what is stored with a reason lost frames
            yield rows


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
