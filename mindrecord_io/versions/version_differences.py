"""Compares two versions: manifests in words, clips by their tables."""

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

from mindrecord_io import records
from mindrecord_io.shards import sharding
from mindrecord_io.storage import files, spilled_rows, table_join
from mindrecord_io.storage.tallies import Tally
from mindrecord_io.versions import clips_table
from mindrecord_io.versions.manifests import Manifest

__all__ = [
    "CHANGE_COLUMNS",
    "COLUMNS",
    "KINDS",
    "MAX_LISTED",
    "Change",
    "Difference",
    "changed_clips",
    "changes",
    "compare",
    "num_new_shards",
    "spilled",
]

COLUMNS = (
    *("clip_id", "split", "label", "label_id", "status", "reason"),
    "source_sha256",
)
"""The columns of clips.parquet that are compared."""

CHANGE_COLUMNS = ("clip_id", "change", "before", "after")
"""Columns of the list of changes; a change is one of KINDS."""

KINDS: Mapping[str, str] = {
    "added": "annotated now, or its file found: '' and its split",
    "withdrawn": "not annotated any more: its split and ''",
    "missing": "annotated, but its file is not there any more: its split and ''",
    "quarantined": "not stored any more, or new and not stored: '' and the reason; or "
    "for another reason: both reasons",
    "restored": "stored again: the reason for which it was not, and ''",
    "moved": "to another split: both splits",
    "relabelled": "another label's text: both labels",
    "renumbered": "the same label with another number: both numbers",
    "replaced": "its file has another content: both SHA-256",
}
"""What a change means, and what is before and after."""

MAX_LISTED = 100
"""Clips of one kind of change that are listed."""

_IN_SHARDS = (records.STORED, records.QUARANTINED)
_ROWS = pa.schema([clips_table.SCHEMA.field(name) for name in COLUMNS])

Change = tuple[str, str, str, str]
"""The values of CHANGE_COLUMNS."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Clips that differ from the parent's.

    Attributes:
      numbers: of clips by kind of change, all of KINDS.
      listed: the first of each kind, in the order of their ids.
    """

    numbers: Mapping[str, int]
    listed: tuple[Change, ...] = ()


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


class _Clip(NamedTuple):
    clip_id: str
    split: str
    label: str
    label_id: int
    status: str
    reason: str
    source_sha256: str | None


def spilled(batches: Iterable[pa.RecordBatch]) -> spilled_rows.SpilledRows:
    """Returns the annotated clips of batches with COLUMNS, on disk."""
    rows = spilled_rows.SpilledRows(_ROWS, sharding.NUM_PARTITIONS)
    annotated = pa.array([*_IN_SHARDS, records.MISSING])
    for batch in batches:
        kept = batch.filter(compute.is_in(batch.column("status"), annotated))
        clip_ids = kept.column("clip_id").to_pylist()
        columns = [kept.column(name) for name in COLUMNS]
        places = sharding.partitions_of(sharding.clip_hashes(clip_ids))
        rows.extend(pa.record_batch(columns, schema=_ROWS), places)
    return rows


def changed_clips(
    before: spilled_rows.SpilledRows, after: spilled_rows.SpilledRows
) -> Iterator[Change]:
    """Yields the changes of two versions' clips, as `spilled` returns these.

    Clips of neither version's shards have none. A clip may have several.
    """
    for partition in range(sharding.NUM_PARTITIONS):
        old, new = before.table(partition), after.table(partition)
        own = table_join.aligned(old, new.column("clip_id"))
        is_other = pa.array(_differ(own, new))
        pairs = (_clips(rows.filter(is_other)) for rows in (own, new))
        for was, clip in zip(*pairs, strict=True):
            yield from _changes_of(was if was.clip_id else None, clip)
        is_kept = table_join.is_among(old.column("clip_id"), new.column("clip_id"))
        for clip in _clips(old.filter(pa.array(~is_kept))):
            if clip.status in _IN_SHARDS:
                yield clip.clip_id, "withdrawn", clip.split, ""


def _clips(rows: pa.Table) -> Iterator[_Clip]:
    columns = (column.to_pylist() for column in rows.columns)
    return (_Clip(*row) for row in zip(*columns, strict=True))


def _differ(old: pa.Table, new: pa.Table) -> npt.NDArray[np.bool_]:
    """Returns which rows are not the same, among them those that were not there."""
    pairs = zip(old.columns, new.columns, strict=True)
    is_same = functools.reduce(compute.and_, (compute.equal(*pair) for pair in pairs))
    return ~table_join.mask(is_same)


def _changes_of(old: _Clip | None, new: _Clip) -> Iterator[Change]:
    clip_id = new.clip_id
    was_there = old is not None and old.status in _IN_SHARDS
    if new.status == records.MISSING and not was_there:
        return
    if old is None or not was_there:
        if new.status == records.STORED:
            yield clip_id, "added", "", new.split
        else:
            yield clip_id, "quarantined", "", new.reason
        return
    if new.status == records.MISSING:
        yield clip_id, "missing", old.split, ""
    elif new.status != old.status:
        was_stored = old.status == records.STORED
        kind = "quarantined" if was_stored else "restored"
        yield clip_id, kind, *(("", new.reason) if was_stored else (old.reason, ""))
    elif new.status == records.QUARANTINED and new.reason != old.reason:
        yield clip_id, "quarantined", old.reason, new.reason
    if new.split != old.split:
        yield clip_id, "moved", old.split, new.split
    if new.label != old.label:
        yield clip_id, "relabelled", old.label, new.label
    elif new.label_id != old.label_id:
        yield clip_id, "renumbered", str(old.label_id), str(new.label_id)
    before, after = _content(old), _content(new)
    if before and after and before != after:
        yield clip_id, "replaced", before, after


def _content(clip: _Clip) -> str:
    """Returns the SHA-256 of a clip's file, "" if it is not known."""
    sha256 = clip.source_sha256 or ""
    return "" if sha256 == files.UNREAD_SHA256 else sha256


def compare(
    before: spilled_rows.SpilledRows, after: spilled_rows.SpilledRows
) -> Difference:
    """Counts the changes of two versions' clips, and lists the first of each kind."""
    tallies: dict[str, Tally[Change]] = {kind: Tally(MAX_LISTED) for kind in KINDS}
    for change in changed_clips(before, after):
        clip_id, kind, *_ = change
        tallies[kind].add(clip_id, change)
    return Difference(
        {kind: len(tally) for kind, tally in tallies.items()},
        tuple(change for tally in tallies.values() for change in tally.first),
    )
