"""Reads all the frames of one clip, as they are stored, for people to look at."""

import functools
import hashlib
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg
from pyarrow import compute

from mindrecord_io import records
from mindrecord_io.serving.frames import FrameError
from mindrecord_io.storage import files
from mindrecord_io.storage.range_reads import FileRanges
from mindrecord_io.storage.shard_cache import RemoteShard
from mindrecord_io.versions.manifests import ShardEntry, Version
from mindrecord_io.versions.opening import RemoteVersion, open_version

__all__ = ["read_clip", "shard_file"]

_COLUMNS = (
    *("clip_id", "status", "reason", "shard", "frames_offset", "frame_sizes"),
    "frames_sha256",
)


def read_clip(dataset: Path | str | Version, clip_id: str) -> npt.NDArray[np.uint8]:
    """Returns the frames of a stored clip as RGB, (num_frames, height, width, 3).

    Args:
      dataset: a path or URI, for its newest version, or an open version.

    Raises:
      ValueError: there is no such clip, or it is not stored.
      FrameError: its frames cannot be read or decoded.
      ManifestError, StorageError, TableError: the version cannot be read.
    """
    opened = dataset if isinstance(dataset, Version) else open_version(dataset)
    row = _row(opened, clip_id)
    entry, sizes = _entry(opened, row["shard"]), row["frame_sizes"]
    path = opened.shard_path(entry)
    try:
        content = _stored_bytes(opened, entry, row)
        ends = itertools.accumulate(sizes)
        jpegs = [
            content[end - size : end] for size, end in zip(sizes, ends, strict=True)
        ]
        return np.stack([simplejpeg.decode_jpeg(jpeg, "RGB") for jpeg in jpegs])
    except (OSError, ValueError) as cause:
        raise FrameError(f"clip {clip_id} in {path}: {cause}") from cause


def _stored_bytes(version: Version, entry: ShardEntry, row: dict[str, Any]) -> bytes:
    """Returns a clip's frames: of a shard that is not here these bytes alone."""
    num_bytes = sum(row["frame_sizes"])
    try:
        with files.open_regular(version.shard_path(entry)) as file:
            file.seek(row["frames_offset"])
            return file.read(num_bytes)
    except FileNotFoundError:
        if not isinstance(version, RemoteVersion) or entry.mindrecord is None:
            raise
    total = entry.mindrecord.num_bytes
    begin = row["frames_offset"]
    wanted = FileRanges(entry.path, ((begin, begin + num_bytes),), total)
    check = functools.partial(_wrong, row["clip_id"], row["frames_sha256"])
    (content,) = version.cache.reads.submit(wanted, check).result()
    return content


def _wrong(clip_id: str, sha256: str, contents: Sequence[bytes]) -> str:
    """Returns what is wrong with the frames of a clip, "" if nothing is."""
    is_right = hashlib.sha256(contents[0]).hexdigest() == sha256
    return "" if is_right else f"clip {clip_id} has another SHA-256 than was published"


def _row(version: Version, clip_id: str) -> dict[str, Any]:
    name = f"{version.location}: version {version.manifest.version}"
    for batch in version.clip_batches(_COLUMNS):
        rows = batch.filter(compute.equal(batch.column("clip_id"), clip_id)).to_pylist()
        for row in rows:
            if row["status"] == records.STORED:
                return dict(row)
            why = f"{row['status']} ({row['reason']})"
            raise ValueError(f"{name} has no frames of clip {clip_id}: it is {why}")
    raise ValueError(f"{name} has no clip {clip_id}")


def shard_file(version: Version, shard: str) -> Path:
    """Returns the path of a shard's file, which is fetched if it is elsewhere."""
    entry = _entry(version, shard)
    if isinstance(version, RemoteVersion) and entry.mindrecord is not None:
        return version.cache.fetch(RemoteShard(entry.path, entry.mindrecord))
    return version.shard_path(entry)


def _entry(version: Version, shard: str) -> ShardEntry:
    return next(entry for entry in version.manifest.shards if entry.path == shard)
