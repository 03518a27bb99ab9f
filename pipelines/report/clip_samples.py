"""Strips of a few stored clips for a version's report: frames as TSM sees them."""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

from mindrecord_io import records
from mindrecord_io.serving import segments
from mindrecord_io.storage import object_store
from mindrecord_io.versions import clips_table, manifests, shard_checks

__all__ = [
    "COLUMNS",
    "NUM_SEGMENTS",
    "Sample",
    "class_samples",
    "named_samples",
    "samples_of",
    "strip_height_px",
]

COLUMNS = ("clip_id", "split", "label_id", "label", "num_frames", "status", "shard")
"""The columns of clips.parquet that a sample needs."""

ReadPart = Callable[[str, int, int], bytes]
"""Path below the data set, first byte, number of bytes -> the bytes."""

NUM_SEGMENTS = 8
"""The frames of a strip, one of each segment."""

_HEIGHTS_PX = {40: 96, 120: 72, 250: 56, 600: 36, 1500: 24}
"""Height of a strip's frames, by the number of strips that a page may have at most."""

_MAX_WIDTH_FACTOR = 2  # of a frame's height; wider frames are cut at both sides
_JPEG_QUALITY = 70
_SAMPLE_HEIGHT_PX = 96
_LEAST_HEIGHT_PX = 12
_MAX_STRIPS_NUM_BYTES = 3_500_000  # of all classes; where they are more, less high


@dataclass(frozen=True, slots=True)
class Sample:
    """A clip and its strip: the centre frames of eight segments, in one picture.

    Attributes:
      strip: a JPEG of some kilobytes, as a data URI; "" where there is none.
      problem: why there is none, "" where there is one.
    """

    clip_id: str
    split: str
    label_id: int
    label: str
    num_frames: int
    strip: str
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
    """Returns strips of clips chosen at random, as evenly by split as possible.

    Args:
      version: whose shards are read; a damaged one costs its clips their pictures.
      batches: of its clips, with COLUMNS.
      read_part: reads bytes of a shard, as DataSet.read_part does.
      num_stored: clips of each split that are stored.
      num_samples: of all splits together.
      seed: equal seeds choose equal clips.
    """
    places = _places(num_stored, num_samples, np.random.default_rng(seed))
    chosen = _chosen(batches, places)
    return _samples(version, chosen, read_part, _SAMPLE_HEIGHT_PX)


def class_samples(
    version: manifests.Version, batches: Iterable[pa.RecordBatch], read_part: ReadPart
) -> list[Sample]:
    """Returns a strip of one clip of each class that has one, by label_id.

    It is the first that is stored, in the order of the splits and of the table, which
    is that of a hash. Classes beyond those that a page has room for are left out.
    """
    num_shown = min(version.manifest.num_classes, max(_HEIGHTS_PX))
    chosen: dict[int, dict[str, Any]] = {}
    for table in clips_table.gathered(batches):
        stored = table.filter(compute.equal(table["status"], records.STORED))
        label_ids = stored["label_id"].to_numpy()
        for label_id, index in zip(
            *np.unique(label_ids, return_index=True), strict=True
        ):
            if 0 <= label_id < num_shown and label_id not in chosen:
                (chosen[int(label_id)],) = stored.slice(int(index), 1).to_pylist()
    rows = [chosen[label_id] for label_id in sorted(chosen)]
    height_px = strip_height_px(len(rows))
    while True:
        samples = _samples(version, rows, read_part, height_px)
        is_small = sum(len(s.strip) for s in samples) <= _MAX_STRIPS_NUM_BYTES
        if is_small or height_px <= _LEAST_HEIGHT_PX:
            return samples
        height_px //= 2


