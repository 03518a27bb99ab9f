"""Proves that a shard reads back, by MindDataset, as it was meant to be written.

MindSpore is imported here and must not be imported into a process that has loaded
Apache Beam (their protobuf needs differ): shards are written in processes of their own.
"""

import hashlib
import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mindspore.dataset import MindDataset

from mindrecord_io import records
from mindrecord_io.shards import schema

__all__ = ["ProofError", "prove_rows"]

_MAX_NAMED = 5


class ProofError(ValueError):
    """A shard holds something else than it should."""


def prove_rows(
    path: Path, stored: Sequence[records.ClipOutcome], plan: records.ShardPlan
) -> None:
    """Compares every row, as MindDataset gives it, with what was appended.

    The frames are compared twice: with their hash, and with what lies at the offset
    from which training will read them.

    Args:
      stored: the clips that have a row, in the order of the rows.
      plan: tells of damaged frames which shard they were copied from.

    Raises:
      ProofError: a row differs.
      RuntimeError: MindSpore cannot read the file.
    """
    found = []
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        offsets = iter([clip.frames_offset for clip in stored])
        rows = MindDataset([str(path)], list(schema.COLUMNS), 1, shuffle=False)
        for row in rows.create_tuple_iterator(num_epochs=1, output_numpy=True):
            found.append(_row_identity(row, content, next(offsets, -1)))
    expected = [_expected_identity(clip) for clip in stored]
    if found != expected:
        raise ProofError(
            _damaged_source(plan, expected, found) or _wrong_rows(path, expected, found)
        )


def _damaged_source(
    plan: records.ShardPlan,
    expected: Sequence[tuple[object, ...]],
    found: Sequence[tuple[object, ...]],
) -> str:
    """Tells of a row that is as it was written, but not as it was where it is from."""
    places = {clip.clip_id: clip.stored_in for clip in plan.clips}
    for (*identity, sha256), (*read, sha256_read) in zip(expected, found, strict=False):
        clip_id = str(identity[0])
        if identity == read and places[clip_id] and sha256_read not in ("", sha256):
            return (
                f"{clip_id}: the frames stored in {places[clip_id]} are damaged: "
                f"SHA-256 {sha256_read}, expected {sha256}; run verify"
            )
    return ""


def _wrong_rows(
    path: Path,
    expected: Sequence[tuple[object, ...]],
    found: Sequence[tuple[object, ...]],
) -> str:
    pairs = zip(expected, found, strict=False)
    wrong = [clip[0] for clip, row in pairs if clip != row]
    return (
        f"{path}: {len(found)} of {len(expected)} rows read back; "
        f"rows that differ: {wrong[:_MAX_NAMED]}"
    )


def _expected_identity(clip: records.ClipOutcome) -> tuple[object, ...]:
    return (
        clip.clip_id,
        clip.label_id,
        len(clip.frame_sizes),
        clip.frame_sizes,
        clip.height,
        clip.width,
        clip.frames_sha256,
    )


def _row_identity(
    row: list[Any], content: mmap.mmap, frames_offset: int
) -> tuple[object, ...]:
    clip_id, label, num_frames, sizes, frames, height, width = row
    blob = frames.view(np.uint8)  # (bytes of JPEG,)
    in_file = np.frombuffer(content, np.uint8)[frames_offset:][: len(blob)]
    is_at_offset = frames_offset >= 0 and np.array_equal(in_file, blob)
    return (
        str(clip_id),
        int(label),
        int(num_frames),
        tuple(sizes.tolist()),
        int(height),
        int(width),
        hashlib.sha256(blob).hexdigest() if is_at_offset else "",
    )
