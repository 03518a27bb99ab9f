"""Makes a version of published shards: table, label files, manifest, CURRENT."""

import dataclasses
import hashlib
import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from mindrecord_io import naming, records
from mindrecord_io.records import Annotation
from mindrecord_io.shards import schema
from mindrecord_io.shards.shard_folders import SummaryFile
from mindrecord_io.storage import files
from mindrecord_io.storage.tallies import Tally
from mindrecord_io.versions import (
    clips_table,
    manifests,
    same_bytes,
    version_differences,
)
from mindrecord_io.versions.manifests import Manifest, ShardEntry, Version
from mindrecord_io.versions.same_bytes import SameBytes
from mindrecord_io.versions.version_differences import CHANGE_COLUMNS, Change
from pipelines.building import clip_notes, label_files
from pipelines.building.clip_notes import LostClips
from pipelines.planning.clip_listing import NO_FILE, ClipListing
from pipelines.planning.clip_references import Reference
from pipelines.planning.version_plans import VersionPlan
from pipelines.publishing.data_sets import DataSet

__all__ = [
    "CHANGES",
    "NO_ANNOTATION",
    "MadeShard",
    "WrittenVersion",
    "lost_to_absence",
    "publish",
    "write",
]

logger = logging.getLogger(__name__)

T = TypeVar("T")

CHANGES = "changes.tsv"
"""The clips of a version that differ from its parent's, beside its other files."""

NO_ANNOTATION = "in the folder of clips, but not annotated"
"""What is wrong with an unlisted file."""

_ROWS_PER_GROUP = 10_000  # of clips that are in no shard
_IN_NO_SHARD = -1  # for the number of frames

Lost = Tally[tuple[str, str, str]]
"""Clip ids, reasons and details of clips that are not stored."""


@dataclass(frozen=True, slots=True)
class MadeShard:
    """A shard that is published, and the references of its clips, in any order."""

    file: SummaryFile
    references: Sequence[Reference]


@dataclass(frozen=True, slots=True)
class WrittenVersion:
    """A version whose files are on the disk.

    Attributes:
      folder: has them.
      manifest: not among them, and without a version's name yet.
      lost_clips: by reason; they and same_bytes have lists among the files.
    """

    folder: Path
    manifest: Manifest
    lost: Lost
    lost_clips: LostClips
    same_bytes: SameBytes


def lost_to_absence(listing: ClipListing) -> Lost:
    """Returns the clip id, reason and detail of every clip that has no file."""
    return listing.missing.map(lambda clip_id: (clip_id, "missing", NO_FILE))


def write(
    plan: VersionPlan, shards: Iterable[MadeShard], staging: Path
) -> WrittenVersion:
    """Writes a version's table and label files; one shard at a time is in memory.

    Args:
      shards: in the order of their splits and indices; gone through once.
      staging: an incomplete folder beside the versions; one is made in it.
    """
    folder = staging / "version"  # the staging folder itself holds the job's receipts
    folder.mkdir()
    totals, lost_clips = _Totals(plan), LostClips()
    table_path = naming.clips_table_path(folder)
    row_groups = clip_notes.passing(totals.row_groups(shards), folder, lost_clips)
    clips_table.write(table_path, row_groups)
    fingerprint = files.fingerprint(table_path)
    same = same_bytes.same_bytes_of(
        lambda: clips_table.batches(table_path, same_bytes.COLUMNS)
    )
    path = folder / same_bytes.SAME_BYTES
    clip_notes.write_tsv(path, same_bytes.LISTED_COLUMNS, same.rows())
    if plan.parent is not None:
        is_same = fingerprint == plan.parent.manifest.clips_table
        changes = () if is_same else _changes(plan.parent, table_path)
        rows = (dict(zip(CHANGE_COLUMNS, change, strict=True)) for change in changes)
        clip_notes.write_tsv(folder / CHANGES, CHANGE_COLUMNS, rows)
    naming.labels_folder(folder).mkdir()
    label_files.write_label_files(
        naming.labels_folder(folder), plan.annotations.label_map, totals.stored_clips()
    )
    totals.check()
    lost = totals.quarantined.followed_by(lost_to_absence(plan.listing))
    manifest = totals.manifest(fingerprint)
    return WrittenVersion(folder, manifest, lost, lost_clips, same)


def _changes(parent: Version, table: Path) -> Iterator[Change]:
    columns = version_differences.COLUMNS
    before = version_differences.spilled(parent.clip_batches(columns))
    after = version_differences.spilled(clips_table.batches(table, columns))
    return version_differences.changed_clips(before, after)


