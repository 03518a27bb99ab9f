"""From published shards to a published version: table, labels, manifest, CURRENT."""

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mindrecord_io import (
    clips_table,
    files,
    manifest,
    naming,
    records,
    schema,
)
from pipelines import annotations, data_sets, labels, sources

__all__ = ["Draft", "lost_to_absence", "publish", "too_many_lost"]

logger = logging.getLogger(__name__)

_MAX_NAMED = 5
_NO_FILE = "annotated, but not in the folder of clips"
_NO_ANNOTATION = "in the folder of clips, but not annotated"


@dataclass(frozen=True, slots=True)
class Draft:
    """A version in the making: all that it will say, its shards published already.

    Attributes:
      parent: the version that was current when the job began, None for the first.
      listing: which annotated clips have a file, and which files no annotation.
    """

    dataset: Path | str
    parent: manifest.Version | None
    annotated: annotations.Annotations
    listing: sources.ClipListing
    settings: records.DecodeSettings
    salt: str
    summaries: Sequence[records.ShardSummary]

    @property
    def lost(self) -> list[tuple[str, str, str]]:
        """The clip id, reason and detail of every clip that is not stored."""
        quarantined = [
            (clip.clip_id, clip.reason, clip.detail)
            for summary in self.summaries
            for clip in summary.clips
            if clip.status == records.QUARANTINED
        ]
        return quarantined + lost_to_absence(self.listing)

    @property
    def stored(self) -> list[records.ClipOutcome]:
        """The clips that are stored, shard by shard."""
        return [
            clip
            for summary in self.summaries
            for clip in summary.clips
            if clip.status == records.STORED
        ]


def lost_to_absence(listing: sources.ClipListing) -> list[tuple[str, str, str]]:
    """Returns the clip id, reason and detail of every clip that has no file."""
    return [(missing.clip_id, "missing", _NO_FILE) for missing in listing.missing]


def too_many_lost(lost: Sequence[tuple[str, str, str]], max_quarantined: int) -> str:
    """Returns what to tell where more clips are lost than allowed, else ''."""
    if len(lost) <= max_quarantined:
        return ""
    named = "; ".join(
        f"{clip} ({why}: {text})" for clip, why, text in lost[:_MAX_NAMED]
    )
    return (
        f"{len(lost)} clips cannot be stored, --max_quarantined allows "
        f"{max_quarantined}; nothing is published. The first: {named}"
    )


def publish(draft: Draft, staging: Path) -> manifest.Version:
    """Publishes the draft as the newest version.

    A draft that says just what the current version says is not published again: the
    current version is returned, even if another process has published it meanwhile.

    Args:
      draft: what to publish.
      staging: an incomplete folder beside the versions; it becomes the version.

    Raises:
      PublishConflictError: another version was published since the job began, and it
        does not say the same.
    """
    folder = staging / "version"  # the staging folder itself holds the job's receipts
    folder.mkdir()
    table_path = naming.clips_table_path(folder)
    clips_table.write(table_path, _row_groups(draft))
    files.sync(table_path)
    _write_labels(draft, naming.labels_folder(folder))
    written = _manifest(draft, files.fingerprint(table_path))
    parent = draft.parent
    if parent is not None and _says_the_same(written, parent.manifest):
        logger.info("nothing changed: version %s stays", parent.manifest.version)
        return parent
    with data_sets.opened(draft.dataset) as data_set:
        try:
            return data_set.publish(folder, written)
        except manifest.PublishConflictError:
            rival = data_set.current_version()
            if rival is None or not _says_the_same(written, rival.manifest):
                raise
    name = rival.manifest.version
    logger.info("nothing changed: another process has published %s, the same", name)
    return rival


def _row_groups(draft: Draft) -> list[list[dict[str, object]]]:
    refs = {ref.clip_id: ref for ref in draft.listing.refs}
    groups = [
        clips_table.shard_rows(summary, manifest.ShardEntry.of(summary).path, refs)
        for summary in draft.summaries
    ]
    return [
        *groups,
        clips_table.missing_rows(draft.listing.missing, _NO_FILE),
        clips_table.unlisted_rows(draft.listing.unlisted, _NO_ANNOTATION),
    ]


def _write_labels(draft: Draft, folder: Path) -> None:
    num_frames = {clip.clip_id: len(clip.frame_sizes) for clip in draft.stored}
    folder.mkdir()
    rows = [
        labels.LabelRow(ref.clip_id, ref.split, num_frames[ref.clip_id], ref.label_id)
        for ref in draft.listing.refs
        if ref.clip_id in num_frames
    ]
    labels.write_label_files(folder, draft.annotated.label_map, rows)


def _manifest(draft: Draft, table: records.Fingerprint) -> manifest.Manifest:
    stored = draft.stored
    num_planned = sum(len(summary.clips) for summary in draft.summaries)
    return manifest.Manifest(
        format_version=schema.FORMAT_VERSION,
        version="",  # given at publication
        parent=draft.parent.manifest.version if draft.parent else "",
        created_at=manifest.utc_now(),
        settings=draft.settings,
        salt=draft.salt,
        label_digest=draft.annotated.digest,
        num_classes=len(draft.annotated.label_map),
        num_clips=len(stored),
        num_quarantined=num_planned - len(stored),
        num_missing=len(draft.listing.missing),
        num_unlisted=len(draft.listing.unlisted),
        num_frames=sum(len(clip.frame_sizes) for clip in stored),
        clips_table=table,
        shards=tuple(manifest.ShardEntry.of(summary) for summary in draft.summaries),
    )


def _says_the_same(new: manifest.Manifest, old: manifest.Manifest) -> bool:
    return new == dataclasses.replace(
        old, version=new.version, parent=new.parent, created_at=new.created_at
    )
