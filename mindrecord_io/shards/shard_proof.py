"""Proves that a shard reads back, by MindDataset, as it was meant to be written."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mindrecord_io.records import ClipOutcome, ShardPlan
from mindrecord_io.shards import row_reading
from mindrecord_io.shards.row_reading import Row
from mindrecord_io.shards.shard_folders import REMEDY

__all__ = ["ProofError", "prove_rows"]

_MAX_NAMED = 5


class ProofError(ValueError):
    """A shard holds something else than it should."""


def prove_rows(path: Path, stored: Sequence[ClipOutcome], plan: ShardPlan) -> None:
    """Compares every row, as MindDataset reads it, with what was appended.

    The frames are compared twice: with their hash, and with what lies at the offset
    from which training will read them.

    Args:
      stored: the clips that have a row, in the order of the rows.
      plan: names the shards from which frames were copied.

    Raises:
      ProofError: a row differs.
      RuntimeError: MindSpore cannot read the file.
    """
    rows = list(row_reading.read_rows(path, [c.frames_offset for c in stored]))
    expected = [_expected_row(clip) for clip in stored]
    if rows == expected:
        return
    differing = [
        pair for pair in zip(expected, rows, strict=False) if pair[0] != pair[1]
    ]
    places = {clip.clip_id: clip.stored_in for clip in plan.clips}
    for clip, row in differing:
        place = places[clip.clip_id]
        # Read back as it was written, but not as it was where it was copied from.
        if place and row == replace(
            clip, frames_sha256=row.frames_sha256, frame_crc32s=row.frame_crc32s
        ):
            raise ProofError(
                f"{clip.clip_id}: the frames stored in {place} are damaged: SHA-256 "
                f"{row.frames_sha256}, expected {clip.frames_sha256}; run "
                f"verify; {REMEDY}"
            )
    wrong = [clip.clip_id for clip, _ in differing]
    raise ProofError(
        f"{path}: {len(rows)} of {len(expected)} rows read back; "
        f"rows that differ: {wrong[:_MAX_NAMED]}"
    )


def _expected_row(clip: ClipOutcome) -> Row:
    return Row(
        clip_id=clip.clip_id,
        label=clip.label_id,
        num_frames=len(clip.frame_sizes),
        frame_sizes=clip.frame_sizes,
        frames_sha256=clip.frames_sha256,
        height=clip.height,
        width=clip.width,
        frame_crc32s=clip.frame_crc32s,
    )
