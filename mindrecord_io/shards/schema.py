"""The columns of a shard's rows, and where a row's frames lie in the file.

One row is one clip. Plain `mindspore.dataset.MindDataset(files)` reads it:

    clip_id      string     the clip's name in its source
    label        int32      label_id, -1 where it is not public
    num_frames   int32      F
    frame_sizes  int32[F]   bytes of each JPEG
    frames       bytes      the F JPEGs end to end, in presentation order
    height       int32      of every frame, pixels
    width        int32      of every frame, pixels

MindRecord lays a file out as one header of HEADER_NUM_BYTES and then pages of one
size, of which a row that is larger takes several. The variable-width fields of a row
("blob") stand together in a page, in alphabetical order, so that `frames` is the last:
it ends where the row's blob ends. clips.parquet records where in the file that is: a
reader that wants 8 frames of 45 reads just those, with no library between it and the
file.
"""

from typing import Any

__all__ = [
    "COLUMNS",
    "FORMAT_VERSION",
    "HEADER_NUM_BYTES",
    "KNOWN_FORMAT_VERSIONS",
    "MAX_PAGE_NUM_BYTES",
    "MINDRECORD_SCHEMA",
    "SHARD_VERSION",
    "max_frames_num_bytes",
    "too_large",
]

FORMAT_VERSION = 2
"""Of a version: raised when programs of before could not read it.

1: the first. 2: a manifest lists the hash of every shard's summary.json, and where the
version came from.
"""

KNOWN_FORMAT_VERSIONS = range(1, FORMAT_VERSION + 1)
"""Those that this program reads."""

SHARD_VERSION = 1
"""Raised when the bytes of a shard change for equal clips, labels and settings."""

HEADER_NUM_BYTES = 256 << 10
"""Room for the list of pages: about 1,000 pages; a full header fails at commit."""

MAX_PAGE_NUM_BYTES = 256 << 20
"""The largest page of MindRecord, and so of the row of one clip."""

MINDRECORD_SCHEMA: dict[str, dict[str, Any]] = {
    "clip_id": {"type": "string"},
    "label": {"type": "int32"},
    "num_frames": {"type": "int32"},
    "frame_sizes": {"type": "int32", "shape": [-1]},
    "frames": {"type": "bytes"},
    "height": {"type": "int32"},
    "width": {"type": "int32"},
}
COLUMNS = tuple(MINDRECORD_SCHEMA)

_ROW_OVERHEAD_NUM_BYTES = 64  # length fields around the two blobs of a row


def max_frames_num_bytes(num_frames: int) -> int:
    """Returns the largest total JPEG size of a clip with `num_frames`."""
    return MAX_PAGE_NUM_BYTES - _ROW_OVERHEAD_NUM_BYTES - 8 * num_frames


def too_large(num_bytes: int, num_frames: int) -> str:
    """Returns the message for a clip that no page can hold."""
    return (
        f"its {num_frames} JPEGs have {num_bytes} bytes, the most of a row is "
        f"{max_frames_num_bytes(num_frames)}; reduce frames by --short_side"
    )