def publish(
    written: WrittenVersion, parent: Version | None, data_set: DataSet
) -> Version:
    """Publishes a written version as the newest one.

    A version that equals the current one in all but name and time is not published: the
    current one is returned, even if another process has published it meanwhile.

    Args:
      parent: the version that was current when the job began.

    Raises:
      PublishConflictError: another version was published since the job began, and it
        is not equal.
    """
    if parent is not None and written.manifest.says_the_same(parent.manifest):
        logger.info(
            "no clip, label or setting changed: version %s stays",
            parent.manifest.version,
        )
        return parent
    try:
        return data_set.publish(written.folder, written.manifest)
    except manifests.PublishConflictError:
        rival = data_set.current_version()
        if rival is None or not written.manifest.says_the_same(rival.manifest):
            raise
    name = rival.manifest.version
    logger.info("another process has published %s, the same: nothing is added", name)
    return rival


class _Totals:
    """Running totals over a version's shards; keeps 4 bytes per clip."""

    def __init__(self, plan: VersionPlan) -> None:
        self._plan = plan
        self._num_frames = np.full(len(plan.annotations.clips), _IN_NO_SHARD, np.int32)
        self._entries: list[ShardEntry] = []
        self._decoders: set[records.DecoderIdentity] = set()
        self._clips_digest = 0
        self._num_in_shards = self._num_stored = 0
        self.quarantined: Lost = Tally()

    def row_groups(
        self, shards: Iterable[MadeShard]
    ) -> Iterator[list[dict[str, object]]]:
        """Yields the table's row groups, the shards' first, and adds up."""
        for shard in shards:
            yield self._add(shard)
        listing, clips = self._plan.listing, self._plan.annotations.clips
        is_missing = self._num_frames == _IN_NO_SHARD
        missing = itertools.compress(clips, is_missing) if listing.missing else ()
        for some in _batched(missing):
            yield clips_table.missing_rows(some, NO_FILE)
        for names in _batched(listing.unlisted()):
            yield clips_table.unlisted_rows(names, NO_ANNOTATION)

    def stored_clips(self) -> Iterator[tuple[Annotation, int]]:
        """Yields the stored clips and their numbers of frames, in annotation order."""
        clips = zip(self._plan.annotations.clips, self._num_frames, strict=True)
        return ((clip, int(num)) for clip, num in clips if num > 0)

    def check(self) -> None:
        """Raises DatasetError unless the shards hold just the planned clips."""
        planned = self._plan.listing.num_clips.total()
        is_in_shard = self._num_frames != _IN_NO_SHARD
        if {self._num_in_shards, int(is_in_shard.sum())} != {planned}:
            raise manifests.DatasetError(
                f"{planned} clips are planned, the shards have {self._num_in_shards}; "
                f"nothing is published"
            )

    def manifest(self, table: records.Fingerprint) -> Manifest:
        """Returns the manifest, once all shards have gone by."""
        plan = self._plan
        return Manifest(
            format_version=schema.FORMAT_VERSION,
            version="",  # given at publication
            parent=plan.parent.manifest.version if plan.parent else "",
            created_at=manifests.utc_now(),
            settings=plan.settings,
            salt=plan.listing.salt,
            label_digest=plan.annotations.digest,
            num_classes=len(plan.annotations.label_map),
            num_clips=self._num_stored,
            num_quarantined=len(self.quarantined),
            num_missing=len(plan.listing.missing),
            num_unlisted=plan.listing.num_unlisted,
            num_frames=int(self._num_frames.clip(min=0).sum(dtype=np.int64)),
            clips_table=table,
            shards=tuple(self._entries),
            decoders=tuple(sorted(self._decoders)),
            provenance=dataclasses.replace(
                plan.provenance, clips_digest=f"{self._clips_digest:064x}"
            ),
        )

    def _add(self, shard: MadeShard) -> list[dict[str, object]]:
        summary = shard.file.summary
        entry = ShardEntry.of(shard.file)
        self._entries.append(entry)
        self._decoders.update(summary.decoders)
        positions = {c.clip_id: c.position for c in shard.references}
        self._num_in_shards += len(summary.clips)
        for clip in summary.clips:
            self._num_frames[positions[clip.clip_id]] = len(clip.frame_sizes)
            self._clips_digest += _hash_of_clip(clip.clip_id, clip.source.sha256)
            self._clips_digest %= 1 << 256
            if clip.status == records.STORED:
                self._num_stored += 1
            else:
                why = (clip.clip_id, clip.reason, clip.detail)
                self.quarantined.add(len(self.quarantined), why)
        uris = {c.clip_id: c.uri for c in shard.references}
        names = self._plan.annotations.label_map.names
        return clips_table.shard_rows(summary, entry.path, uris, label_names=names)


def _hash_of_clip(clip_id: str, sha256: str) -> int:
    digest = hashlib.blake2b(f"{clip_id} {sha256}".encode(), digest_size=32)
    return int.from_bytes(digest.digest(), "big")


def _batched(values: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(values)
    while batch := list(itertools.islice(iterator, _ROWS_PER_GROUP)):
        yield batch
