"""Stops a job that would lose, leak or withdraw too much, and keeps the list of what.

A job that is refused publishes nothing. Its lists lie in the data set's folder
`versions/refused`; the shards that it made stay, so that nothing is decoded twice.
"""

import contextlib
import errno
import itertools
import logging
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from mindrecord_io.commands import log_lines, quantities
from mindrecord_io.storage import own_folders
from mindrecord_io.storage.tallies import Tally
from mindrecord_io.versions import same_bytes
from mindrecord_io.versions.same_bytes import SameBytes
from mindrecord_io.versions.version_differences import CHANGE_COLUMNS
from pipelines.building import clip_notes, version_draft
from pipelines.building.clip_notes import LostClips
from pipelines.planning.annotation_changes import Changes
from pipelines.planning.clip_listing import LOST_COLUMNS
from pipelines.planning.version_plans import VersionPlan
from pipelines.publishing.data_sets import DataSet

__all__ = [
    "REFUSED",
    "REFUSED_FILES",
    "JobError",
    "forget_refused",
    "keep",
    "refuse_leaks",
    "refuse_lost",
    "refuse_lost_early",
    "refuse_withdrawn",
    "with_remedy",
]

logger = logging.getLogger(__name__)

REFUSED = "versions/refused"
"""The folder, below a data set's, of the lists of the last refused job."""

REFUSED_FILES = (
    clip_notes.LOST,
    same_bytes.SAME_BYTES,
    version_draft.CHANGES,
    "report.html",
)
"""What may be in it; the last is the page on these lists."""

_MAX_DETAIL = 200


class JobError(RuntimeError):
    """The job ran and failed; nothing was published."""


def refuse_lost(
    lost: Tally[tuple[str, str, str]],
    max_quarantined: int,
    *,
    by_reason: LostClips,
    listed: str,
    command: Sequence[str],
    made: str = "What was made is kept and will not be decoded again",
) -> None:
    """Raises JobError if more clips are lost than allowed.

    Args:
      listed: where all of them are listed, "" if nowhere.
      command: the words of the command, to be repeated.
      made: how far the job came, in words.
    """
    if len(lost) <= max_quarantined:
        return
    if listed:
        logger.warning(
            "%s lost, all listed in %s:\n%s",
            quantities.count(len(lost), "clip"),
            listed,
            by_reason.table(log_lines.num_columns()),
            extra=log_lines.TABLE,
        )
    remedy = ""
    if command:
        again = _go_on(command, "--max_quarantined", str(len(lost)))
        remedy = f". {made}; to go on without these clips: {again}"
    shown = (f"{clip} ({why}: {text[:_MAX_DETAIL]})" for clip, why, text in lost.first)
    raise JobError(
        f"{quantities.count(len(lost), 'clip')} cannot be stored, --max_quarantined "
        f"allows {max_quarantined}; nothing is published. The first: {'; '.join(shown)}"
        f"{remedy}"
    )


def refuse_lost_early(
    lost: Tally[tuple[str, str, str]],
    max_quarantined: int,
    *,
    plan: VersionPlan,
    data_set: DataSet | None,
    command: Sequence[str],
) -> None:
    """Raises JobError if the plan shows that more clips are lost than allowed.

    Args:
      data_set: keeps the list of them; None keeps none.
    """
    if len(lost) <= max_quarantined:
        return
    by_reason, listed = LostClips(), ""
    for clip_id, _, _, reason, detail, _ in plan.lost_rows():
        by_reason.add(clip_id, reason, detail)
    if data_set is not None:
        rows = itertools.chain(
            (dict(zip(LOST_COLUMNS, r, strict=True)) for r in plan.lost_rows()),
            (_unlisted(name) for name in plan.listing.unlisted()),
        )
        listed = _keep_rows(data_set, clip_notes.LOST, LOST_COLUMNS, rows)
    refuse_lost(
        *(lost, max_quarantined),
        by_reason=by_reason,
        listed=listed,
        command=command,
        made="Nothing was made yet, and no clip was looked into",
    )


def refuse_leaks(same: SameBytes, listed: str) -> None:
    """Raises JobError if a file's bytes are in two splits."""
    if len(same.leaks):
        num = quantities.count(len(same.leaks), "file")
        raise JobError(
            f"{num} in two splits, byte for byte, which --refuse_leaks forbids; "
            f"nothing is published. The first: {same.leaks.first[0]}. "
            f"All of them: {listed}. Leave out of the annotations all but one of each"
        )


def refuse_withdrawn(
    changes: Changes, num_before: int, share: float, data_set: DataSet | None
) -> None:
    """Raises JobError if more than a share of a version's clips would go.

    Args:
      data_set: keeps the list of them; None keeps none.
    """
    num = len(changes.withdrawn)
    if num <= share * num_before:
        return
    listed = ""
    if data_set is not None:
        rows = (
            dict(zip(CHANGE_COLUMNS, (clip_id, "withdrawn", split, ""), strict=True))
            for clip_id, split in changes.listed.rows()
        )
        path = _keep_rows(data_set, version_draft.CHANGES, CHANGE_COLUMNS, rows)
        listed = f". All of them: {path}"
    needed = -(-1000 * num // max(num_before, 1)) / 1000  # rounded up
    raise JobError(
        f"{num} of {num_before} clips of version {changes.version} would be withdrawn, "
        f"being annotated no more, --max_withdrawn allows {share:g} of them; "
        f"nothing is published. The first: {', '.join(changes.withdrawn.first)}"
        f"{listed}. If they are to go: --max_withdrawn {needed:g}"
    )


def keep(data_set: DataSet, path: Path) -> str:
    """Moves a list to where those of refused jobs lie; returns where that is."""
    name = f"{REFUSED}/{path.name}"
    if not isinstance(data_set.location, Path):
        return data_set.write(name, path.read_bytes())
    own_folders.check_place(data_set.location, REFUSED)
    kept = data_set.location / name
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(path, kept)
    return str(kept)


def with_remedy(problem: str) -> str:
    """Returns why shards could not be made, with what to do where the disk is full."""
    if os.strerror(errno.ENOSPC) not in problem:
        return problem
    return (
        f"{problem}; finished shards are kept: make room there, and run the same "
        f"command again"
    )


def forget_refused(data_set: DataSet) -> None:
    """Removes what a refused job left for people."""
    data_set.remove(REFUSED, REFUSED_FILES)
    if isinstance(data_set.location, Path):
        with contextlib.suppress(
            OSError
        ):  # something else is in it, or it is not there
            (data_set.location / REFUSED).rmdir()


def _unlisted(name: str) -> dict[str, str]:
    why = {"reason": "unlisted", "detail": version_draft.NO_ANNOTATION}
    return {"clip_id": name, **why}


def _keep_rows(
    data_set: DataSet,
    name: str,
    columns: Sequence[str],
    rows: Iterable[dict[str, str]],
) -> str:
    with tempfile.TemporaryDirectory(prefix="clipmill-") as folder:
        path = Path(folder) / name
        clip_notes.write_tsv(path, columns, rows)
        return keep(data_set, path) if path.exists() else ""


def _go_on(command: Sequence[str], flag: str, value: str) -> str:
    """Returns a command with another value of a flag."""
    words = [word for word in command if not word.startswith(f"{flag}=")]
    if flag in words[:-1]:
        begin = words.index(flag)
        del words[begin : begin + 2]
    return shlex.join([*words, flag, value])
