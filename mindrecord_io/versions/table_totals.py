"""What adds up over a table of clips that is read a row group at a time.

Of each clip a line waits on the disk (see spilled_rows) and four bytes in memory.
"""

import array
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import compute

from mindrecord_io import records
from mindrecord_io.shards import partitions
from mindrecord_io.storage import spilled_rows

__all__ = ["COLUMNS", "Named", "TableTotals"]

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
_LABEL_ID_OF_UNLABELLED = 0  # in the list files, whose format has no word for it
_LINES = pa.schema([("split", pa.string()), ("line", pa.string())])


class Named:
    """How many there are of something, and the first of their names."""

    def __init__(self, names: Iterable[str] = (), *, is_sorted: bool = False) -> None:
        """Takes names; if `is_sorted`, the least of them count as the first."""
        self._is_sorted = is_sorted
        self._num = 0
        self._first: list[str] = []
        self.update(names)

    def __len__(self) -> int:
        return self._num

    def __str__(self) -> str:
        more = self._num - len(self._first)
        return f"{self._first}" + (f" and {more} more" if more > 0 else "")

    def update(self, names: Iterable[str]) -> None:
        """Counts some more."""
        for name in names:
            self._num += 1
            self._first.append(name)
            if len(self._first) > _MAX_NAMED:
                if self._is_sorted:
                    self._first.sort()
                del self._first[_MAX_NAMED:]
        if self._is_sorted:
            self._first.sort()


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
        self.miscounted = Named()
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
        self.miscounted.update(stored["clip_id"].filter(is_wrong).to_pylist())
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

    def misnumbered(self) -> Named:
        """Returns the shards whose rows are not numbered 0, 1, 2, ..."""
        return Named(
            shard
            for shard, rows in self._rows.items()
            if not np.array_equal(np.sort(np.array(rows)), np.arange(len(rows)))
        )

    def twice(self) -> Named:
        """Returns the clips that are stored more than once."""
        found = Named(is_sorted=True)
        for partition in range(partitions.NUM_PARTITIONS):
            lines = self._lines.rows(partition)
            counts = Counter(line.partition(" ")[0] for _, line in lines)
            found.update(clip_id for clip_id, n in counts.items() if n > 1)
        return found

    def read_list(self, split: str, path: Path) -> None:
        """Takes in a split's list file, to be compared.

        Raises:
          OSError, UnicodeDecodeError: it cannot be read.
        """
        for line in _lines_of(path):
            self._listed.append((split, line), _partition_of(line))

    def list_differences(self) -> dict[str, tuple[Named, Named]]:
        """Returns, by split, lines that the lists have too many and too few of."""
        found = {
            split: (Named(is_sorted=True), Named(is_sorted=True))
            for split in records.SPLITS
        }
        for partition in range(partitions.NUM_PARTITIONS):
            listed = Counter(self._listed.rows(partition))
            expected = Counter(self._lines.rows(partition))
            if listed == expected:
                continue
            for (split, line), n in (listed - expected).items():
                found[split][0].update([line] * n)
            for (split, line), n in (expected - listed).items():
                if split in found:
                    found[split][1].update([line] * n)
        return found


def _spilled() -> spilled_rows.SpilledRows:
    return spilled_rows.SpilledRows(_LINES, partitions.NUM_PARTITIONS)


def _partition_of(line: str) -> int:
    """Returns where a line is looked at: with all of the same clip."""
    return partitions.partition_of(line.partition(" ")[0])


def _lines_of(path: Path) -> Iterator[str]:
    """Yields what is between line breaks; of an empty file nothing."""
    line = ""
    with path.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            yield line.removesuffix("\n")
    if line.endswith("\n"):
        yield ""
