"""The clips that a version is to hold, on the disk, to be gone through by shard."""

import collections
import dataclasses
import heapq
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from mindrecord_io import records
from mindrecord_io.shards import sharding
from mindrecord_io.storage import spilled_rows, tallies
from pipelines.planning import clip_references
from pipelines.planning.annotation_changes import Changes
from pipelines.planning.clip_references import Reference
from pipelines.planning.published_clips import PublishedClip

__all__ = ["LOST_COLUMNS", "ClipListing", "by_shard"]

LOST_COLUMNS = ("clip_id", "split", "label", "reason", "detail", "uri")
"""The columns of a list of clips that cannot be stored."""

_LOST = pa.schema([(n, pa.string()) for n in LOST_COLUMNS])
_HELD = pa.schema([*clip_references.ROWS, ("hash", pa.uint64())])
_UNLISTED = pa.schema([("clip_id", pa.string())])


def _spilled(schema: pa.Schema) -> spilled_rows.SpilledRows:
    return spilled_rows.SpilledRows(schema, sharding.NUM_PARTITIONS)


@dataclass(slots=True)
class ClipListing:
    """The clips that a version is to hold, and those that it cannot.

    Attributes:
      salt: of the hash that places clips in shards.
      num_clips: clips to hold, by split.
      missing: ids of annotated clips that have no file, in annotation order.
      empty: id, reason and detail of clips to hold whose files have no bytes.
      lost: rows of LOST_COLUMNS, of the missing and the empty clips.
      num_source_bytes: of the files that are not published yet.
      num_folders: of frames, whose bytes are not among these.
      quarantined: id, reason and detail of clips to hold that are quarantined in the
        version from which the job starts.
      difference: from that version, None where there is none.
    """

    salt: str = sharding.DEFAULT_SALT
    num_clips: collections.Counter[str] = field(default_factory=collections.Counter)
    missing: tallies.Tally[str] = field(default_factory=tallies.Tally)
    empty: tallies.Tally[tuple[str, str, str]] = field(default_factory=tallies.Tally)
    lost: spilled_rows.SpilledRows = field(
        default_factory=lambda: spilled_rows.SpilledRows(_LOST)
    )
    num_source_bytes: int = 0
    num_folders: int = 0
    quarantined: tallies.Tally[tuple[str, str, str]] = field(
        default_factory=tallies.Tally
    )
    difference: Changes | None = None
    _rows: spilled_rows.SpilledRows = field(default_factory=lambda: _spilled(_HELD))
    _unlisted: spilled_rows.SpilledRows = field(
        default_factory=lambda: _spilled(_UNLISTED)
    )
    _checksums: spilled_rows.SpilledRows | None = None

    def add(self, clip: Reference, published: PublishedClip | None = None) -> None:
        """Adds a clip to hold, and what the version has of it."""
        self.num_clips[clip.split] += 1
        place = sharding.clip_hash(clip.clip_id, self.salt)
        partition = (place * self.num_partitions) >> 64
        self._rows.append((*clip.row, place), partition)
        if published is not None and published.status == records.QUARANTINED:
            why = (clip.clip_id, published.reason, published.detail)
            self.quarantined.add(published.order, why)

    def add_missing(self, clip: records.Annotation, position: int, why: str) -> None:
        """Adds an annotated clip that has no file."""
        self.missing.add(position, clip.clip_id)
        row = (clip.clip_id, clip.split, clip.label, "missing", why, "")
        self.lost.append(row)

    def measure(
        self,
        clip: Reference,
        label: str,
        status: os.stat_result,
        *,
        is_published: bool,
    ) -> None:
        """Records the size of a clip's file on this machine; empty ones are lost."""
        if stat.S_ISDIR(status.st_mode):
            self.num_folders += not is_published
            return
        if not status.st_size:
            why = ("empty", f"{clip.uri} has no bytes")
            self.empty.add(clip.position, (clip.clip_id, *why))
            self.lost.append((clip.clip_id, clip.split, label, *why, clip.uri))
        self.num_source_bytes += 0 if is_published else status.st_size

    def add_unlisted(self, clip_ids: Iterable[str], partition: int) -> None:
        """Adds the files of a partition that no annotation names."""
        for clip_id in sorted(clip_ids):
            self._unlisted.append((clip_id,), partition)

    @property
    def num_partitions(self) -> int:
        """The number of partitions."""
        return self._rows.num_partitions

    @property
    def num_unlisted(self) -> int:
        """The number of files that no annotation names."""
        return len(self._unlisted)

    def references(self, partition: int) -> Iterator[Reference]:
        """Yields the clips to hold of a partition."""
        for rows in self.rows(partition):
            yield from clip_references.of_rows(rows.select(clip_references.ROWS.names))

    def rows(self, partition: int) -> Iterator[pa.RecordBatch]:
        """Yields the same as rows of clip_references.ROWS, and the hash that places."""
        if self._checksums is None:
            yield from self._rows.batches(partition)
            return
        sha256 = dict(self._checksums.rows(partition))
        for rows in self._rows.batches(partition):
            expected = [sha256[i] for i in rows.column("position").to_pylist()]
            place = rows.schema.get_field_index("expected_sha256")
            column = pa.array(expected, pa.string())
            yield rows.set_column(place, rows.schema.field(place), column)

    def with_checksums(self, expected: spilled_rows.SpilledRows) -> "ClipListing":
        """Returns the listing, its clips with the checksums that their files must have.

        Args:
          expected: position and SHA-256, "" for none, of every clip to hold, each in
            the clip's partition.
        """
        return dataclasses.replace(self, _checksums=expected)

    def unlisted(self) -> Iterator[str]:
        """Yields the ids of the files that no annotation names, sorted."""
        runs = (self._unlisted.rows(i) for i in range(self.num_partitions))
        return (clip_id for (clip_id,) in heapq.merge(*runs))


def by_shard(
    listing: ClipListing, num_shards: Mapping[str, int]
) -> Iterator[tuple[str, int, pa.RecordBatch]]:
    """Yields the split, index and clips of every shard that has clips.

    Clips are rows of clip_references.ROWS. A shard is yielded at the end of the
    partition in which its range of the hash ends.
    """
    pending: dict[tuple[str, int], list[pa.RecordBatch]] = {}
    total = listing.num_partitions
    for partition in range(total):
        for rows in listing.rows(partition):
            for split, index, some in _apart(rows, num_shards):
                pending.setdefault((split, index), []).append(some)
        for split, index in sorted(pending):
            if (index + 1) * total <= (partition + 1) * num_shards[split]:
                table = pa.Table.from_batches(pending.pop((split, index)))
                yield split, index, table.combine_chunks().to_batches()[0]
    assert not pending


def _apart(
    rows: pa.RecordBatch, num_shards: Mapping[str, int]
) -> Iterator[tuple[str, int, pa.RecordBatch]]:
    """Yields those of each shard."""
    splits = rows.column("split_index").to_numpy()
    counts = np.array([num_shards.get(s, 0) for s in records.SPLITS], np.uint64)
    indices = sharding.shard_indices(rows.column("hash").to_numpy(), counts[splits])
    order = np.lexsort((indices, splits))
    splits, indices = splits[order], indices[order]
    is_other = (np.diff(splits) != 0) | (np.diff(indices) != 0)
    begins = [0, *(np.flatnonzero(is_other) + 1).tolist()]
    ordered = rows.select(clip_references.ROWS.names).take(order)
    for begin, end in zip(begins, [*begins[1:], len(order)], strict=True):
        split = records.SPLITS[splits[begin]]
        yield split, int(indices[begin]), ordered.slice(begin, end - begin)
