"""Annotations, files and what a version holds, joined by clip id, on the disk.

Nothing here has all clips in memory: a partition at a time (see partitions) is joined,
counted, and written away as references.
"""

import collections
import dataclasses
import heapq
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from mindrecord_io import records
from mindrecord_io.shards import sharding
from mindrecord_io.storage import files, spilled_rows, tallies
from pipelines.planning import annotation_changes, clip_references, held_clips
from pipelines.sources import something_something

__all__ = ["ClipListing", "FoundClips", "Knows", "by_shard", "match"]

_ASKED = pa.schema(
    [
        ("position", pa.int64()),
        ("clip_id", pa.string()),
        ("split_index", pa.int8()),
        ("label_id", pa.int32()),
    ]
)
_FOUND = pa.schema(
    [("clip_id", pa.binary()), ("uri", pa.binary()), ("is_offered", pa.bool_())]
)
_UNLISTED = pa.schema([("clip_id", pa.string())])

Knows = Callable[[held_clips.HeldClip], clip_references.StoredSource | None]
"""What of a held clip may be taken over."""


class FoundClips:
    """Where the files of clips are, by id; ids may be any file name."""

    def __init__(self, salt: str) -> None:
        self.salt = salt
        self._spilled = spilled_rows.SpilledRows(_FOUND, sharding.NUM_PARTITIONS)

    def __len__(self) -> int:
        return len(self._spilled)

    def add(self, clip_id: str, uri: str | None, *, is_offered: bool = True) -> None:
        """Adds a clip.

        Args:
          uri: None where nobody can tell: the clip is missing if it is annotated.
          is_offered: it is told as unlisted if no annotation names it.
        """
        place = sharding.partition_of(files.printable(clip_id), self.salt)
        encoded = None if uri is None else os.fsencode(uri)
        self._spilled.append((os.fsencode(clip_id), encoded, is_offered), place)

    def rows(self, partition: int) -> Iterator[tuple[str, str | None, bool]]:
        """Yields the id, the uri and whether it is offered, of a partition's clips."""
        for clip_id, uri, is_offered in self._spilled.rows(partition):
            path = None if uri is None else os.fsdecode(uri)
            yield os.fsdecode(clip_id), path, is_offered


@dataclass(slots=True)
class ClipListing:
    """The clips that a version is to hold, and those that it cannot.

    Attributes:
      salt: keys the hash that places clips, in shards and in partitions.
      num_clips: how many there are to hold, by split.
      missing: ids of annotated clips that have no file, in annotation order.
      unlisted: ids of files that no annotation names, in the order of the ids.
      quarantined: the clip id, reason and detail of clips to hold that the version from
        which the job starts tells of as quarantined.
      difference: of that version, None where there is none.
    """

    salt: str
    num_clips: collections.Counter[str] = field(default_factory=collections.Counter)
    missing: tallies.Tally[str] = field(default_factory=tallies.Tally)
    quarantined: tallies.Tally[tuple[str, str, str]] = field(
        default_factory=tallies.Tally
    )
    difference: annotation_changes.Changes | None = None
    _rows: spilled_rows.SpilledRows = field(
        default_factory=lambda: spilled_rows.SpilledRows(
            clip_references.ROWS, sharding.NUM_PARTITIONS
        )
    )
    _unlisted: spilled_rows.SpilledRows = field(
        default_factory=lambda: spilled_rows.SpilledRows(
            _UNLISTED, sharding.NUM_PARTITIONS
        )
    )

    def add(self, reference: clip_references.Reference, partition: int) -> None:
        """Adds a clip to hold."""
        self.num_clips[reference.split] += 1
        self._rows.append(reference.row, partition)

    def add_unlisted(self, clip_ids: list[str], partition: int) -> None:
        """Adds the files of a partition that no annotation names."""
        for clip_id in sorted(clip_ids):
            self._unlisted.append((clip_id,), partition)

    @property
    def num_partitions(self) -> int:
        """How many partitions there are."""
        return self._rows.num_partitions

    @property
    def num_unlisted(self) -> int:
        """How many files no annotation names."""
        return len(self._unlisted)

    def references(self, partition: int) -> Iterator[clip_references.Reference]:
        """Yields the clips to hold of a partition."""
        return map(clip_references.Reference.of_row, self._rows.rows(partition))

    def with_checksums(self, expected: spilled_rows.SpilledRows) -> "ClipListing":
        """Returns the listing, its clips with the checksums that their files must have.

        Args:
          expected: a position and a SHA-256, "" for none, for every clip to hold, each
            in the clip's partition.
        """
        rows = spilled_rows.SpilledRows(clip_references.ROWS, self.num_partitions)
        for partition in range(self.num_partitions):
            listed = dict(expected.rows(partition))
            for clip in self.references(partition):
                sha256 = listed[clip.position]
                checked = dataclasses.replace(clip, expected_sha256=sha256)
                rows.append(checked.row, partition)
        return dataclasses.replace(self, _rows=rows)

    def unlisted(self) -> Iterator[str]:
        """Yields the ids of the files that no annotation names, sorted."""
        runs = (self._unlisted.rows(i) for i in range(self.num_partitions))
        return (clip_id for (clip_id,) in heapq.merge(*runs))


