"""Checks bytes of frames that were read by ranges, against what the table holds.

The table has the CRC-32 of every frame. Tables older than that column have the SHA-256
of all frames of a clip alone: of such a clip all frames are read.
"""

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pyarrow import compute

from mindrecord_io import records
from mindrecord_io.serving.split_columns import GrowingArray
from mindrecord_io.versions.manifests import Version

__all__ = ["FrameChecksums", "read_checksums"]

_PIECE_BYTES = 5 << 10
_COLUMNS = ("status", "frames_sha256", "frame_sizes", "frame_crc32s")


@dataclass(frozen=True, slots=True, eq=False)
class FrameChecksums:
    """The checksums of a split's stored clips, in the order of its index.

    Attributes:
      sha256s: uint8 (clips, 32), each of all frames of a clip.
      has_crc32s: bool (clips,).
      crc32s: uint32 (frames,), 0 for those of clips without.
    """

    sha256s: npt.NDArray[np.uint8]
    has_crc32s: npt.NDArray[np.bool_]
    crc32s: npt.NDArray[np.uint32]

    def take(
        self, rows: npt.NDArray[Any], frames: npt.NDArray[Any]
    ) -> "FrameChecksums":
        """Returns those of some clips and their frames."""
        return FrameChecksums(
            self.sha256s[rows], self.has_crc32s[rows], self.crc32s[frames]
        )

    def wrong_clip(self, row: int, content: bytes) -> str:
        """Returns what is wrong with all frames of a clip, "" if nothing is."""
        actual, expected = hashlib.sha256(content).hexdigest(), self.sha256s[row]
        if actual == expected.tobytes().hex():
            return ""
        return f"SHA-256 {actual}, published was {expected.tobytes().hex()}"

    def wrong_frame(self, frame: int, content: bytes | memoryview) -> str:
        """Returns what is wrong with a frame, by its place among all, "" if nothing."""
        actual, expected = _crc32(content), int(self.crc32s[frame])
        if actual == expected:
            return ""
        return f"CRC-32 {actual:08x}, published was {expected:08x}"


def _crc32(content: bytes | memoryview) -> int:
    """Returns the CRC-32 of a frame, in pieces for which zlib keeps the lock of Python.

    To release it and to wait for it among many threads takes longer than the sum.
    """
    view, crc32 = memoryview(content), 0
    for begin in range(0, len(view), _PIECE_BYTES):
        crc32 = zlib.crc32(view[begin : begin + _PIECE_BYTES], crc32)
    return crc32


def read_checksums(version: Version, split: str) -> FrameChecksums:
    """Reads the checksums of a split's stored clips, in table order.

    Raises:
      ManifestError, TableError: the table cannot be read.
    """
    sha256s, has_crc32s = GrowingArray(np.uint8), GrowingArray(np.uint8)
    crc32s = GrowingArray(np.uint32)
    for batch in version.clip_batches(_COLUMNS, split):
        rows = batch.filter(compute.equal(batch.column("status"), records.STORED))
        if not rows.num_rows:
            continue
        hexadecimal = "".join(rows.column("frames_sha256").to_pylist())
        sha256s.extend(np.frombuffer(bytes.fromhex(hexadecimal), np.uint8))
        num_frames = compute.list_value_length(rows.column("frame_sizes")).to_numpy()
        has, values = _crc32s(rows, num_frames)
        has_crc32s.extend(has.astype(np.uint8))
        crc32s.extend(values)
    return FrameChecksums(
        sha256s.finish().reshape(-1, hashlib.sha256().digest_size),
        has_crc32s.finish().astype(np.bool_),
        crc32s.finish(),
    )


def _crc32s(
    rows: Any, num_frames: Sequence[int] | npt.NDArray[Any]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.uint32]]:
    """Returns which rows have a checksum of each frame, and all of them, or 0."""
    counts = np.asarray(num_frames, np.int64)
    values = np.zeros(int(counts.sum()), np.uint32)
    if "frame_crc32s" not in rows.schema.names:
        return np.zeros(len(counts), np.bool_), values
    column = rows.column("frame_crc32s")
    has = compute.list_value_length(column).to_numpy() == counts
    values[np.repeat(has, counts)] = column.filter(has).flatten().to_numpy()
    return has, values
