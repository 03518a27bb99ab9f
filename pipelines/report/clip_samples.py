"""Small pictures of a few stored clips, for a version's report."""

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

from mindrecord_io import records
from mindrecord_io.storage import object_store
from mindrecord_io.versions import clips_table, manifests, shard_checks

__all__ = ["COLUMNS", "Sample", "samples_of"]

COLUMNS = ("clip_id", "split", "label", "num_frames", "status", "shard")
"""The columns of clips.parquet that a sample needs."""

ReadPart = Callable[[str, int, int], bytes]
"""Path below the data set, first byte, number of bytes -> the bytes."""

_HEIGHT_PX = 96
_JPEG_QUALITY = 75


@dataclass(frozen=True, slots=True)
class Sample:
    """A clip and pictures of its first, middle and last frame.

    Attributes:
      pictures: JPEGs of a few kilobytes, as data URIs.
      problem: why there are none, "" where there are.
    """

    clip_id: str
    split: str
    label: str
    num_frames: int
    pictures: tuple[str, ...]
    problem: str = ""


def samples_of(
    version: manifests.Version,
    batches: Iterable[pa.RecordBatch],
    read_part: ReadPart,
    *,
    num_stored: Mapping[str, int],
    num_samples: int,
    seed: int,
) -> list[Sample]:
    """Returns pictures of clips chosen at random, as evenly by split as possible.

    Args:
      version: whose shards are read; a damaged one costs its clips their pictures.
      batches: of its clips, with COLUMNS.
      read_part: reads bytes of a shard, as DataSet.read_part does.
      num_stored: clips of each split that are stored.
      num_samples: of all splits together.
      seed: equal seeds choose equal clips.
    """
    entries = {entry.path: entry for entry in version.manifest.shards}
    places = _places(num_stored, num_samples, np.random.default_rng(seed))
    chosen = _chosen(batches, places)
    return [
        _sample(version, read_part, entries.get(row["shard"]), row) for row in chosen
    ]


def _places(
    num_stored: Mapping[str, int], num_samples: int, generator: np.random.Generator
) -> dict[str, npt.NDArray[np.int64]]:
    """Returns which of a split's stored clips to show, counted in the table's order."""
    num_clips = {split: num_stored.get(split, 0) for split in records.SPLITS}
    shares = _shares(num_clips, num_samples)
    return {
        split: np.sort(generator.choice(n, shares[split], replace=False))
        for split, n in num_clips.items()
    }


def _chosen(
    batches: Iterable[pa.RecordBatch], places: Mapping[str, npt.NDArray[np.int64]]
) -> list[dict[str, Any]]:
    chosen: dict[str, list[dict[str, Any]]] = {split: [] for split in places}
    begins = dict.fromkeys(places, 0)
    for table in clips_table.gathered(batches):
        stored = table.filter(compute.equal(table["status"], records.STORED))
        for split, wanted in places.items():
            rows = stored.filter(compute.equal(stored["split"], split))
            here = wanted - begins[split]
            here = here[(here >= 0) & (here < rows.num_rows)]
            chosen[split] += rows.take(pa.array(here)).to_pylist()
            begins[split] += rows.num_rows
    return [row for split in places for row in chosen[split]]


def _shares(num_clips: Mapping[str, int], num_samples: int) -> dict[str, int]:
    """Returns how many clips to show of each split: equal parts, as far as they go."""
    shares, num_left = {}, num_samples
    smallest_first = sorted(num_clips, key=lambda split: num_clips[split])
    for index, split in enumerate(smallest_first):
        part = num_left // (len(smallest_first) - index)
        shares[split] = min(num_clips[split], part)
        num_left -= shares[split]
    return shares


def _sample(
    version: manifests.Version,
    read_part: ReadPart,
    entry: manifests.ShardEntry | None,
    row: dict[str, Any],
) -> Sample:
    pictures: tuple[str, ...] = ()
    problem = ""
    try:
        if entry is None:
            raise ValueError(f"{row['shard']} is no shard of this version")
        pictures = tuple(_pictures(version, read_part, entry, row["clip_id"]))
    except (object_store.StorageError, OSError, ValueError, cv2.error) as error:
        problem = " ".join(str(error).split())
    return Sample(
        clip_id=row["clip_id"],
        split=row["split"],
        label=row["label"],
        num_frames=row["num_frames"],
        pictures=pictures,
        problem=problem,
    )


def _pictures(
    version: manifests.Version,
    read_part: ReadPart,
    entry: manifests.ShardEntry,
    clip_id: str,
) -> Iterator[str]:
    clips = shard_checks.shard_clips(version, entry)
    rows = [c for c in clips if c["clip_id"] == clip_id and c["frame_sizes"]]
    if len(rows) != 1:
        raise clips_table.TableError(f"{entry.path}: no frames of clip {clip_id}")
    sizes: Sequence[int] = rows[0]["frame_sizes"]
    begins = rows[0]["frames_offset"] + np.cumsum([0, *sizes])
    for index in sorted({0, len(sizes) // 2, len(sizes) - 1}):
        jpeg = read_part(entry.path, int(begins[index]), sizes[index])
        yield _reduced(jpeg, f"{entry.path}: clip {clip_id}, frame {index}")


def _reduced(jpeg: bytes, name: str) -> str:
    """Returns a JPEG as a data URI of a smaller one."""
    encoded = np.frombuffer(jpeg, np.uint8)
    pixels = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    if pixels is None:
        raise ValueError(f"{name}: not a JPEG")
    height, width = pixels.shape[:2]
    if height > _HEIGHT_PX:
        size = max(1, round(width * _HEIGHT_PX / height)), _HEIGHT_PX
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    _, small = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return f"data:image/jpeg;base64,{base64.b64encode(small.tobytes()).decode()}"
