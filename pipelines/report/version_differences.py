"""Compares a version with its parent: manifests in words, clips in numbers."""

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa
from pyarrow import compute

from mindrecord_io import records
from mindrecord_io.shards import sharding
from mindrecord_io.storage import spilled_rows
from mindrecord_io.storage.tallies import Tally
from mindrecord_io.versions import clips_table
from mindrecord_io.versions.manifests import Manifest

__all__ = [
    "COLUMNS",
    "MAX_LISTED",
    "Difference",
    "changes",
    "compare",
    "num_new_shards",
    "spilled",
]

COLUMNS = ("clip_id", "split", "label", "status")
"""The columns of clips.parquet that are compared."""

MAX_LISTED = 100
"""Clips of one kind of change that are listed."""

_COMPARED = COLUMNS[:-1]
_ROWS = pa.schema([clips_table.SCHEMA.field(name) for name in _COMPARED])


@dataclass(frozen=True, slots=True)
class Difference:
    """Clips that differ from the parent's, stored or quarantined.

    Attributes:
      listed: the first of each kind in the order of their ids: (kind, clip_id, before,
        after), where before and after are labels or splits.
    """

    num_added: int
    num_withdrawn: int
    num_moved: int
    num_relabelled: int
    listed: tuple[tuple[str, str, str, str], ...] = ()

    @property
    def numbers(self) -> dict[str, int]:
        """The number of clips by kind of change."""
        return {
            "added": self.num_added,
            "withdrawn": self.num_withdrawn,
            "moved": self.num_moved,
            "relabelled": self.num_relabelled,
        }


def changes(manifest: Manifest, parent: Manifest | None) -> tuple[str, ...]:
    """Returns in words how a version differs from its parent.

    Args:
      parent: None if there is none, or if it was pruned.
    """
    if parent is None:
        return ("which is gone",) if manifest.parent else ()
    num_new = num_new_shards(manifest, parent)
    lines = [f"{len(manifest.shards) - num_new} of its shards kept, {num_new} new"]
    before, after = (dataclasses.asdict(m.settings) for m in (parent, manifest))
    lines += [
        f"{name} {before[name]} -> {after[name]}"
        for name in after
        if before[name] != after[name]
    ]
    if manifest.num_shards != parent.num_shards:
        lines.append(f"shards by split {parent.num_shards} -> {manifest.num_shards}")
    if manifest.label_digest != parent.label_digest:
        lines.append("annotations changed")
    if manifest.num_classes != parent.num_classes:
        lines.append(f"{parent.num_classes} -> {manifest.num_classes} classes")
    if manifest.num_clips != parent.num_clips:
        lines.append(f"{manifest.num_clips - parent.num_clips:+d} clips")
    for name in ("quarantined", "missing", "unlisted"):
        old, new = (getattr(m, f"num_{name}") for m in (parent, manifest))
        if old != new:
            lines.append(f"{name} {old} -> {new}")
    if manifest.decoders != parent.decoders:
        lines.append(f"decoders {_names(parent)} -> {_names(manifest)}")
    if len(lines) == 1 and not num_new and manifest.clips_table != parent.clips_table:
        lines.append("the table of clips alone, as where files are")
    return tuple(lines)


def _names(manifest: Manifest) -> str:
    return " ".join(decoder.name for decoder in manifest.decoders) or "unknown"


def num_new_shards(manifest: Manifest, parent: Manifest | None) -> int:
    """Returns how many shards the parent does not have; all without a parent."""
    old = {entry.path for entry in parent.shards} if parent else set()
    return sum(entry.path not in old for entry in manifest.shards)


def spilled(batches: Iterable[pa.RecordBatch]) -> spilled_rows.SpilledRows:
    """Returns the stored and quarantined clips of batches with COLUMNS, on disk."""
    rows = spilled_rows.SpilledRows(_ROWS, sharding.NUM_PARTITIONS)
    in_shards = pa.array([records.STORED, records.QUARANTINED])
    for batch in batches:
        kept = batch.filter(compute.is_in(batch.column("status"), in_shards))
        columns = (kept.column(name).to_pylist() for name in _COMPARED)
        for row in zip(*columns, strict=True):
            rows.append(row, sharding.partition_of(row[0]))
    return rows


def changed_clips(
    before: spilled_rows.SpilledRows, after: spilled_rows.SpilledRows
) -> Iterator[tuple[str, str, str, str]]:
    """Yields clip id, change, and what was before and after, of two versions' clips."""
    for partition in range(sharding.NUM_PARTITIONS):
        old = {row[0]: row[1:] for row in before.rows(partition)}
        for clip_id, split, label in after.rows(partition):
            if clip_id not in old:
                yield clip_id, "added", "", split
                continue
            old_split, old_label = old.pop(clip_id)
            if split != old_split:
                yield clip_id, "moved", old_split, split
            if label != old_label:
                yield clip_id, "relabelled", old_label, label
        for clip_id, (old_split, _) in old.items():
            yield clip_id, "withdrawn", old_split, ""


def compare(
    before: spilled_rows.SpilledRows, after: spilled_rows.SpilledRows
) -> Difference:
    """Compares the clips of two versions, as `spilled` returns them."""
    kinds = ("added", "withdrawn", "moved", "relabelled")
    tallies: dict[str, Tally[tuple[str, str, str, str]]] = {
        kind: Tally(MAX_LISTED) for kind in kinds
    }

    def count(kind: str, clip_id: str, old: str, new: str) -> None:
        tallies[kind].add(clip_id, (kind, clip_id, old, new))

    for partition in range(sharding.NUM_PARTITIONS):
        gone = {row[0]: row for row in before.rows(partition)}
        for clip_id, split, label in after.rows(partition):
            if clip_id not in gone:
                count("added", clip_id, "", label)
                continue
            _, old_split, old_label = gone.pop(clip_id)
            if split != old_split:
                count("moved", clip_id, old_split, split)
            if label != old_label:
                count("relabelled", clip_id, old_label, label)
        for clip_id, _, label in gone.values():
            count("withdrawn", clip_id, label, "")
    added, withdrawn, moved, relabelled = (len(tallies[kind]) for kind in kinds)
    return Difference(
        added,
        withdrawn,
        moved,
        relabelled,
        listed=tuple(row for kind in kinds for row in tallies[kind].first),
    )
