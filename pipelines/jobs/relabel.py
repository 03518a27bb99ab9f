"""`python -m pipelines relabel`: new annotations for the clips that a version holds.

Needs neither the clips nor a decoder: frames are copied from shard to shard, and only
where a shard's labels or clips have changed.
"""

import argparse
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from mindrecord_io.storage import object_store
from mindrecord_io.versions import manifests
from pipelines.building import build_transforms
from pipelines.jobs import build_options, common_flags, forecast, make_version
from pipelines.planning import matching
from pipelines.publishing import data_sets
from pipelines.sources import annotation_readers

__all__ = ["main", "planned_job"]

logger = logging.getLogger(__name__)


def planned_job(
    flags: argparse.Namespace, beam_flags: Sequence[str]
) -> make_version.VersionJob:
    """Returns what is to be done.

    Raises:
      AnnotationError, ManifestError: the input cannot be used.
    """
    with data_sets.opened(flags.dataset) as data_set:
        version = data_set.open_version()
        said = version.manifest
        annotated = annotation_readers.read(flags.annotations)
        listing = matching.listing_of(version, annotated)
        max_quarantined = flags.max_quarantined
        if max_quarantined is None:
            max_quarantined = said.num_quarantined + said.num_missing
        return make_version.VersionJob(
            dataset=flags.dataset,
            parent=version,
            annotated=annotated,
            listing=listing,
            identify=build_transforms.known_source,
            settings=said.settings,
            clip_limits=None,
            num_shards=None,
            max_quarantined=max_quarantined,
            num_workers=flags.num_workers,
            beam_flags=tuple(beam_flags),
            is_from_parent=True,
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; the result is the last line of standard output."""
    flags, beam_flags = build_options.parse_with_beam(_parser(), argv)
    try:
        job = planned_job(flags, beam_flags)
        assert job.listing.difference is not None
        job.listing.difference.log()
        make_version.refuse_early(job)
        result = _forecast(job) if flags.dry_run else make_version.run(job).to_json()
    except (
        make_version.JobError,
        manifests.PublishConflictError,
        object_store.StorageError,
        OSError,
        ValueError,
    ) as error:
        logger.error("relabel failed: %s", error)
        return 1
    print(json.dumps(result))  # noqa: T201
    return 0


def _forecast(job: make_version.VersionJob) -> dict[str, object]:
    """Returns what the job would tell; `version` is the one that it starts from."""
    listing = job.listing
    assert listing.difference is not None
    return {
        "version": listing.difference.version,
        "changes": listing.difference.counts(),
        "num_clips": listing.num_clips.total() - len(listing.quarantined),
        "num_quarantined": len(job.known_lost),
        "shards": forecast.foreseen_actions(job),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines relabel",
        description="Makes a version with other labels or splits, or fewer clips, of "
        "the clips that the current version holds. Flags not listed here go to Beam.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--annotations", type=Path, required=True, help=build_options.ANNOTATIONS_HELP
    )
    common_flags.add_dataset(parser)
    parser.add_argument(
        "--dry_run", action="store_true", help="tell what would change, then stop"
    )
    parser.add_argument(
        "--max_quarantined",
        type=build_options.non_negative_int,
        metavar="N",
        help="clips that may be broken or missing; by default as many as now",
    )
    parser.add_argument(
        "--num_workers",
        type=build_options.positive_int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="shards made at once on this machine",
    )
    return parser
