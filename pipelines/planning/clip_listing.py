"""The clips that a version is to hold, on the disk, to be gone through by shard."""

import collections
import dataclasses
import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

from mindrecord_io import records
from mindrecord_io.shards import sharding
from mindrecord_io.storage import spilled_rows, table_join, tallies
from pipelines.planning import clip_references
from pipelines.planning.annotation_changes import Changes
from pipelines.planning.clip_references import Reference

__all__ = ["LOST_COLUMNS", "NO_FILE", "ClipListing", "by_shard"]

NO_FILE = "annotated, but not in the folder of clips"
"""What is wrong with a missing clip."""

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
      quarantined_rows: the same of the quarantined ones.
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
    quarantined_rows: spilled_rows.SpilledRows = field(
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

    def add(self, clips: pa.Table) -> None:
        """Adds clips to hold: rows of clip_references.ROWS."""
        splits = collections.Counter(clips.column("split_index").to_pylist())
        self.num_clips.update({records.SPLITS[i]: num for i, num in splits.items()})
        hashes = sharding.clip_hashes(clips.column("clip_id").to_pylist(), self.salt)
        rows = clips.append_column("hash", pa.array(hashes)).combine_chunks()
        for batch in rows.to_batches():
            self._rows.extend(batch, sharding.partitions_of(hashes))

    def add_missing(self, clips: pa.Table) -> None:
        """Adds annotated clips that have no file (see Annotations.partition)."""
        for clip in clips.to_pylist():
            self.missing.add(clip["position"], clip["clip_id"])
            self.lost.append(_lost_row(clip, "missing", NO_FILE, ""))

    def add_quarantined(self, clips: pa.Table, published: pa.Table) -> None:
        """Adds those of clips to hold that the version has in quarantine.

        Args:
          published: a row for each of `clips` (see PublishedClips.partition).
        """
        status = published.column("status")
        is_one = table_join.mask(compute.equal(status, records.QUARANTINED))
        for clip, old in table_join.chosen_rows(is_one, clips, published):
            why = (old["reason"], old["detail"])
            self.quarantined.add(old["order"], (clip["clip_id"], *why))
            self.quarantined_rows.append(_lost_row(clip, *why, old["uri"]))

    def measure(
        self, clips: pa.Table, files: pa.Table, is_published: npt.NDArray[np.bool_]
    ) -> None:
        """Records how large the files of clips to hold are; empty ones are lost.

        Args:
          files: a row of clip_identities.FILES for each of `clips`.
          is_published: those of which nothing is to be decoded, bool (clips,).
        """
        num_bytes = files.column("num_bytes")
        is_folder = table_join.mask(files.column("is_folder"))
        self.num_folders += int((is_folder & ~is_published).sum())
        new = compute.sum(num_bytes.filter(pa.array(~is_published))).as_py()
        self.num_source_bytes += new or 0
        is_empty = table_join.mask(compute.equal(num_bytes, 0))
        for clip, file in table_join.chosen_rows(is_empty, clips, files):
            why = ("empty", f"{file['uri']} has no bytes")
            self.empty.add(clip["position"], (clip["clip_id"], *why))
            self.lost.append(_lost_row(clip, *why, file["uri"]))

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


def _lost_row(clip: table_join.Row, *why: str) -> tuple[str, ...]:
    """Returns a row of LOST_COLUMNS; `why` are the last three."""
    return (clip["clip_id"], clip["split"], clip["label"], *why)