def match(
    annotated: something_something.Annotations,
    found: FoundClips,
    held: held_clips.HeldClips | None = None,
    *,
    knows: Knows | None = None,
) -> ClipListing:
    """Joins the annotations with the files that there are and what a version holds.

    Args:
      held: the version's clips, placed by the salt of `found`; None without a version.
      knows: None lets nothing be taken over.
    """
    asked = _partitioned(annotated, found.salt)
    listing = ClipListing(found.salt)
    comparison = None
    if held is not None:
        comparison = annotation_changes.Comparison(held.version, annotated.label_map)
    for index in range(sharding.NUM_PARTITIONS):
        uris = {clip_id: (uri, is_o) for clip_id, uri, is_o in found.rows(index)}
        before = {} if held is None else held.partition(index)
        for position, clip_id, split_index, label_id in asked.rows(index):
            uri, _ = uris.pop(clip_id, (None, False))
            if uri is None:
                listing.missing.add(position, clip_id)
                continue
            old = before.get(clip_id)
            split = records.SPLITS[split_index]
            known = knows(old) if knows and old and old.is_in_shard else None
            reference = clip_references.Reference(
                position, clip_id, split, label_id, uri, known=known
            )
            listing.add(reference, index)
            if comparison is not None:
                comparison.add(reference, old)
            if old is not None and old.status == records.QUARANTINED:
                why = (clip_id, old.reason, old.detail)
                listing.quarantined.add(old.order, why)
        if comparison is not None:
            comparison.end_partition(before)
        offered = [clip_id for clip_id, (_, is_offered) in uris.items() if is_offered]
        listing.add_unlisted([files.printable(clip_id) for clip_id in offered], index)
    listing.difference = None if comparison is None else comparison.result()
    return listing


def by_shard(
    listing: ClipListing, num_shards: Mapping[str, int]
) -> Iterator[tuple[str, int, list[clip_references.Reference]]]:
    """Yields the split, index and clips of every shard that has clips.

    A shard is yielded when the partition is done in which its range of the hash ends.
    """
    pending: dict[tuple[str, int], list[clip_references.Reference]] = {}
    total = listing.num_partitions
    for partition in range(total):
        for reference in listing.references(partition):
            split = reference.split
            index = sharding.shard_index(
                reference.clip_id, num_shards[split], listing.salt
            )
            pending.setdefault((split, index), []).append(reference)
        for split, index in sorted(pending):
            if (index + 1) * total <= (partition + 1) * num_shards[split]:
                yield split, index, pending.pop((split, index))
    assert not pending


def _partitioned(
    annotated: something_something.Annotations, salt: str
) -> spilled_rows.SpilledRows:
    asked = spilled_rows.SpilledRows(_ASKED, sharding.NUM_PARTITIONS)
    split_indices = {split: index for index, split in enumerate(records.SPLITS)}
    for position, clip in enumerate(annotated.clips):
        row = (position, clip.clip_id, split_indices[clip.split], clip.label_id)
        asked.append(row, sharding.partition_of(clip.clip_id, salt))
    return asked
