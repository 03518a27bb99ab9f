"""Compares a shard's summary with the plan of the shard, and with the shard's file.

A shard is reused, and its frames are copied, by what its summary says. The summary lies
in a file that anything may have changed since.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from mindrecord_io import records
from mindrecord_io.records import ClipOutcome, PlannedClip, ShardPlan, ShardSummary
from mindrecord_io.shards import mindrecord_encoding
from mindrecord_io.storage import files

__all__ = ["contradiction", "difference", "misplaced"]

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MAX_SIDE_PX = 65_535  # of a JPEG


def difference(summary: ShardSummary, plan: ShardPlan) -> str:
    """Returns the first thing in which a summary is not the plan's, "" if nothing.

    They must agree in the shard's place and keys, and in the ids, labels, sources and
    order of the clips; and the summary must not contradict itself.
    """
    for name in ("split", "index", "num_shards", "frames_key"):
        own, planned = getattr(summary, name), getattr(plan, name)
        if own != planned:
            return f"{name} is {own!r}, planned is {planned!r}"
    key = summary.planned_key or summary.key  # made again by another decoder
    if key != plan.key:
        return f"key is {key!r}, planned is {plan.key!r}"
    if why := _other_clips([c.clip_id for c in summary.clips], plan.clips):
        return why
    for clip, planned in zip(summary.clips, plan.clips, strict=True):
        for name in ("label_id", "source"):
            own, wanted = getattr(clip, name), getattr(planned, name)
            if own != wanted:
                return f"clip {clip.clip_id}: {name} is {own}, planned is {wanted}"
    return contradiction(summary)


def contradiction(summary: ShardSummary) -> str:
    """Returns the first thing that cannot be in a summary, "" if there is none.

    Rows are numbered from 0, and the frames of each clip lie in the file, behind those
    of the clip before.
    """
    num_rows = end = 0
    num_bytes = summary.mindrecord.num_bytes if summary.mindrecord else 0
    for clip in summary.clips:
        if clip.status != records.STORED:
            if (clip.row, clip.frames_offset, clip.frames_sha256) != (-1, -1, ""):
                return f"clip {clip.clip_id}: not stored, and yet has a place"
            continue
        if clip.row != num_rows:
            return f"clip {clip.clip_id}: row is {clip.row}, expected {num_rows}"
        if why := _impossible(clip, end, num_bytes):
            return f"clip {clip.clip_id}: {why}"
        num_rows += 1
        end = clip.frames_offset + sum(clip.frame_sizes)
    if bool(num_rows) != bool(summary.mindrecord and summary.mindrecord_index):
        return f"{num_rows} clips are stored, the files are {summary.mindrecord}"
    return ""


def misplaced(path: Path, clips: Sequence[ClipOutcome]) -> str:
    """Returns the first stored clip whose frames are not where its outcome says.

    Before the frames of a row the file has the row's own sizes of frames: a few bytes
    a clip are read.

    Args:
      path: of the .mindrecord file.

    Raises:
      OSError: the file cannot be read.
    """
    with files.open_regular(path) as file:
        for clip in clips:
            if clip.status != records.STORED:
                continue
            head = mindrecord_encoding.blob_row_head(
                clip.frame_sizes, sum(clip.frame_sizes)
            )
            begin = clip.frames_offset - len(head)
            if begin < 0 or os.pread(file.fileno(), len(head), begin) != head:
                return (
                    f"clip {clip.clip_id}: no {len(clip.frame_sizes)} frames of these "
                    f"sizes at byte {clip.frames_offset}"
                )
    return ""


def _other_clips(ids: Sequence[str], planned: Sequence[PlannedClip]) -> str:
    wanted = [clip.clip_id for clip in planned]
    if ids == wanted:
        return ""
    if lost := set(wanted) - set(ids):
        return f"clip {min(lost)} is not in it ({len(ids)} clips of {len(wanted)})"
    if extra := set(ids) - set(wanted):
        return f"clip {min(extra)} is in it and not planned"
    return f"its {len(ids)} clips are not in the planned order, or some are twice"


def _impossible(clip: ClipOutcome, end: int, num_bytes: int) -> str:
    """Returns what of a stored clip cannot be; `end` is of the clip before it."""
    total = sum(clip.frame_sizes)
    if min(clip.frame_sizes) < 1:
        return f"a frame has {min(clip.frame_sizes)} bytes"
    if not end <= clip.frames_offset <= num_bytes - total:
        return (
            f"its frames are at bytes {clip.frames_offset} to "
            f"{clip.frames_offset + total}, possible are {end} to {num_bytes}"
        )
    if not (1 <= clip.width <= _MAX_SIDE_PX and 1 <= clip.height <= _MAX_SIDE_PX):
        return f"its frames have {clip.width} x {clip.height} pixels"
    if not _SHA256.fullmatch(clip.frames_sha256):
        return f"frames_sha256 is {clip.frames_sha256!r:.80}"
    return ""
