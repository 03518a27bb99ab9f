"""Makes the page of a job that was refused, from the lists that it left."""

import collections
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mindrecord_io import records
from mindrecord_io.storage.tallies import Tally
from mindrecord_io.versions.same_bytes import SameBytes
from pipelines.report import html_pieces, problem_sections
from pipelines.report.version_figures import Lost

__all__ = ["RefusedJob", "page_of"]

_NUM_SHOWN = 100  # clips of one reason

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RefusedJob:
    """What a refused job left.

    Attributes:
      name: of the data set.
      lost_list: the file that lists these.
      lost: rows of what it did not store: clip_id, split, reason, detail.
      same: files that are there more than once.
      withdrawn: rows of clips that it would have withdrawn: clip_id and before.
    """

    name: str
    lost_list: str
    lost: Iterable[Row]
    same: SameBytes
    withdrawn: Iterable[Row]


def page_of(job: RefusedJob) -> str:
    """Returns the page as HTML; goes through the rows once, a few are kept."""
    lost = _by_reason(job.lost)
    withdrawn: Tally[tuple[str, str]] = Tally(_NUM_SHOWN)
    for row in job.withdrawn:
        withdrawn.add(len(withdrawn), (row["clip_id"], row["before"]))
    num_lost = sum(n.num_clips for n in lost if n.reason != records.UNLISTED)
    parts = [
        html_pieces.facts(
            [
                ("clips lost", f"{num_lost:,}"),
                ("files in several splits", f"{len(job.same.leaks):,}"),
                ("files with several labels", f"{len(job.same.conflicts):,}"),
                ("clips withdrawn", f"{len(withdrawn):,}"),
            ]
        ),
        "<p>The job published nothing. What it made is kept and is not decoded "
        "again.</p>",
        html_pieces.section(*problem_sections.lost_section(lost, job.lost_list)),
        html_pieces.section(*problem_sections.equal_files_section(job.same)),
    ]
    if len(withdrawn):
        listed = html_pieces.table(("clip", "split before"), withdrawn.first)
        rest = len(withdrawn) - len(withdrawn.first)
        more = problem_sections.more(rest, "see changes.tsv")
        parts.append(html_pieces.section("Clips that would go", listed, more))
    return html_pieces.document(f"{job.name}, a job that was refused", parts)


def _by_reason(rows: Iterable[Row]) -> list[Lost]:
    counts: collections.Counter[str] = collections.Counter()
    shown: dict[str, list[tuple[str, str, str]]] = {}
    for row in rows:
        reason = row["reason"]
        counts[reason] += 1
        if counts[reason] <= _NUM_SHOWN:
            clip = (row["clip_id"], row["split"], row["detail"])
            shown.setdefault(reason, []).append(clip)
    in_order = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [Lost(reason, num, tuple(shown[reason])) for reason, num in in_order]
