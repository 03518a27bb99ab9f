"""One split of a version as flat arrays: where each frame is, for random reads."""

import dataclasses
import hashlib
import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

from mindrecord_io import manifest, records, shard_cache

__all__ = ["ClipIndex", "DatasetError", "read_clip_index"]

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]

_COLUMNS = (
    "clip_id",
    "label_id",
    "status",
    "height",
    "width",
    "shard",
    "frames_offset",
    "frame_sizes",
    "frames_sha256",
)


class DatasetError(RuntimeError):
    """A shard is not what the manifest or the table of clips says."""


@dataclass(frozen=True, slots=True, eq=False)
class ClipIndex:
    """The stored clips of one split, in table order.

    Attributes:
      name: of version and split, for messages.
      shard_paths: the split's files, addressed by `shard_indices`.
      frames_offsets: int64 (clips,), bytes from the beginning of the clip's shard.
      frame_begins: int64 (clips + 1,): clip i has the frames [begins[i], begins[i+1]).
      frame_sizes: int32 (frames,), bytes of each JPEG, all clips end to end.
      remote_shards: the same files in an object store, if they come from there.
      digest: hash of the ids, labels and frames of the clips, in whatever order or
        shards they are.
    """

    name: str
    clip_ids: tuple[str, ...]
    label_ids: Int32s
    heights: Int32s
    widths: Int32s
    shard_paths: tuple[Path, ...]
    shard_indices: Int32s
    frames_offsets: Int64s
    frame_begins: Int64s
    frame_sizes: Int32s
    digest: str = ""
    remote_shards: tuple[shard_cache.RemoteShard, ...] = ()

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

    def frame_ranges(self, row: int) -> tuple[list[int], list[int]]:
        """Returns the offset in its shard, and the bytes, of every frame of a clip."""
        begin, end = self.frame_begins[row], self.frame_begins[row + 1]
        sizes: list[int] = self.frame_sizes[begin:end].tolist()
        begins = itertools.accumulate(sizes, initial=int(self.frames_offsets[row]))
        return list(begins)[:-1], sizes

    def take(self, rows: Int64s) -> "ClipIndex":
        """Returns the index of some of the clips, in the order of `rows`."""
        begins, ends = self.frame_begins[rows], self.frame_begins[rows + 1]
        clip_ids = tuple(self.clip_ids[row] for row in rows.tolist())
        text = "\n".join((self.digest, *sorted(clip_ids)))
        return dataclasses.replace(
            self,
            **{name: getattr(self, name)[rows] for name in _PER_CLIP},
            clip_ids=clip_ids,
            frame_begins=np.concatenate([[0], np.cumsum(ends - begins)]),
            frame_sizes=np.concatenate(
                [
                    self.frame_sizes[begin:end]
                    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)
                ]
            ),
            digest=_hash(text.encode()),
        )


_PER_CLIP = ("label_ids", "heights", "widths", "shard_indices", "frames_offsets")


def read_clip_index(version: manifest.Version, split: str) -> ClipIndex:
    """Reads where the frames of a split are, and checks the size of its shards.

    Raises:
      ValueError: there is no such split, or nothing is stored of it.
      DatasetError: a shard is missing, or its size is not the published one.
    """
    if split not in records.SPLITS:
        raise ValueError(f"split must be one of {records.SPLITS}, got {split!r}")
    table = version.read_clips(_COLUMNS, split)
    table = table.filter(compute.equal(table["status"], records.STORED))
    name = f"split {split!r} of version {version.manifest.version}"
    if table.num_rows == 0:
        found = {s.split: 0 for s in version.manifest.shards}
        for shard in version.manifest.shards:
            found[shard.split] += shard.num_rows
        raise ValueError(
            f"{version.dataset}: {name} has no stored clips; clips by split: {found}"
        )
    shards = table["shard"].combine_chunks().dictionary_encode()
    sizes = table["frame_sizes"].combine_chunks()
    entries = _entries(version, shards.dictionary.to_pylist())
    lengths = sizes.value_lengths().to_numpy().astype(np.int64)
    index = ClipIndex(
        name=name,
        clip_ids=tuple(table["clip_id"].to_pylist()),
        label_ids=table["label_id"].to_numpy(),
        heights=table["height"].to_numpy(),
        widths=table["width"].to_numpy(),
        shard_paths=tuple(map(version.shard_path, entries)),
        shard_indices=shards.indices.to_numpy(),
        frames_offsets=table["frames_offset"].to_numpy(),
        frame_begins=np.concatenate([[0], np.cumsum(lengths)]),
        frame_sizes=sizes.flatten().to_numpy(),
        digest=_digest(table),
        remote_shards=tuple(map(_remote_shard, entries)) if version.uri else (),
    )
    _check_shards(index, entries)
    return index


def _entries(version: manifest.Version, paths: list[str]) -> list[manifest.ShardEntry]:
    by_path = {e.path: e for e in version.manifest.shards if e.mindrecord is not None}
    for path in paths:
        if path not in by_path:
            raise DatasetError(
                f"{version.dataset / path}: holds clips but is not in the manifest"
            )
    return [by_path[path] for path in paths]


def _remote_shard(entry: manifest.ShardEntry) -> shard_cache.RemoteShard:
    return shard_cache.RemoteShard(entry.path, _content(entry))


def _content(entry: manifest.ShardEntry) -> records.Fingerprint:
    assert entry.mindrecord is not None  # it holds clips
    return entry.mindrecord


def _digest(table: pa.Table) -> str:
    lines = compute.binary_join_element_wise(
        table["clip_id"],
        compute.cast(table["label_id"], pa.string()),
        table["frames_sha256"],
        " ",
    )
    in_order = compute.take(lines, compute.sort_indices(table["clip_id"]))
    return _hash("\n".join(in_order.to_pylist()).encode())


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _check_shards(index: ClipIndex, entries: list[manifest.ShardEntry]) -> None:
    """Notices what a copy that failed leaves behind, without reading a shard."""
    num_bytes = np.add.reduceat(index.frame_sizes, index.frame_begins[:-1], dtype=int)
    ends = np.zeros(len(index.shard_paths), np.int64)
    np.maximum.at(ends, index.shard_indices, index.frames_offsets + num_bytes)
    for path, entry, end in zip(index.shard_paths, entries, ends.tolist(), strict=True):
        published = _content(entry).num_bytes
        found = published if index.remote_shards else _num_bytes(path)
        if found != published or end > found:
            raise DatasetError(
                f"{path}: has {found} bytes, published were {published} with frames "
                f"up to byte {end}: truncated or replaced; copy it again"
            )


def _num_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as cause:
        raise DatasetError(f"{path}: cannot be opened: {cause}") from cause
