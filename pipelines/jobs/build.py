"""`clipmill build`: clips and annotations in, a published version out."""

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mindrecord_io import records
from mindrecord_io.commands import command_line, progress_bar, quantities
from mindrecord_io.storage import locations, table_join
from mindrecord_io.versions.manifests import Version
from pipelines.jobs import (
    build_options,
    common_flags,
    damaged_shards,
    make_version,
    origin,
)
from pipelines.jobs.build_options import BuildOptions
from pipelines.jobs.job_result import JobResult
from pipelines.planning import (
    checksums,
    matching,
    published_clips,
    source_records,
)
from pipelines.planning.clip_listing import ClipListing
from pipelines.planning.version_plans import VersionPlan
from pipelines.publishing import data_sets
from pipelines.publishing.data_sets import DataSet
from pipelines.sources import annotation_readers
from pipelines.sources.annotations import Annotations

__all__ = ["build", "main", "parse"]

logger = logging.getLogger(__name__)


def build(options: BuildOptions) -> JobResult:
    """Builds what is not built yet and publishes a version of all of it.

    Raises:
      JobError: more clips are broken or missing than allowed, or a shard failed.
      AnnotationError, SourceError, ChecksumError, ManifestError: the input cannot be
        used.
      PublishConflictError: another version was published in the meantime.
    """
    clips = None if locations.is_remote(options.clips) else Path(options.clips)
    choices = dataclasses.replace(options.choices, clips=clips)
    progress_bar.phase("reading the annotations")
    annotations = annotation_readers.read(options.annotations, choices)
    with data_sets.opened(options.dataset) as data_set:
        parent = data_set.current_version()
        damaged: frozenset[str] = frozenset()
        if options.is_repair and parent is not None:
            damaged = damaged_shards.places(data_set, parent, options.num_workers)
        progress_bar.phase("comparing the clips with the current version")
        reuse = _reuse(parent, options, data_set, damaged)
        job = make_version.VersionJob(
            data_set,
            _plan(options, annotations, data_set, parent, reuse),
            max_quarantined=options.max_quarantined,
            num_workers=options.num_workers,
            beam_flags=options.beam_flags,
            ffmpeg=options.ffmpeg,
            refuse_leaks=options.refuse_leaks,
            command=options.command,
            is_repair=options.is_repair,
            damaged=damaged,
        )
        return make_version.run(job)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; the result is the last line of standard output."""
    command = common_flags.words("build", argv)
    options = dataclasses.replace(parse(argv), command=command)
    return command_line.run("build", lambda: build(options))


def parse(argv: Sequence[str] | None) -> BuildOptions:
    """Reads the flags, ours and Beam's; wrong ones end the process with status 2."""
    parser = build_options.build_parser()
    return parser.make(
        build_options.from_flags, *common_flags.parse_with_beam(parser, argv)
    )


def _plan(
    options: BuildOptions,
    annotations: Annotations,
    data_set: DataSet,
    parent: Version | None,
    reuse: matching.Reuse,
) -> VersionPlan:
    """Matches the clips with annotations and version, and logs what differs."""
    path = None
    if parent is not None and not options.is_rehash:
        path = data_set.copy_of(source_records.FILE_NAME)
    listing = matching.match_clips(
        *(annotations, options.clips, parent),
        reuse=reuse,
        recorded=source_records.SourceRecords(path),
    )
    if options.checksums is not None:
        listing = checksums.with_checksums(listing, options.checksums)
    _log_unlisted(listing, parent)
    if listing.difference is not None:
        listing.difference.log()
    return VersionPlan(
        parent=parent,
        annotations=annotations,
        listing=listing,
        settings=options.settings,
        limits=options.clip_limits,
        total_shards=options.num_shards,
        provenance=origin.recorded(options.command, options.annotations, options.clips),
    )


def _log_unlisted(listing: ClipListing, parent: Version | None) -> None:
    """Logs files without an annotation, and if their number forces a new version."""
    if listing.num_unlisted:
        logger.warning(
            "%s not annotated and not stored; the first: %s",
            quantities.count(listing.num_unlisted, "file"),
            next(listing.unlisted()),
        )
    if parent is not None and parent.manifest.num_unlisted != listing.num_unlisted:
        logger.info(
            "version %s lists %d such files: its table of clips will not do",
            parent.manifest.version,
            parent.manifest.num_unlisted,
        )


def _reuse(
    parent: Version | None,
    options: BuildOptions,
    data_set: DataSet,
    damaged: frozenset[str],
) -> matching.Reuse:
    """Returns what tells which published clips may be reused."""
    if parent is None:
        return matching.reuse_nothing
    if parent.manifest.settings != options.settings:
        logger.warning(
            "version %s was made with %s, the flags are %s: every clip is decoded",
            parent.manifest.version,
            parent.manifest.settings,
            options.settings,
        )
        return matching.reuse_nothing
    shards = {
        f"{split}/{key}"
        for split in records.SPLITS
        for key in data_set.shard_keys(split)
    } - damaged
    limits = options.clip_limits.text

    places = pa.array(sorted(shards), pa.string())

    def reuse(clips: pa.Table) -> npt.NDArray[np.bool_]:
        is_there = table_join.is_among(clips.column("stored_in"), places)
        return published_clips.are_settled(clips, limits) & is_there

    return reuse
