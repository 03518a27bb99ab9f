"""`clipmill relabel`: new annotations for the clips that a version holds.

Needs neither the clips nor a decoder: frames are copied from shard to shard, and only
where a shard's labels or clips have changed.
"""

import argparse
from collections.abc import Sequence

from mindrecord_io.commands import command_line
from mindrecord_io.versions.manifests import Version
from pipelines.jobs import common_flags, make_version, origin, parsers
from pipelines.planning import corrections, matching
from pipelines.planning.version_plans import VersionPlan
from pipelines.publishing import data_sets
from pipelines.sources import annotation_readers
from pipelines.sources.annotations import Annotations

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; the result is the last line of standard output."""
    command = common_flags.words("relabel", argv)
    flags, beam_flags = common_flags.parse_with_beam(parsers.relabel_parser(), argv)
    return command_line.run("relabel", lambda: _relabel(flags, beam_flags, command))


def _relabel(
    flags: argparse.Namespace, beam_flags: Sequence[str], command: tuple[str, ...]
) -> dict[str, object]:
    """Relabels the current version, or returns what would be done."""
    with data_sets.opened(flags.dataset) as data_set:
        parent = data_set.open_version()
        annotations = _annotations(flags, parent)
        listing = matching.match_version(parent, annotations)
        max_quarantined = flags.max_quarantined
        if max_quarantined is None:
            manifest = parent.manifest
            max_quarantined = manifest.num_quarantined + manifest.num_missing
        job = make_version.VersionJob(
            data_set,
            VersionPlan(
                parent,
                annotations,
                listing,
                parent.manifest.settings,
                provenance=origin.recorded(
                    command, flags.annotations or flags.corrections
                ),
            ),
            max_quarantined=max_quarantined,
            num_workers=flags.num_workers,
            beam_flags=tuple(beam_flags),
            refuse_leaks=flags.refuse_leaks,
            max_withdrawn=flags.max_withdrawn,
            command=command,
        )
        assert listing.difference is not None
        listing.difference.log()
        if flags.dry_run:
            return make_version.foresee(job)
        return make_version.run(job).to_json()


def _annotations(flags: argparse.Namespace, parent: Version) -> Annotations:
    """Returns new annotations, or the version's own with corrections."""
    if flags.corrections is not None:
        return corrections.corrected(parent, flags.corrections)
    return annotation_readers.read(flags.annotations, common_flags.choices(flags))
