"""Hashes the pixels of a version's clips, so that two sites can compare them.

Files of equal frames differ where shards are cut differently, labels differ, or another
encoder made the JPEGs. The hash is of what the JPEGs decode to, whatever holds them.
"""

import hashlib
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import simplejpeg

from mindrecord_io import records
from mindrecord_io.serving import whole_clips
from mindrecord_io.serving.frames import FrameError
from mindrecord_io.versions.manifests import Version

__all__ = ["PixelHash", "hash_pixels"]

_COLUMNS = ("clip_id", "status", "shard", "frames_offset", "frame_sizes")
_MAX_WAITING = 4  # clips for each worker
_MODULUS = 1 << 256


@dataclass(frozen=True, slots=True)
class PixelHash:
    """The hash of a version's pixels.

    Attributes:
      pixels: 64 hexadecimal digits; equal ones mean equal ids, numbers of frames, sizes
        and pixels of all stored clips, in any order of clips and shards.
    """

    version: str
    num_clips: int
    num_frames: int
    pixels: str


def hash_pixels(version: Version, num_workers: int) -> PixelHash:
    """Decodes all frames of a version, and returns one hash of them.

    Args:
      num_workers: threads; decoding needs no Python.

    Raises:
      FrameError: frames cannot be read or decoded.
      ManifestError, StorageError, TableError: the version cannot be read.
    """
    total = num_clips = num_frames = 0
    waiting: list[futures.Future[int]] = []
    with futures.ThreadPoolExecutor(num_workers) as executor:
        for row in _stored_rows(version):
            path = whole_clips.shard_file(version, row["shard"])
            waiting.append(executor.submit(_hash_of, row, path))
            num_clips, num_frames = num_clips + 1, num_frames + len(row["frame_sizes"])
            if len(waiting) == _MAX_WAITING * num_workers:
                total += waiting.pop(0).result()
        total += sum(one.result() for one in waiting)
    # A sum, so that the order of the clips is none of it.
    pixels = f"{total % _MODULUS:064x}"
    return PixelHash(version.manifest.version, num_clips, num_frames, pixels)


def _stored_rows(version: Version) -> Iterator[dict[str, Any]]:
    for batch in version.clip_batches(_COLUMNS):
        for row in batch.to_pylist():
            if row["status"] == records.STORED:
                yield row


def _hash_of(row: dict[str, Any], path: Path) -> int:
    digest = hashlib.sha256(row["clip_id"].encode() + b"\0")
    try:
        with path.open("rb") as file:
            file.seek(row["frames_offset"])
            for num_bytes in row["frame_sizes"]:
                frame = simplejpeg.decode_jpeg(file.read(num_bytes), "RGB")
                digest.update(repr(frame.shape).encode())
                digest.update(frame)
    except (OSError, ValueError) as cause:
        raise FrameError(f"clip {row['clip_id']} in {path}: {cause}") from cause
    return int.from_bytes(digest.digest(), "big")
