"""Makes the sections on clips that are lost, and on files that are equal."""

from collections.abc import Sequence

from mindrecord_io.versions.same_bytes import SAME_BYTES, SameBytes
from pipelines.quarantine import REASONS
from pipelines.report import html_pieces, version_figures

__all__ = ["equal_files_section", "lost_section", "more"]


def lost_section(lost: Sequence[version_figures.Lost], listed: str) -> tuple[str, ...]:
    """Returns heading and markup on the clips that are not stored.

    Args:
      listed: the file that lists all of them.
    """
    title = "Clips that are not stored"
    if not lost:
        return title, "<p>None.</p>"
    return title, *(_lost_for(clips, listed) for clips in lost)


def equal_files_section(same: SameBytes) -> tuple[str, ...]:
    """Returns heading and markup on files that are there more than once."""
    title = "Files that are equal"
    if not same:
        return title, "<p>None: no two stored clips have the same bytes.</p>"
    text = (
        f"{same.num_clips:,} clips share {html_pieces.count(same.num_files, 'file')}"
        f"; {len(same.leaks):,} in several splits, {len(same.conflicts):,} with "
        "several labels."
    )
    rows = [
        (f"{number}", *clip[:3])
        for number, clips in enumerate(same.shown.first, 1)
        for clip in clips
    ]
    listed = html_pieces.table(("file", "clip", "split", "label"), rows)
    rest = more(same.num_files - len(same.shown.first), f"see {SAME_BYTES}")
    folded = html_pieces.details("the clips, the worst first", listed, rest)
    return title, f"<p>{html_pieces.escape(text)}</p>", folded


def more(number: int, where: str) -> str:
    """Returns markup that says how many are not shown, and where they are."""
    return f"<p>and {number:,} more: {html_pieces.escape(where)}</p>" if number else ""


def _lost_for(lost: version_figures.Lost, listed: str) -> str:
    reason = REASONS.get(lost.reason)
    why = f"{reason.meaning}. What to do: {reason.remedy}." if reason else ""
    note = f"<p>{html_pieces.escape(why)}</p>" if why else ""
    clips = html_pieces.table(("clip", "split", "what was found"), lost.shown)
    rest = more(lost.num_clips - len(lost.shown), f"see {listed}")
    return html_pieces.details(f"{lost.reason}: {lost.num_clips:,}", note, clips, rest)
