"""From published shards to a published version: table, labels, manifest, CURRENT."""

import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from mindrecord_io import naming, records
from mindrecord_io.shards import schema
from mindrecord_io.storage import files, tallies
from mindrecord_io.versions import clips_table, manifests
from pipelines.building import label_files
from pipelines.planning import clip_listing, clip_references
from pipelines.publishing import data_sets
from pipelines.sources import something_something

__all__ = [
    "Draft",
    "MadeShard",
    "Written",
    "lost_to_absence",
    "publish",
    "too_many_lost",
    "write",
]

logger = logging.getLogger(__name__)

T = TypeVar("T")

_NO_FILE = "annotated, but not in the folder of clips"
_NO_ANNOTATION = "in the folder of clips, but not annotated"
_ROWS_PER_GROUP = 10_000  # of clips that are in no shard
_IN_NO_SHARD = -1  # for the number of frames

Lost = tallies.Tally[tuple[str, str, str]]
"""Clip ids, reasons and details of clips that are not stored."""


@dataclass(frozen=True, slots=True)
class MadeShard:
    """A shard that is published, and the references of its clips, in any order."""

    summary: records.ShardSummary
    references: Sequence[clip_references.Reference]


@dataclass(frozen=True, slots=True)
class Draft:
    """A version in the making: all that it will say, its shards published already.

    Attributes:
      parent: the version that was current when the job began, None for the first.
      listing: which annotated clips have a file, and which files no annotation.
      shards: in the order of their splits and indices; gone through once.
    """

    dataset: Path | str
    parent: manifests.Version | None
    annotated: something_something.Annotations
    listing: clip_listing.ClipListing
    settings: records.DecodeSettings
    shards: Iterable[MadeShard]


@dataclass(frozen=True, slots=True)
class Written:
    """A draft whose files are on the disk.

    Attributes:
      folder: has them.
      manifest: not among them, and without a version's name yet.
    """

    folder: Path
    manifest: manifests.Manifest
    lost: Lost


def lost_to_absence(listing: clip_listing.ClipListing) -> Lost:
    """Returns the clip id, reason and detail of every clip that has no file."""
    return listing.missing.map(lambda clip_id: (clip_id, "missing", _NO_FILE))


def too_many_lost(lost: Lost, max_quarantined: int) -> str:
    """Returns what to tell where more clips are lost than allowed, else ''."""
    if len(lost) <= max_quarantined:
        return ""
    named = "; ".join(f"{clip} ({why}: {text})" for clip, why, text in lost.first)
    return (
        f"{len(lost)} clips cannot be stored, --max_quarantined allows "
        f"{max_quarantined}; nothing is published. The first: {named}"
    )


def write(draft: Draft, staging: Path) -> Written:
    """Writes the draft's table and label files; one shard at a time is in memory.

    Args:
      staging: an incomplete folder beside the versions; one is made in it.
    """
    folder = staging / "version"  # the staging folder itself holds the job's receipts
    folder.mkdir()
    totals = _Totals(draft)
    table_path = naming.clips_table_path(folder)
    clips_table.write(table_path, totals.row_groups())
    naming.labels_folder(folder).mkdir()
    label_files.write_label_files(
        naming.labels_folder(folder), draft.annotated.label_map, totals.label_rows()
    )
    lost = totals.quarantined.followed_by(lost_to_absence(draft.listing))
    return Written(folder, totals.manifest(files.fingerprint(table_path)), lost)


def publish(draft: Draft, written: Written) -> manifests.Version:
    """Publishes the draft as the newest version.

    A draft that says just what the current version says is not published again: the
    current version is returned, even if another process has published it meanwhile.

    Raises:
      PublishConflictError: another version was published since the job began, and it
        does not say the same.
    """
    parent = draft.parent
    if parent is not None and written.manifest.says_the_same(parent.manifest):
        logger.info("nothing changed: version %s stays", parent.manifest.version)
        return parent
    with data_sets.opened(draft.dataset) as data_set:
        try:
            return data_set.publish(written.folder, written.manifest)
        except manifests.PublishConflictError:
            rival = data_set.current_version()
            if rival is None or not written.manifest.says_the_same(rival.manifest):
                raise
    name = rival.manifest.version
    logger.info("nothing changed: another process has published %s, the same", name)
    return rival


class _Totals:
    """What adds up while a draft's shards go by; of each clip four bytes stay."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._num_frames = np.full(len(draft.annotated.clips), _IN_NO_SHARD, np.int32)
        self._entries: list[manifests.ShardEntry] = []
        self._num_stored = 0
        self.quarantined: Lost = tallies.Tally()

    def row_groups(self) -> Iterator[list[dict[str, object]]]:
        """Yields the table's row groups, the shards' first, and adds up."""
        for shard in self._draft.shards:
            yield self._add(shard)
        listing, clips = self._draft.listing, self._draft.annotated.clips
        is_missing = self._num_frames == _IN_NO_SHARD
        missing = itertools.compress(clips, is_missing) if listing.missing else ()
        for some in _batched(missing):
            yield clips_table.missing_rows(some, _NO_FILE)
        for names in _batched(listing.unlisted()):
            yield clips_table.unlisted_rows(names, _NO_ANNOTATION)

    def label_rows(self) -> Iterator[label_files.LabelRow]:
        """Yields the stored clips, in annotation order."""
        for position, clip in enumerate(self._draft.annotated.clips):
            num_frames = int(self._num_frames[position])
            if num_frames > 0:
                yield label_files.LabelRow(
                    clip.clip_id, clip.split, num_frames, clip.label_id
                )

    def manifest(self, table: records.Fingerprint) -> manifests.Manifest:
        """Returns the manifest, once all shards have gone by."""
        draft = self._draft
        return manifests.Manifest(
            format_version=schema.FORMAT_VERSION,
            version="",  # given at publication
            parent=draft.parent.manifest.version if draft.parent else "",
            created_at=manifests.utc_now(),
            settings=draft.settings,
            salt=draft.listing.salt,
            label_digest=draft.annotated.digest,
            num_classes=len(draft.annotated.label_map),
            num_clips=self._num_stored,
            num_quarantined=len(self.quarantined),
            num_missing=len(draft.listing.missing),
            num_unlisted=draft.listing.num_unlisted,
            num_frames=int(self._num_frames.clip(min=0).sum(dtype=np.int64)),
            clips_table=table,
            shards=tuple(self._entries),
        )

    def _add(self, shard: MadeShard) -> list[dict[str, object]]:
        summary, names = shard.summary, self._draft.annotated.label_map.names
        entry = manifests.ShardEntry.of(summary)
        self._entries.append(entry)
        positions = {c.clip_id: c.position for c in shard.references}
        for clip in summary.clips:
            self._num_frames[positions[clip.clip_id]] = len(clip.frame_sizes)
            if clip.status == records.STORED:
                self._num_stored += 1
            else:
                why = (clip.clip_id, clip.reason, clip.detail)
                self.quarantined.add(len(self.quarantined), why)
        refs = {c.clip_id: _ref(c, names) for c in shard.references}
        return clips_table.shard_rows(summary, entry.path, refs)


def _ref(clip: clip_references.Reference, names: Sequence[str]) -> records.ClipRef:
    label = "" if clip.label_id == records.UNLABELLED else names[clip.label_id]
    return records.ClipRef(clip.clip_id, clip.split, clip.label_id, label, clip.uri)


def _batched(values: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(values)
    while batch := list(itertools.islice(iterator, _ROWS_PER_GROUP)):
        yield batch
