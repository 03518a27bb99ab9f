"""Joins annotations, files of clips and a published version by clip id.

Nothing here has all clips in memory: a partition at a time (see sharding.partition_of)
is joined in columns, counted and written to the disk as references.
"""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

from mindrecord_io.shards import sharding
from mindrecord_io.storage import table_join
from mindrecord_io.versions.manifests import Version
from pipelines.planning import clip_references, published_clips, source_records
from pipelines.planning.annotation_changes import Comparison
from pipelines.planning.clip_listing import ClipListing
from pipelines.planning.published_clips import PublishedClips, PublishedFiles
from pipelines.planning.source_records import SourceRecords
from pipelines.sources import clip_lookup
from pipelines.sources.annotations import Annotations
from pipelines.sources.clip_lookup import ClipFiles

__all__ = ["Reuse", "match", "match_clips", "match_version", "reuse_nothing"]

logger = logging.getLogger(__name__)

Reuse = Callable[[pa.Table], npt.NDArray[np.bool_]]
"""Returns which published clips may be reused, bool (clips,), given rows of them (see
PublishedClips.partition), or of nulls."""


def reuse_nothing(clips: pa.Table) -> npt.NDArray[np.bool_]:
    """Returns that no published clip may be reused."""
    return np.zeros(clips.num_rows, np.bool_)


def match_clips(
    annotations: Annotations,
    folder: Path | str,
    parent: Version | None = None,
    *,
    reuse: Reuse = reuse_nothing,
    recorded: SourceRecords | None = None,
) -> ClipListing:
    """Matches annotations with the clips of a folder and with those of a version.

    Args:
      recorded: how the version's clips are recognised; None has them all read.

    Raises:
      SourceError: the folder cannot be used (see clip_files), or not one annotated clip
        is in it.
      ManifestError, TableError: the version's table cannot be used.
    """
    clips: clip_lookup.FilesByPath | clip_lookup.FilesByName
    if annotations.paths:
        clips = clip_lookup.FilesByPath(annotations, folder)
    else:
        clips = clip_lookup.FilesByName(folder, is_deep=annotations.is_deep)
    listing = match(annotations, clips, parent, reuse=reuse, recorded=recorded)
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

    Raises:
      ManifestError, TableError: the version's table cannot be used.
    """
    return match(annotations, None, version, reuse=published_clips.are_in_shards)


def match(
    annotations: Annotations,
    clips: ClipFiles | None,
    parent: Version | None = None,
    *,
    reuse: Reuse = reuse_nothing,
    recorded: SourceRecords | None = None,
) -> ClipListing:
    """Joins annotations with files and with what a version holds.

    Args:
      clips: None takes the files of the version.
      parent, reuse, recorded: as `match_clips` takes them.
    """
    published, recorded = PublishedClips(parent), recorded or SourceRecords()
    clips = clips or PublishedFiles(published)
    listing, comparison = ClipListing(), None
    if parent is not None:
        listing.salt = parent.manifest.salt
        comparison = Comparison(parent, annotations.label_map)
    for index in range(sharding.NUM_PARTITIONS):
        annotated = annotations.partition(index)
        clip_ids = annotated.column("clip_id")
        before = published.partition(index)
        old = table_join.aligned(before, clip_ids)
        files, unlisted = clips.look_up(index, clip_ids)
        is_there = files.column("uri").is_valid()
        if comparison is not None:
            comparison.add(annotated, old, table_join.mask(is_there))
            comparison.add_withdrawn(before, clip_ids)
        listing.add_missing(annotated.filter(compute.invert(is_there)))
        listing.add_unlisted(unlisted, index)
        annotated, files, old = (t.filter(is_there) for t in (annotated, files, old))
        listing.add_quarantined(annotated, old)
        is_reused = reuse(old)
        listing.measure(annotated, files, is_reused)
        reused = _only(old, is_reused)
        listing.add(_references(annotated, files, reused, recorded.partition(index)))
    listing.difference = None if comparison is None else comparison.result()
    return listing


def _only(clips: pa.Table, chosen: npt.NDArray[np.bool_]) -> pa.Table:
    """Returns clips, with rows of nulls instead of those that are not chosen."""
    return clips.take(pa.array(np.arange(len(chosen)), mask=~chosen))


def _references(
    clips: pa.Table, files: pa.Table, reused: pa.Table, recorded: pa.Table
) -> pa.Table:
    """Returns clips to hold as rows of clip_references.ROWS.

    Args:
      files, reused: a row for each of `clips`: its file, and what of it is published
        and reused.
      recorded: of the partition.
    """
    uris, sha256s = files.column("uri"), reused.column("source_sha256")
    own = table_join.aligned(recorded, clips.column("clip_id"))
    identities = source_records.identities(own, uris, sha256s)
    columns = {
        **{name: clips.column(name) for name in clips.column_names},
        "uri": uris,
        "source_num_bytes": reused.column("source_num_bytes"),
        "source_sha256": sha256s,
        "stored_in": compute.fill_null(reused.column("stored_in"), ""),
        "expected_sha256": pa.repeat("", clips.num_rows),
        "identity": identities,
        "is_seen": compute.and_(
            compute.not_equal(identities, ""),
            compute.equal(identities, files.column("identity")),
        ),
    }
    rows = [columns[name] for name in clip_references.ROWS.names]
    return pa.table(rows, schema=clip_references.ROWS)