def named_samples(
    version: manifests.Version,
    batches: Iterable[pa.RecordBatch],
    read_part: ReadPart,
    clip_ids: Iterable[str],
    *,
    num_frames: int = NUM_SEGMENTS,
    height_px: int = 72,
) -> dict[str, Sample]:
    """Returns strips of some clips by id, of as many frames as are wanted.

    Clips that the version does not store are left out.
    """
    wanted = pa.array(sorted(set(clip_ids)), pa.string())
    rows = []
    for table in clips_table.gathered(batches):
        is_chosen = compute.and_(
            compute.equal(table["status"], records.STORED),
            compute.is_in(table["clip_id"], wanted),
        )
        rows += table.filter(is_chosen).to_pylist()
    samples = _samples(version, rows, read_part, height_px, num_frames)
    return {sample.clip_id: sample for sample in samples}


def strip_height_px(num_strips: int) -> int:
    """Returns the height at which this many strips keep a page below 5 MB."""
    heights = (px for most, px in _HEIGHTS_PX.items() if num_strips <= most)
    return next(heights, min(_HEIGHTS_PX.values()))


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


def _samples(
    version: manifests.Version,
    rows: Iterable[dict[str, Any]],
    read_part: ReadPart,
    height_px: int,
    num_frames: int = NUM_SEGMENTS,
) -> list[Sample]:
    entries = {entry.path: entry for entry in version.manifest.shards}
    samples = []
    for row in rows:
        strip = problem = ""
        try:
            if row["shard"] not in entries:
                raise ValueError(f"{row['shard']} is no shard of this version")
            stored = _frames(version, entries[row["shard"]], row["clip_id"], num_frames)
            jpegs = _jpegs(read_part, stored)
            strip = _strip([_reduced(*named, height_px) for named in jpegs])
        except (object_store.StorageError, OSError, ValueError, cv2.error) as error:
            problem = " ".join(str(error).split())
        names = ("clip_id", "split", "label_id", "label", "num_frames")
        own = {name: row[name] for name in names}
        samples.append(Sample(**own, strip=strip, problem=problem))
    return samples


def _jpegs(
    read_part: ReadPart, stored: Sequence[tuple[str, tuple[int, int], str]]
) -> list[tuple[bytes, str]]:
    """Returns a clip's frames with their names, by one read: requests take long."""
    path, (begin, _), _ = stored[0]
    last_begin, last_size = stored[-1][1]
    content = read_part(path, begin, last_begin + last_size - begin)
    return [
        (content[place - begin : place - begin + size], name)
        for _, (place, size), name in stored
    ]


def _frames(
    version: manifests.Version, entry: manifests.ShardEntry, clip_id: str, number: int
) -> list[tuple[str, tuple[int, int], str]]:
    """Returns shard, (place, size) and name of the centre frames of equal parts."""
    clips = shard_checks.shard_clips(version, entry)
    rows = [c for c in clips if c["clip_id"] == clip_id and c["frame_sizes"]]
    if len(rows) != 1:
        raise clips_table.TableError(f"{entry.path}: no frames of clip {clip_id}")
    sizes: Sequence[int] = rows[0]["frame_sizes"]
    begins = rows[0]["frames_offset"] + np.cumsum([0, *sizes])
    return [
        (
            entry.path,
            (int(begins[index]), sizes[index]),
            f"{entry.path}: clip {clip_id}, frame {index}",
        )
        for index in segments.centre_segment_indices(len(sizes), number).tolist()
    ]


def _reduced(jpeg: bytes, name: str, height_px: int) -> npt.NDArray[np.uint8]:
    """Returns the pixels of a JPEG, at most `height_px` high and twice as wide."""
    encoded = np.frombuffer(jpeg, np.uint8)
    pixels = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    if pixels is None:
        raise ValueError(f"{name}: not a JPEG")
    height, width = pixels.shape[:2]
    if height > height_px:
        size = max(1, round(width * height_px / height)), height_px
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    excess = max(0, pixels.shape[1] - _MAX_WIDTH_FACTOR * pixels.shape[0]) // 2
    cut: npt.NDArray[np.uint8] = pixels[:, excess : pixels.shape[1] - excess]
    return cut


def _strip(frames: Sequence[npt.NDArray[np.uint8]]) -> str:
    """Returns frames of one size side by side as a data URI."""
    pixels = np.concatenate(frames, axis=1)
    _, small = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return f"data:image/jpeg;base64,{base64.b64encode(small.tobytes()).decode()}"
