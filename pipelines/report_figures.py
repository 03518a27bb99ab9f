"""The numbers of a version's report, by columns: no loop has a turn for every clip."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

from mindrecord_io import manifest, records

__all__ = [
    "COLUMNS",
    "Difference",
    "Figures",
    "Lost",
    "ShardFigures",
    "Spread",
    "compare",
    "figures_of",
    "shard_figures",
]

COLUMNS = (
    "clip_id",
    "split",
    "label_id",
    "label",
    "status",
    "reason",
    "detail",
    "source_num_bytes",
    "num_frames",
    "width",
    "height",
    "fps_from_header",
    "shard",
)
"""What of clips.parquet a report is made of."""

MAX_NAMED = 100
"""Clips of one reason that are listed with their details."""

_MAX_VALUES = 12
_NUM_BINS = 40


@dataclass(frozen=True, slots=True)
class Spread:
    """How the values of at least one thing are spread; quantiles are of values."""

    minimum: float
    p1: float
    median: float
    p99: float
    maximum: float
    mean: float

    @classmethod
    def of(cls, values: npt.ArrayLike) -> "Spread | None":
        """Returns the spread of some values, None if there are none."""
        array = np.asarray(values)
        if not array.size:
            return None
        p1, median, p99 = np.quantile(array, (0.01, 0.5, 0.99), method="lower")
        ends = float(array.min()), float(array.max())
        return cls(
            ends[0], float(p1), float(median), float(p99), ends[1], float(array.mean())
        )


@dataclass(frozen=True, slots=True)
class Lost:
    """Clips that are not stored for one reason; `shown` has (id, split, detail)."""

    reason: str
    num_clips: int
    shown: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """What a report tells of a version's clips.

    Attributes:
      counts: of clips by (split, status); the split of unlisted files is "".
      class_sizes: of each split, the clips stored by label_id; unlabelled ones aside.
      num_frames: of a stored clip, by split; splits without clips are left out.
      bins: begin, end (half-open) and clips of ranges of frames a clip.
      pixels, rates: texts and how many clips have them, the most frequent first.
      lost: by reason, the most frequent first.
    """

    counts: Mapping[tuple[str, str], int]
    class_sizes: Mapping[str, tuple[int, ...]]
    num_frames: Mapping[str, Spread]
    bins: tuple[tuple[int, int, int], ...]
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


@dataclass(frozen=True, slots=True)
class Difference:
    """How many clips differ from the parent's, of those annotated and there."""

    num_added: int
    num_withdrawn: int
    num_moved: int
    num_relabelled: int


def figures_of(table: pa.Table, num_classes: int) -> Figures:
    """Returns the figures of a table of clips that has COLUMNS."""
    stored = table.filter(compute.equal(table["status"], records.STORED))
    num_frames = stored["num_frames"].to_numpy()
    splits = stored["split"].to_numpy()
    spreads = {
        split: Spread.of(num_frames[splits == split]) for split in records.SPLITS
    }
    sum_bytes = compute.sum(stored["source_num_bytes"]).as_py()
    return Figures(
        counts=_counts(table),
        class_sizes=_class_sizes(stored, num_classes),
        num_frames={split: spread for split, spread in spreads.items() if spread},
        bins=_bins(num_frames),
        pixels=_most_frequent(stored, ("width", "height"), "{0} x {1}"),
        rates=_most_frequent(stored, ("fps_from_header",), "{0:.6g}"),
        source_num_bytes=sum_bytes or 0,
        lost=_lost(table.filter(compute.not_equal(table["status"], records.STORED))),
    )


def shard_figures(said: manifest.Manifest) -> list[ShardFigures]:
    """Returns how evenly each split's shards are filled."""
    found = []
    for split in records.SPLITS:
        entries = [entry for entry in said.shards if entry.split == split]
        num_bytes = [
            sum(p.num_bytes for p in (e.mindrecord, e.mindrecord_index) if p)
            for e in entries
        ]
        rows = Spread.of([entry.num_rows for entry in entries])
        sizes = Spread.of(num_bytes)
        if rows and sizes:
            found.append(ShardFigures(split, len(entries), rows, sizes))
    return found


def compare(before: pa.Table, after: pa.Table) -> Difference:
    """Compares two tables of clips, of `clip_id`, `split`, `label` and `status`."""
    old, new = _annotated(before), _annotated(after)
    old = old.rename_columns(["clip_id", "old_split", "old_label"])
    both = new.join(old, "clip_id", join_type="inner")
    is_moved = compute.not_equal(both["split"], both["old_split"])
    is_relabelled = compute.not_equal(both["label"], both["old_label"])
    return Difference(
        num_added=new.num_rows - both.num_rows,
        num_withdrawn=old.num_rows - both.num_rows,
        num_moved=compute.sum(is_moved).as_py() or 0,
        num_relabelled=compute.sum(is_relabelled).as_py() or 0,
    )


def _annotated(table: pa.Table) -> pa.Table:
    is_in_shard = compute.is_in(
        table["status"], pa.array([records.STORED, records.QUARANTINED])
    )
    return table.filter(is_in_shard).select(["clip_id", "split", "label"])


def _counts(table: pa.Table) -> dict[tuple[str, str], int]:
    grouped = table.group_by(["split", "status"]).aggregate([([], "count_all")])
    columns = (grouped[name].to_pylist() for name in ("split", "status", "count_all"))
    return {(split, status): n for split, status, n in zip(*columns, strict=True)}


def _class_sizes(stored: pa.Table, num_classes: int) -> dict[str, tuple[int, ...]]:
    splits, label_ids = stored["split"].to_numpy(), stored["label_id"].to_numpy()
    is_known = (label_ids >= 0) & (label_ids < num_classes)
    return {
        split: tuple(
            np.bincount(
                label_ids[is_known & (splits == split)], minlength=num_classes
            ).tolist()
        )
        for split in records.SPLITS
    }


def _bins(values: npt.NDArray[np.int32]) -> tuple[tuple[int, int, int], ...]:
    """Returns ranges of one width that hold all values; the first begins at 0."""
    if not values.size:
        return ()
    width = max(1, -(-(int(values.max()) + 1) // _NUM_BINS))
    heights = np.bincount(values // width).tolist()
    return tuple((i * width, (i + 1) * width, n) for i, n in enumerate(heights))


def _most_frequent(
    table: pa.Table, names: Sequence[str], text: str
) -> tuple[tuple[str, int], ...]:
    grouped = table.group_by(list(names)).aggregate([([], "count_all")])
    order = [("count_all", "descending"), *((name, "ascending") for name in names)]
    rows = grouped.sort_by(order).to_pylist()
    shown = [
        (text.format(*(row[name] for name in names)), row["count_all"])
        for row in rows[:_MAX_VALUES]
    ]
    if rest := rows[_MAX_VALUES:]:
        others = f"{len(rest)} others"
        shown.append((others, sum(row["count_all"] for row in rest)))
    return tuple(shown)


def _lost(table: pa.Table) -> tuple[Lost, ...]:
    found = []
    for reason, num_clips in _most_frequent_reasons(table):
        rows = table.filter(compute.equal(table["reason"], reason)).slice(0, MAX_NAMED)
        columns = (rows[name].to_pylist() for name in ("clip_id", "split", "detail"))
        found.append(Lost(reason, num_clips, tuple(zip(*columns, strict=True))))
    return tuple(found)


def _most_frequent_reasons(table: pa.Table) -> list[tuple[str, int]]:
    counted = compute.value_counts(table["reason"]).to_pylist()
    pairs = [(row["values"], row["counts"]) for row in counted]
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))
