"""Reads the places of a split's frames into flat arrays, for random access."""

import dataclasses
import hashlib
import itertools
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mindrecord_io import records
from mindrecord_io.serving.clip_ids import ClipIds
from mindrecord_io.serving.frame_checksums import FrameChecksums, read_checksums
from mindrecord_io.serving.split_columns import Identity, Places
from mindrecord_io.storage.shard_cache import RemoteShard
from mindrecord_io.versions.manifests import DatasetError, ShardEntry, Version
from mindrecord_io.versions.opening import RemoteVersion

__all__ = ["ClipIndex", "read_clip_index"]

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Integers = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class ClipIndex:
    """The stored clips of one split, in table order.

    Integers are as narrow as the split allows: 130 bytes per clip of 45 frames.

    Attributes:
      name: of version and split, for messages.
      shard_paths: the split's files, addressed by `shard_indices`.
      label_ids: int32 (clips,).
      heights, widths: (clips,), of the frames, pixels.
      frames_offsets: (clips,), bytes from the beginning of the clip's shard.
      frame_begins: (clips + 1,): clip i has the frames [begins[i], begins[i+1]).
      frame_sizes: (frames,), bytes of each JPEG, all clips end to end.
      remote_shards: the same files in an object store; empty if they are local.
      checksums: of frames in an object store, which may be read by ranges.
      digest: hash of the clips' ids, labels and frames, in any order and any shards.
    """

    name: str
    clip_ids: ClipIds
    label_ids: Int32s
    heights: Integers
    widths: Integers
    shard_paths: tuple[Path, ...]
    shard_indices: Integers
    frames_offsets: Integers
    frame_begins: Integers
    frame_sizes: Integers
    digest: str = ""
    remote_shards: tuple[RemoteShard, ...] = ()
    checksums: FrameChecksums | None = None

    def __post_init__(self) -> None:
        num_clips = len(self.clip_ids)
        for name in _PER_CLIP:
            if getattr(self, name).shape != (num_clips,):
                raise ValueError(f"{name} must have one value for each clip")
        if self.frame_begins.shape != (num_clips + 1,):
            raise ValueError(
                "frame_begins must have one value more than there are clips"
            )

    def __len__(self) -> int:
        return len(self.clip_ids)

    def num_frames(self, row: int) -> int:
        """Returns the number of frames stored of a clip."""
        return int(self.frame_begins[row + 1] - self.frame_begins[row])

    def clip_num_bytes(self) -> Int64s:
        """Returns the bytes of all frames of each clip."""
        ends = np.concatenate([[0], np.cumsum(self.frame_sizes, dtype=np.int64)])
        num_bytes: Int64s = np.diff(ends[self.frame_begins])
        return num_bytes

    def frame_ranges(self, row: int) -> tuple[list[int], list[int]]:
        """Returns the offset in its shard, and the bytes, of every frame of a clip."""
        begin, end = self.frame_begins[row], self.frame_begins[row + 1]
        sizes: list[int] = self.frame_sizes[begin:end].tolist()
        begins = itertools.accumulate(sizes, initial=int(self.frames_offsets[row]))
        return list(begins)[:-1], sizes

    def take(self, rows: Int64s) -> "ClipIndex":
        """Returns the index of some of the clips, in the order of `rows`."""
        begins, ends = self.frame_begins[rows], self.frame_begins[rows + 1]
        ids = self.clip_ids.take(rows)
        text = "\n".join((self.digest, *sorted(ids)))
        ranges = zip(begins.tolist(), ends.tolist(), strict=True)
        frames = np.concatenate([np.arange(*bounds) for bounds in ranges])
        checksums = self.checksums and self.checksums.take(rows, frames)
        return dataclasses.replace(
            self,
            **{name: getattr(self, name)[rows] for name in _PER_CLIP},
            clip_ids=ids,
            frame_begins=np.cumsum([0, *(ends - begins).tolist()]),
            frame_sizes=self.frame_sizes[frames],
            checksums=checksums,
            digest=hashlib.blake2b(text.encode(), digest_size=16).hexdigest(),
        )


_PER_CLIP = ("label_ids", "heights", "widths", "shard_indices", "frames_offsets")


def read_clip_index(version: Version, split: str) -> ClipIndex:
    """Reads where the frames of a split are, and checks the size of its shards.

    The table is read twice, in batches of rows, so that the digest's columns are freed
    before those of the places are read.

    Raises:
      ValueError: there is no such split, or nothing is stored of it.
      DatasetError: a shard is missing, or its size is not the published one.
      ManifestError, TableError: the table of clips cannot be read.
    """
    if split not in records.SPLITS:
        raise ValueError(f"split must be one of {records.SPLITS}, got {split!r}")
    name = f"split {split!r} of version {version.manifest.version}"
    identity = Identity(version, split)
    if not identity.clip_ids:
        num_clips: Counter[str] = Counter()
        for shard in version.manifest.shards:
            num_clips[shard.split] += shard.num_rows
        raise ValueError(
            f"{version.location}: {name} has no stored clips; clips by split: "
            f"{dict(num_clips)}"
        )
    places = Places(version, split)
    entries = _entries(version, list(places.shards))
    _check_shards(version, entries, places)
    return ClipIndex(
        name=name,
        clip_ids=identity.clip_ids,
        label_ids=identity.label_ids,
        heights=places.heights.finish(),
        widths=places.widths.finish(),
        shard_paths=tuple(map(version.shard_path, entries)),
        shard_indices=places.shard_indices.finish(),
        frames_offsets=places.frames_offsets.finish(),
        frame_begins=places.frame_begins.finish(),
        frame_sizes=places.frame_sizes.finish(),
        digest=identity.digest,
        remote_shards=_remote_shards(version, entries),
        checksums=read_checksums(version, split)
        if isinstance(version, RemoteVersion)
        else None,
    )


def _entries(version: Version, paths: list[str]) -> list[ShardEntry]:
    by_path = {e.path: e for e in version.manifest.shards if e.mindrecord is not None}
    for path in paths:
        if path not in by_path:
            raise DatasetError(
                f"{version.dataset / path}: holds clips but is not in the manifest"
            )
    return [by_path[path] for path in paths]


def _remote_shards(
    version: Version, entries: list[ShardEntry]
) -> tuple[RemoteShard, ...]:
    if not isinstance(version, RemoteVersion):
        return ()
    return tuple(RemoteShard(entry.path, _content(entry)) for entry in entries)


def _content(entry: ShardEntry) -> records.Fingerprint:
    assert entry.mindrecord is not None  # it holds clips
    return entry.mindrecord


def _check_shards(version: Version, entries: list[ShardEntry], places: Places) -> None:
    """Checks sizes, which an interrupted copy leaves wrong, without reading a shard."""
    is_remote = isinstance(version, RemoteVersion)
    for entry, end in zip(entries, places.ends, strict=True):
        path = version.shard_path(entry)
        published = _content(entry).num_bytes
        num_bytes = published if is_remote else _num_bytes(path)
        if num_bytes != published or end > num_bytes:
            raise DatasetError(
                f"{path}: has {num_bytes} bytes, published were {published} with "
                f"frames up to byte {end}: truncated or replaced; copy it again"
            )


def _num_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as cause:
        raise DatasetError(f"{path}: cannot be opened: {cause}") from cause
