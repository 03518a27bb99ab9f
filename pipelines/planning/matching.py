"""Joins annotations, files of clips and a published version by clip id.

Nothing here has all clips in memory: a partition at a time (see sharding.partition_of)
is joined, counted and written to the disk as references.
"""

import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mindrecord_io import records
from mindrecord_io.shards import sharding
from mindrecord_io.storage import files
from mindrecord_io.versions.manifests import Version
from pipelines.planning.annotation_changes import Comparison
from pipelines.planning.clip_listing import ClipListing
from pipelines.planning.clip_references import Reference
from pipelines.planning.published_clips import PublishedClip, PublishedClips
from pipelines.planning.source_records import SourceRecord, SourceRecords
from pipelines.sources import clip_files
from pipelines.sources.annotations import Annotations
from pipelines.sources.clip_files import ClipFiles
from pipelines.sources.clip_identities import of_file

__all__ = ["NO_FILE", "Reuse", "match", "match_clips", "match_version"]

logger = logging.getLogger(__name__)

NO_FILE = "annotated, but not in the folder of clips"
"""What is wrong with a missing clip."""

Reuse = Callable[[PublishedClip], bool]
"""Returns whether what is published of a clip may be reused."""


def match_clips(
    annotations: Annotations,
    folder: Path | str,
    parent: Version | None = None,
    *,
    reuse: Reuse | None = None,
    recorded: SourceRecords | None = None,
) -> ClipListing:
    """Matches annotations with the clips of a folder and with those of a version.

    Args:
      reuse: None reuses nothing.
      recorded: how the version's clips are recognised; None has them all read.

    Raises:
      SourceError: the folder cannot be used (see clip_files), or not one annotated clip
        is in it.
      ManifestError, TableError: the version's table cannot be used.
    """
    clips: clip_files.AnnotatedFiles | clip_files.FilesByName
    if annotations.paths:
        clips = clip_files.AnnotatedFiles(annotations, folder)
    else:
        clips = clip_files.FilesByName(folder, is_deep=annotations.is_deep)
    published = None if parent is None else PublishedClips(parent)
    listing = match(annotations, clips, published, reuse=reuse, recorded=recorded)
    if not listing.num_clips:
        raise clips.none_annotated(annotations)
    logger.info(
        "matched %s: %d clips annotated and there, %d missing, %d unlisted",
        folder,
        listing.num_clips.total(),
        len(listing.missing),
        listing.num_unlisted,
    )
    return listing


def match_version(version: Version, annotations: Annotations) -> ClipListing:
    """Matches annotations with the clips of a version, whose files are not looked at.

    Files that are not in a shard of the version stay outside: where they are annotated
    now, they are missing until a build finds them.

    Raises:
      ManifestError, TableError: the version's table cannot be used.
    """
    published = PublishedClips(version)
    return match(annotations, None, published, reuse=lambda clip: clip.is_in_shard)


def match(
    annotations: Annotations,
    clips: ClipFiles | None,
    published: PublishedClips | None = None,
    *,
    reuse: Reuse | None = None,
    recorded: SourceRecords | None = None,
) -> ClipListing:
    """Joins annotations with files and with what a version holds.

    Args:
      clips: None takes the files of the version.
      published: the version's clips, None without a version.
      reuse, recorded: as `match_clips` takes them.
    """
    listing, comparison = ClipListing(), None
    if published is not None:
        listing.salt = published.version.manifest.salt
        comparison = Comparison(published.version, annotations.label_map)
    names = annotations.label_map.names
    for index in range(sharding.NUM_PARTITIONS):
        before = {} if published is None else published.partition(index)
        recorded_here = {} if recorded is None else recorded.partition(index)
        uris = _files_of(before) if clips is None else {**clips.partition(index)}
        identities = {} if clips is None else clips.identities(index)
        for position, clip_id, split, label_id in annotations.partition(index):
            label = "" if label_id == records.UNLABELLED else names[label_id]
            uri, old = uris.pop(clip_id, None), before.get(clip_id)
            if uri is None:
                missing = records.Annotation(clip_id, split, label_id, label)
                listing.add_missing(missing, position, NO_FILE)
                if comparison is not None:
                    comparison.add_missing(position, clip_id, old)
                continue
            is_reused = old is not None and reuse is not None and reuse(old)
            now = time.time_ns()
            status = None if clips is None else _status(uri)
            published_as: tuple[Any, ...] = ()
            if old and is_reused:
                seen = of_file(status, now).text if status else identities.get(clip_id)
                published_as = _published_as(old, uri, recorded_here.get(clip_id), seen)
            clip = Reference(position, clip_id, split, label_id, uri, *published_as)
            listing.add(clip, old)
            if clips is None and old and old.status == records.QUARANTINED:
                why = (old.reason, old.detail, uri)
                listing.lost.append((clip_id, split, label, *why))
            if status is not None:
                listing.measure(clip, label, status, is_published=bool(is_reused))
            if comparison is not None:
                comparison.add(clip, old)
        if comparison is not None:
            comparison.end_partition(before)
        # A file that the version has in a shard is withdrawn, not unlisted.
        unlisted = [i for i, uri in uris.items() if clips is not None or uri is None]
        others = () if clips is None else clips.unlisted_in(index)
        listing.add_unlisted([*map(files.printable, unlisted), *others], index)
    listing.difference = None if comparison is None else comparison.result()
    return listing


def _published_as(
    old: PublishedClip, uri: str, record: SourceRecord | None, seen: str | None
) -> tuple[Any, ...]:
    """Returns the fields of a Reference that say what is published of a clip.

    Args:
      seen: the identity that its file has now, as far as it was looked at.
    """
    identity = record.identity_of(uri, old.source) if record else ""
    return old.source, old.stored_in, "", identity, bool(identity) and identity == seen


def _status(uri: str) -> os.stat_result | None:
    """Returns that of a file of this machine; the task that reads others reports it."""
    try:
        return os.stat(uri)  # noqa: PTH116 - a Path costs more than this
    except OSError:
        return None


def _files_of(published: Mapping[str, PublishedClip]) -> dict[str, str | None]:
    """Returns uris by id of the clips in shards; None of files that were unlisted."""
    return {
        clip_id: clip.uri if clip.is_in_shard else None
        for clip_id, clip in published.items()
        if clip.is_in_shard or clip.status == records.UNLISTED
    }
