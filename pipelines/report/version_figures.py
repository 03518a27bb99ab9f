"""The figures of a version's report, added up over batches of clips.parquet.

Aggregates in Arrow, with no Python loop per clip; memory grows with distinct values.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

from mindrecord_io import records
from mindrecord_io.versions import clips_table, manifests

__all__ = [
    "COLUMNS",
    "Figures",
    "Lost",
    "ShardFigures",
    "Spread",
    "figures_of",
    "shard_figures",
]

COLUMNS = (
    "clip_id",
    "split",
    "label_id",
    "status",
    "reason",
    "detail",
    "source_num_bytes",
    "num_frames",
    "width",
    "height",
    "fps_from_header",
)
"""The columns of clips.parquet that the figures are made of."""

MAX_NAMED = 100
"""Clips of one reason that are listed with their details."""

_MAX_VALUES = 12
_NUM_BINS = 40
_Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Spread:
    """Extremes, quantiles and mean of some values; a quantile is one of the values."""

    minimum: float
    p1: float
    median: float
    p99: float
    maximum: float
    mean: float

    @classmethod
    def of(cls, values: npt.ArrayLike) -> "Spread | None":
        """Returns the spread of some values, None if there are none."""
        return cls.of_counts(*np.unique(np.asarray(values), return_counts=True))

    @classmethod
    def of_counts(cls, values: _Numbers, counts: _Numbers) -> "Spread | None":
        """Returns the spread of distinct values in order, with the count of each."""
        if not values.size:
            return None
        ends = counts.cumsum()
        num = int(ends[-1])
        # numpy's method "lower": the value at this place in their order.
        places = [int(q * (num - 1)) for q in (0.01, 0.5, 0.99)]
        p1, median, p99 = values[np.searchsorted(ends, places, side="right")].tolist()
        total = sum(
            v * n for v, n in zip(values.tolist(), counts.tolist(), strict=True)
        )
        return cls(
            minimum=float(values[0]),
            p1=float(p1),
            median=float(median),
            p99=float(p99),
            maximum=float(values[-1]),
            mean=total / num,
        )


@dataclass(frozen=True, slots=True)
class Lost:
    """Clips that are not stored for one reason; `shown` has (id, split, detail)."""

    reason: str
    num_clips: int
    shown: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a version's clips.

    Attributes:
      counts: of clips by (split, status); the split of unlisted files is "".
      class_sizes: of each split, the clips stored by label_id; unlabelled ones aside.
      num_frames: of a stored clip, by split; splits without clips are left out.
      bins: begin, end (half-open) and clips of ranges of frames a clip.
      seconds: length of a stored clip, to a tenth, of those whose rate is on record.
      second_bins: as `bins`, of tenths of a second.
      total_seconds: of all those clips.
      pixels, rates: texts and how many clips have them, the most frequent first.
      lost: by reason, the most frequent first.
    """

    counts: Mapping[tuple[str, str], int]
    class_sizes: Mapping[str, tuple[int, ...]]
    num_frames: Mapping[str, Spread]
    bins: tuple[tuple[int, int, int], ...]
    seconds: Spread | None
    second_bins: tuple[tuple[int, int, int], ...]
    total_seconds: float
    pixels: tuple[tuple[str, int], ...]
    rates: tuple[tuple[str, int], ...]
    source_num_bytes: int
    lost: tuple[Lost, ...]


@dataclass(frozen=True, slots=True)
class ShardFigures:
    """The shards of one split: rows of each, and bytes of each with its index."""

    split: str
    num_shards: int
    num_rows: Spread
    num_bytes: Spread


class _Tally:
    """Counts rows by the values of some columns."""

    def __init__(self, *names: str) -> None:
        self._names = list(names)
        fields = [(name, clips_table.SCHEMA.field(name).type) for name in names]
        self._schema = pa.schema([*fields, ("num_clips", pa.int64())])
        self._parts = [self._schema.empty_table()]

    def add(self, table: pa.Table) -> None:
        """Counts some more rows."""
        ones = pa.repeat(pa.scalar(1, pa.int64()), table.num_rows)
        counted = table.select(self._names).append_column("num_clips", ones)
        self._parts.append(self._added_up(counted))
        num_rows = [part.num_rows for part in self._parts]
        if sum(num_rows[1:]) > num_rows[0]:  # so that merging costs little
            self._merge()

    def table(self) -> pa.Table:
        """Returns the columns and `num_clips`, in any order."""
        self._merge()
        return self._parts[0]

    def _merge(self) -> None:
        self._parts = [self._added_up(pa.concat_tables(self._parts))]

    def _added_up(self, counted: pa.Table) -> pa.Table:
        grouped = counted.group_by(self._names, use_threads=False)
        summed = grouped.aggregate([("num_clips", "sum")])
        chosen = summed.select([*self._names, "num_clips_sum"])
        return chosen.rename_columns(self._schema.names).cast(self._schema)


class _LostClips:
    """Counts the clips that are not stored and names the first of each reason."""

    def __init__(self) -> None:
        self._tally = _Tally("reason")
        self._named: dict[str, list[tuple[str, str, str]]] = {}
        self._complete: set[str] = set()

    def add(self, table: pa.Table) -> None:
        """Counts some more clips, in the table's order."""
        self._tally.add(table)
        complete = pa.array(sorted(self._complete), pa.string())
        is_complete = compute.is_in(table["reason"], complete)
        rest = table.filter(compute.invert(is_complete))
        columns = ("reason", "clip_id", "split", "detail")
        for reason, *row in zip(*(rest[n].to_pylist() for n in columns), strict=True):
            named = self._named.setdefault(reason, [])
            if len(named) < MAX_NAMED:
                named.append(tuple(row))
            else:
                self._complete.add(reason)

    def lost(self) -> tuple[Lost, ...]:
        """Returns the clips by reason, the most frequent first."""
        counted = self._tally.table().to_pylist()
        pairs = [(row["reason"], row["num_clips"]) for row in counted]
        pairs.sort(key=lambda pair: (-pair[1], pair[0]))
        return tuple(Lost(r, n, tuple(self._named[r])) for r, n in pairs)


