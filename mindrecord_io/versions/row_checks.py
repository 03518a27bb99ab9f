"""Compares a shard's rows, read with plain MindDataset, with clips.parquet.

Only for shards whose files have the published hash (shard_checks): MindSpore can crash
on a damaged file.
"""

import itertools
from pathlib import Path
from typing import Any

from mindrecord_io.shards import index_checks, row_reading
from mindrecord_io.shards.row_reading import Row
from mindrecord_io.versions import shard_checks
from mindrecord_io.versions.manifests import ShardEntry, Version

__all__ = ["check_rows"]

_MAX_NAMED = 5


def check_rows(version: Version, entry: ShardEntry) -> list[str]:
    """Compares every row of a shard, frames included, with the table of clips.

    The frames must also be what lies at the clip's `frames_offset` in the file.

    Returns:
      What differs; one line a row for the first rows, then how many more there are.
    """
    try:
        path = version.shard_path(entry)
        if why := index_checks.wrong_index(path.with_name(f"{path.name}.db")):
            return [f"{path.name}.db {why}"]
        clips = shard_checks.stored_clips(shard_checks.shard_clips(version, entry))
        wrong = _wrong_rows(path, clips)
    except (OSError, RuntimeError, ValueError) as error:
        return [f"cannot be read by MindDataset: {' '.join(str(error).split())}"]
    more = len(wrong) - _MAX_NAMED
    if more > 0:
        wrong[_MAX_NAMED:] = [f"{more} more rows differ"]
    return wrong


def _wrong_rows(path: Path, clips: list[dict[str, Any]]) -> list[str]:
    wrong, num_rows = [], 0
    rows = row_reading.read_rows(path, [clip["frames_offset"] for clip in clips])
    for row, clip in itertools.zip_longest(rows, clips):
        num_rows += row is not None
        if row is None or clip is None:
            continue
        if differing := _differences(row, clip):
            name = f"row {clip['row']}, clip {clip['clip_id']}"
            wrong.append(f"{name}: {'; '.join(differing)}")
    if num_rows != len(clips):
        wrong.insert(0, f"has {num_rows} rows, in clips.parquet it has {len(clips)}")
    return wrong


def _differences(row: Row, clip: dict[str, Any]) -> list[str]:
    compared = {
        "clip_id": (row.clip_id, clip["clip_id"]),
        "label": (row.label, clip["label_id"]),
        "num_frames": (row.num_frames, len(clip["frame_sizes"])),
        "frame_sizes": (list(row.frame_sizes), clip["frame_sizes"]),
        "frames_sha256": (row.frames_sha256, clip["frames_sha256"]),
        "frame_crc32s": (
            list(row.frame_crc32s),
            clip.get("frame_crc32s") or list(row.frame_crc32s),
        ),
        "height": (row.height, clip["height"]),
        "width": (row.width, clip["width"]),
    }
    differing = [
        f"{name} {read!r:.80}, in clips.parquet {expected!r:.80}"
        for name, (read, expected) in compared.items()
        if read != expected
    ]
    if not row.is_at_offset:
        offset = clip["frames_offset"]
        differing.append(f"its frames are not at frames_offset {offset}")
    return differing
