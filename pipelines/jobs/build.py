"""`python -m pipelines build`: clips and annotations in, a published version out."""

import json
import logging
from collections.abc import Sequence

from mindrecord_io import records
from mindrecord_io.storage import object_store
from mindrecord_io.versions import manifests
from pipelines.building import build_transforms
from pipelines.jobs import build_options, make_version
from pipelines.planning import (
    checksums,
    clip_listing,
    clip_references,
    held_clips,
    matching,
)
from pipelines.publishing import data_sets
from pipelines.sources import annotation_readers, clip_files, something_something

__all__ = ["build", "main"]

logger = logging.getLogger(__name__)


def build(asked: build_options.BuildOptions) -> make_version.JobResult:
    """Builds what is not built yet and publishes a version of all of it.

    Raises:
      JobError: more clips are broken or missing than allowed, or a shard failed.
      AnnotationError, SourceError, ChecksumError, ManifestError: the input cannot be
        used.
      PublishConflictError: another version was published in the meantime.
    """
    annotated = annotation_readers.read(asked.annotations)
    with data_sets.opened(asked.dataset) as data_set:
        return _build(asked, annotated, data_set)


def _build(
    asked: build_options.BuildOptions,
    annotated: something_something.Annotations,
    data_set: data_sets.DataSet,
) -> make_version.JobResult:
    parent = data_set.current_version()
    listing = clip_files.match_clips(
        annotated,
        asked.clips,
        None if parent is None else held_clips.HeldClips(parent),
        knows=_knows(parent, asked, data_set),
    )
    if asked.checksums is not None:
        listing = checksums.with_checksums(listing, asked.checksums)
    _warn_of_unlisted(listing, parent)
    if listing.difference is not None:
        listing.difference.log()
    return make_version.run(
        make_version.VersionJob(
            dataset=asked.dataset,
            parent=parent,
            annotated=annotated,
            listing=listing,
            identify=build_transforms.hashed_source,
            settings=asked.settings,
            clip_limits=asked.clip_limits,
            num_shards=asked.num_shards,
            max_quarantined=asked.max_quarantined,
            num_workers=asked.num_workers,
            beam_flags=asked.beam_flags,
        )
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; the result is the last line of standard output."""
    asked = build_options.parse_build(argv)
    try:
        result = build(asked)
    except (
        make_version.JobError,
        manifests.PublishConflictError,
        object_store.StorageError,
        OSError,
        ValueError,
    ) as error:
        logger.error("build failed: %s", error)
        return 1
    print(json.dumps(result.to_json()))  # noqa: T201
    return 0


def _warn_of_unlisted(
    listing: clip_listing.ClipListing, parent: manifests.Version | None
) -> None:
    """Tells of files that no annotation names, and if they alone make a version."""
    if listing.num_unlisted:
        logger.warning(
            "%d files are not annotated and not stored; the first: %s",
            listing.num_unlisted,
            next(listing.unlisted()),
        )
    if parent is not None and parent.manifest.num_unlisted != listing.num_unlisted:
        logger.info(
            "version %s lists %d such files: its table of clips will not do",
            parent.manifest.version,
            parent.manifest.num_unlisted,
        )


def _knows(
    parent: manifests.Version | None,
    asked: build_options.BuildOptions,
    data_set: data_sets.DataSet,
) -> clip_listing.Knows | None:
    """Returns what of a version's clips may be taken over; None if nothing may."""
    if parent is None:
        return None
    if parent.manifest.settings != asked.settings:
        logger.warning(
            "version %s was made with %s, now asked for is %s: every clip is decoded",
            parent.manifest.version,
            parent.manifest.settings,
            asked.settings,
        )
        return None
    # A damaged shard is removed by hand: its clips are decoded then.
    there = {
        f"{split}/{key}"
        for split in records.SPLITS
        for key in data_set.shard_keys(split)
    }

    def known(clip: held_clips.HeldClip) -> clip_references.StoredSource | None:
        source = matching.source_of(clip, asked.clip_limits)
        return source if source and source.stored_in in there else None

    return known
