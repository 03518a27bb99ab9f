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
from pipelines.jobs import build_options, common_flags, make_version
from pipelines.planning import matching
from pipelines.planning.version_plans import VersionPlan
from pipelines.publishing import data_sets
from pipelines.sources import annotation_readers

__all__ = ["main"]

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; the result is the last line of standard output."""
    flags, beam_flags = build_options.parse_with_beam(_parser(), argv)
    try:
        result = _relabel(flags, beam_flags)
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


def _relabel(flags: argparse.Namespace, beam_flags: Sequence[str]) -> dict[str, object]:
    """Relabels the current version, or returns what would be done."""
    with data_sets.opened(flags.dataset) as data_set:
        parent = data_set.open_version()
        annotations = annotation_readers.read(flags.annotations)
        listing = matching.match_version(parent, annotations)
        max_quarantined = flags.max_quarantined
        if max_quarantined is None:
            max_quarantined = (
                parent.manifest.num_quarantined + parent.manifest.num_missing
            )
        job = make_version.VersionJob(
            data_set,
            VersionPlan(parent, annotations, listing, parent.manifest.settings),
            max_quarantined=max_quarantined,
            num_workers=flags.num_workers,
            beam_flags=tuple(beam_flags),
        )
        assert listing.difference is not None
        listing.difference.log()
        return (
            make_version.foresee(job)
            if flags.dry_run
            else make_version.run(job).to_json()
        )


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
        "--dry_run", action="store_true", help="print what would change, then stop"
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
