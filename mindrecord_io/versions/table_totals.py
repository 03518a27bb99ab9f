"""Counts the clips of a table that is read a row group at a time.

For each clip a line stays on the disk (see spilled_rows) and four bytes in memory.
"""

import array
import errno
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import compute

from mindrecord_io import records
from mindrecord_io.shards import sharding
from mindrecord_io.storage import files
from mindrecord_io.storage.spilled_rows import SpilledRows
from mindrecord_io.storage.tallies import Tally

__all__ = ["COLUMNS", "Names", "TableTotals"]

COLUMNS = (
    "clip_id",
    "split",
    "label_id",
    "label",
    "status",
    "num_frames",
    "shard",
    "row",
    "frame_sizes",
)
"""Those of the table that are looked at."""

_MAX_NAMED = 3
_MAX_LINE_CHARACTERS = 8192
_LABEL_ID_OF_UNLABELLED = 0  # in the list files, whose format has no word for it
_LINES = pa.schema([("split", pa.string()), ("line", pa.string())])


Names = Tally[str]
"""Counts names and keeps the first three."""


class TableTotals:
    """Counts the clips of a table, and compares them with lists of them.

    Attributes:
      by_status, by_shard: how many clips; the latter of those that are stored.
      num_frames: of these.
      miscounted: clips with more or fewer frame sizes than frames.
      labels: the label_ids and label texts that there are.
    """

    def __init__(self) -> None:
        self.by_status: Counter[str] = Counter()
        self.by_shard: Counter[str] = Counter()
        self.num_frames = 0
        self.miscounted = _names()
        self.labels: set[tuple[int, str]] = set()
        self._rows: dict[str, array.array[int]] = {}
        self._lines = _spilled()
        self._listed = _spilled()

    def add(self, batch: pa.RecordBatch) -> None:
        """Counts the clips of some rows of the table."""
        self.by_status.update(batch.column("status").to_pylist())
        is_stored = compute.equal(batch.column("status"), records.STORED)
        stored = pa.Table.from_batches([batch]).filter(is_stored)
        self.num_frames += compute.sum(stored["num_frames"]).as_py() or 0
        lengths = compute.list_value_length(stored["frame_sizes"])
        is_wrong = compute.not_equal(lengths, stored["num_frames"])
        for clip_id in stored["clip_id"].filter(is_wrong).to_pylist():
            self.miscounted.add(len(self.miscounted), clip_id)
        columns = ("clip_id", "split", "label_id", "label", "num_frames", "shard")
        for clip_id, split, label_id, label, num_frames, shard, row in zip(
            *(stored[name].to_pylist() for name in (*columns, "row")), strict=True
        ):
            self.labels.add((label_id, label))
            self.by_shard[shard] += 1
            self._rows.setdefault(shard, array.array("i")).append(row)
            is_labelled = label_id != records.UNLABELLED
            listed_id = label_id if is_labelled else _LABEL_ID_OF_UNLABELLED
            line = f"{clip_id} {num_frames} {listed_id}"
            self._lines.append((split, line), _partition_of(line))

    def misnumbered(self) -> Names:
        """Returns the shards whose rows are not numbered 0, 1, 2, ..."""
        wrong = _names()
        for shard, rows in self._rows.items():
            if not np.array_equal(np.sort(np.array(rows)), np.arange(len(rows))):
                wrong.add(len(wrong), shard)
        return wrong

    def twice(self) -> Names:
        """Returns the clips that are stored more than once."""
        twice = _names()
        for partition in range(sharding.NUM_PARTITIONS):
            lines = self._lines.rows(partition)
            counts = Counter(line.partition(" ")[0] for _, line in lines)
            for clip_id in (c for c, n in counts.items() if n > 1):
                twice.add(clip_id, clip_id)
        return twice

    def read_list(self, split: str, path: Path) -> None:
        """Reads a split's list file, to be compared.

        Raises:
          OSError, UnicodeDecodeError: it cannot be read.
        """
        for line in _lines_of(path):
            self._listed.append((split, line), _partition_of(line))

    def list_differences(self) -> dict[str, tuple[Names, Names]]:
        """Returns, by split, lines that the lists have too many and too few of."""
        differences = {split: (_names(), _names()) for split in records.SPLITS}
        for partition in range(sharding.NUM_PARTITIONS):
            listed = Counter(self._listed.rows(partition))
            expected = Counter(self._lines.rows(partition))
            if listed == expected:
                continue
            for split, line in (listed - expected).elements():
                differences[split][0].add(line, line)
            for split, line in (expected - listed).elements():
                if split in differences:
                    differences[split][1].add(line, line)
        return differences


def _names() -> Names:
    return Tally(_MAX_NAMED)


def _spilled() -> SpilledRows:
    return SpilledRows(_LINES, sharding.NUM_PARTITIONS)


def _partition_of(line: str) -> int:
    """Returns a line's partition, which is that of its clip."""
    return sharding.partition_of(line.partition(" ")[0])


def _lines_of(path: Path) -> Iterator[str]:
    """Yields the texts between line breaks; none from an empty file."""
    last = ""
    files.check_regular(path)
    with path.open(encoding="utf-8", newline="\n") as file:
        while line := file.readline(_MAX_LINE_CHARACTERS + 1):
            if len(line) > _MAX_LINE_CHARACTERS:
                why = f"has a line of more than {_MAX_LINE_CHARACTERS} characters"
                raise OSError(errno.EFBIG, why, str(path))
            yield line.removesuffix("\n")
            last = line
    if last.endswith("\n"):
        yield ""
