"""The clips that a version is to hold, on the disk, to be gone through by shard."""

import collections
import dataclasses
import heapq
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

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
    _rows: spilled_rows.SpilledRows = field(
        default_factory=lambda: _spilled(clip_references.ROWS)
    )
    _unlisted: spilled_rows.SpilledRows = field(
        default_factory=lambda: _spilled(_UNLISTED)
    )
    _checksums: spilled_rows.SpilledRows | None = None

    def add(
        self,
        clip: Reference,
        published: PublishedClip | None = None,
        *,
        partition: int | None = None,
    ) -> None:
        """Adds a clip to hold, and what the version has of it.

        Args:
          partition: of the clip by the listing's salt, if the caller has it.
        """
        self.num_clips[clip.split] += 1
        if partition is None:
            partition = sharding.partition_of(clip.clip_id, self.salt)
        self._rows.append(clip.row, partition)
        if published is not None and published.status == records.QUARANTINED:
            why = (clip.clip_id, published.reason, published.detail)
            self.quarantined.add(published.order, why)

    def add_missing(self, clip: records.Annotation, position: int, why: str) -> None:
        """Adds an annotated clip that has no file."""
        self.missing.add(position, clip.clip_id)
        row = (clip.clip_id, clip.split, clip.label, "missing", why, "")
        self.lost.append(row)

    def measure(self, clip: Reference, label: str, *, is_published: bool) -> None:
        """Records the size of a clip's file on this machine; empty ones are lost."""
        try:
            status = os.stat(clip.uri)  # noqa: PTH116 - a Path costs more than this
        except OSError:  # the task that reads it reports it
            return
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
        clips = map(Reference.of_row, self._rows.rows(partition))
        if self._checksums is None:
            return clips
        sha256 = dict(self._checksums.rows(partition))
        return (
            dataclasses.replace(clip, expected_sha256=sha256[clip.position])
            for clip in clips
        )

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
) -> Iterator[tuple[str, int, list[Reference]]]:
    """Yields the split, index and clips of every shard that has clips.

    A shard is yielded at the end of the partition in which its range of the hash ends.
    """
    pending: dict[tuple[str, int], list[Reference]] = {}
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
