"""Reads a shard's rows as anyone can, by plain MindDataset.

MindSpore is imported here. It must not be imported into a process that has loaded
Apache Beam (they need different protobuf code), and it can crash on a damaged file or
take all memory: so this runs in a process that may be lost.
"""

import hashlib
import mmap
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from mindspore.dataset import MindDataset

from mindrecord_io.shards import schema

__all__ = ["Row", "read_rows"]


@dataclass(frozen=True, slots=True)
class Row:
    """What identifies a row, whose frames are not kept.

    Attributes:
      frames_sha256: of the frames that MindDataset returned.
      frame_crc32s: of each of them.
      is_at_offset: the same bytes lie in the file where training will read them.
    """

    clip_id: str
    label: int
    num_frames: int
    frame_sizes: tuple[int, ...]
    frames_sha256: str
    height: int
    width: int
    frame_crc32s: tuple[int, ...] = ()
    is_at_offset: bool = True


def read_rows(path: Path, frames_offsets: Iterable[int]) -> Iterator[Row]:
    """Yields the rows of a shard in storage order.

    Args:
      frames_offsets: by row, where its frames are expected in the file.

    Raises:
      OSError, RuntimeError: the file cannot be read.
    """
    offsets = iter(frames_offsets)
    rows = MindDataset([str(path)], list(schema.COLUMNS), 1, shuffle=False)
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        for row in rows.create_tuple_iterator(num_epochs=1, output_numpy=True):
            clip_id, label, num_frames, sizes, frames, height, width = row
            blob = frames.view(np.uint8)  # (bytes of JPEG,)
            yield Row(
                clip_id=str(clip_id),
                label=int(label),
                num_frames=int(num_frames),
                frame_sizes=tuple(sizes.tolist()),
                frames_sha256=hashlib.sha256(blob).hexdigest(),
                height=int(height),
                width=int(width),
                frame_crc32s=_crc32s(blob, sizes),
                is_at_offset=_is_at(next(offsets, -1), blob, content),
            )


def _crc32s(
    blob: npt.NDArray[np.uint8], sizes: npt.NDArray[np.int32]
) -> tuple[int, ...]:
    frames = np.split(blob, np.cumsum(sizes)[:-1])
    return tuple(zlib.crc32(frame.data) for frame in frames)


def _is_at(offset: int, blob: npt.NDArray[np.uint8], content: mmap.mmap) -> bool:
    # In a function of its own: a file cannot be unmapped while an array shows it.
    in_file = np.frombuffer(content, np.uint8)[offset:][: len(blob)]
    return offset >= 0 and np.array_equal(in_file, blob)
