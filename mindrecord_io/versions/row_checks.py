"""Reads a shard's rows as anyone can, by plain MindDataset, and compares them.

MindSpore is imported here: see writer. It can crash on a damaged file, or take all
memory; so the file's hash comes first (shard_verification), and a process that can be
lost.
"""

import hashlib
import itertools
import os
from pathlib import Path
from typing import Any

from mindspore.dataset import MindDataset

from mindrecord_io.shards import schema
from mindrecord_io.versions import manifests, shard_checks

__all__ = ["check_rows"]

_MAX_NAMED = 5


def check_rows(version: manifests.Version, entry: manifests.ShardEntry) -> list[str]:
    """Compares every row of a shard, frames included, with the table of clips.

    The frames must also be what lies at the clip's `frames_offset` in the file.

    Returns:
      What differs; one line a row for the first rows, then how many more there are.
    """
    try:
        clips = shard_checks.stored_clips(shard_checks.shard_clips(version, entry))
        wrong = _wrong_rows(version.shard_path(entry), clips)
    except (OSError, RuntimeError, ValueError) as error:
        return [f"cannot be read by MindDataset: {' '.join(str(error).split())}"]
    more = len(wrong) - _MAX_NAMED
    if more > 0:
        wrong[_MAX_NAMED:] = [f"{more} more rows differ"]
    return wrong


def _wrong_rows(path: Path, clips: list[dict[str, Any]]) -> list[str]:
    rows = MindDataset([str(path)], list(schema.COLUMNS), 1, shuffle=False)
    found = rows.create_tuple_iterator(num_epochs=1, output_numpy=True)
    wrong, num_rows = [], 0
    with path.open("rb") as file:
        for row, clip in itertools.zip_longest(found, clips):
            num_rows += row is not None
            if row is None or clip is None:
                continue
            if differing := _differences(row, clip, file.fileno()):
                name = f"row {clip['row']}, clip {clip['clip_id']}"
                wrong.append(f"{name}: {'; '.join(differing)}")
    if num_rows != len(clips):
        wrong.insert(0, f"has {num_rows} rows, in clips.parquet it has {len(clips)}")
    return wrong


def _differences(row: list[Any], clip: dict[str, Any], descriptor: int) -> list[str]:
    clip_id, label, num_frames, sizes, frames, height, width = row
    jpegs = frames.tobytes()
    compared = {
        "clip_id": (str(clip_id), clip["clip_id"]),
        "label": (int(label), clip["label_id"]),
        "num_frames": (int(num_frames), len(clip["frame_sizes"])),
        "frame_sizes": (sizes.tolist(), clip["frame_sizes"]),
        "frames_sha256": (hashlib.sha256(jpegs).hexdigest(), clip["frames_sha256"]),
        "height": (int(height), clip["height"]),
        "width": (int(width), clip["width"]),
    }
    differing = [
        f"{name} {found!r:.80}, in clips.parquet {expected!r:.80}"
        for name, (found, expected) in compared.items()
        if found != expected
    ]
    offset = clip["frames_offset"]
    if offset < 0 or os.pread(descriptor, len(jpegs), offset) != jpegs:
        differing.append(f"its frames are not at frames_offset {offset}")
    return differing