def figures_of(batches: Iterable[pa.RecordBatch], num_classes: int) -> Figures:
    """Returns the figures of batches of clips with COLUMNS."""
    counts, lost = _Tally("split", "status"), _LostClips()
    label_ids, num_frames = _Tally("split", "label_id"), _Tally("split", "num_frames")
    pixels, rates = _Tally("width", "height"), _Tally("fps_from_header")
    tenths = _Tally("num_frames")  # of a second
    num_bytes, total_seconds = 0, 0.0
    for table in clips_table.gathered(batches):
        counts.add(table)
        is_stored = compute.equal(table["status"], records.STORED)
        stored = table.filter(is_stored)
        for tally in (label_ids, num_frames, pixels, rates):
            tally.add(stored)
        seconds = _seconds(stored)
        total_seconds += compute.sum(seconds).as_py() or 0.0
        rounded = compute.round(compute.multiply(seconds, 10.0)).cast(pa.int32())
        tenths.add(pa.table({"num_frames": rounded}))
        num_bytes += compute.sum(stored["source_num_bytes"]).as_py() or 0
        lost.add(table.filter(compute.invert(is_stored)))
    lengths = num_frames.table()
    by_tenth = tenths.table().sort_by("num_frames")
    values, num_clips = (by_tenth[name].to_numpy() for name in by_tenth.column_names)
    spreads = {
        split: Spread.of_counts(*_of(lengths, split)) for split in records.SPLITS
    }
    return Figures(
        counts={
            (row["split"], row["status"]): row["num_clips"]
            for row in counts.table().to_pylist()
        },
        class_sizes=_class_sizes(label_ids.table(), num_classes),
        num_frames={split: spread for split, spread in spreads.items() if spread},
        bins=_bins(lengths),
        seconds=Spread.of_counts(values / 10, num_clips),
        second_bins=_bins(by_tenth),
        total_seconds=total_seconds,
        pixels=_most_frequent(pixels.table(), "{0} x {1}"),
        rates=_most_frequent(rates.table(), "{0:.6g}"),
        source_num_bytes=num_bytes,
        lost=lost.lost(),
    )


def _seconds(stored: pa.Table) -> pa.ChunkedArray:
    """Returns the lengths of the clips whose rate is known, in seconds."""
    timed = stored.filter(compute.greater(stored["fps_from_header"], 0.0))
    return compute.divide(timed["num_frames"], timed["fps_from_header"])


def shard_figures(manifest: manifests.Manifest) -> list[ShardFigures]:
    """Returns how evenly each split's shards are filled."""
    figures = []
    for split in records.SPLITS:
        entries = [entry for entry in manifest.shards if entry.split == split]
        num_bytes = [
            sum(p.num_bytes for p in (e.mindrecord, e.mindrecord_index) if p)
            for e in entries
        ]
        rows = Spread.of([entry.num_rows for entry in entries])
        sizes = Spread.of(num_bytes)
        if rows and sizes:
            figures.append(ShardFigures(split, len(entries), rows, sizes))
    return figures


def _of(lengths: pa.Table, split: str) -> tuple[_Numbers, _Numbers]:
    """Returns a split's distinct numbers of frames in order, and clips of each."""
    own = lengths.filter(compute.equal(lengths["split"], split)).sort_by("num_frames")
    return own["num_frames"].to_numpy(), own["num_clips"].to_numpy()


def _class_sizes(counted: pa.Table, num_classes: int) -> dict[str, tuple[int, ...]]:
    sizes = {split: np.zeros(num_classes, np.int64) for split in records.SPLITS}
    for split, of_split in sizes.items():
        own = counted.filter(compute.equal(counted["split"], split))
        label_ids, counts = own["label_id"].to_numpy(), own["num_clips"].to_numpy()
        is_known = (label_ids >= 0) & (label_ids < num_classes)
        of_split[label_ids[is_known]] = counts[is_known]
    return {split: tuple(of_split.tolist()) for split, of_split in sizes.items()}


def _bins(lengths: pa.Table) -> tuple[tuple[int, int, int], ...]:
    """Returns ranges of one width that hold all values; the first begins at 0."""
    if not lengths.num_rows:
        return ()
    values = lengths["num_frames"].to_numpy().astype(np.int64)
    width = max(1, -(-(int(values.max()) + 1) // _NUM_BINS))
    heights = np.zeros(int(values.max()) // width + 1, np.int64)
    np.add.at(heights, values // width, lengths["num_clips"].to_numpy())
    return tuple(
        (i * width, (i + 1) * width, n) for i, n in enumerate(heights.tolist())
    )


def _most_frequent(counted: pa.Table, text: str) -> tuple[tuple[str, int], ...]:
    *names, number = counted.column_names
    order = [(number, "descending"), *((name, "ascending") for name in names)]
    ordered = counted.sort_by(order)
    shown = [
        (text.format(*(row[name] for name in names)), row[number])
        for row in ordered.slice(0, _MAX_VALUES).to_pylist()
    ]
    rest = ordered.slice(_MAX_VALUES)
    if rest.num_rows:
        shown.append((f"{rest.num_rows} others", compute.sum(rest[number]).as_py()))
    return tuple(shown)
