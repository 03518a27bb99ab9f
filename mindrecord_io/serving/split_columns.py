"""Reads the columns of clips.parquet that make the index of a split.

They are read in batches of rows: neither the table nor a whole column is ever in memory
as Python objects.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

from mindrecord_io import naming, records
from mindrecord_io.serving.clip_ids import ClipIds
from mindrecord_io.versions import clips_table, manifests

__all__ = ["GrowingArray", "Identity", "Places", "clip_ids_of"]

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]

_IDENTITY = ("clip_id", "label_id", "status", "frames_sha256")
_PLACES = ("status", "height", "width", "shard", "frames_offset", "frame_sizes")
_ROWS_PER_BLOCK = 65_536
_SHA256 = "^[0-9a-f]{64}$"
_SHA256_NUM_BYTES = 32


class GrowingArray:
    """An append-only array of unknown final length, never in memory twice."""

    def __init__(self, *dtypes: npt.DTypeLike) -> None:
        """Begins with the first type and widens to the next where a value needs it."""
        self._values = np.empty(0, dtypes[0])
        self._wider = [np.dtype(dtype) for dtype in dtypes[1:]]
        self._size = 0

    def extend(self, values: npt.NDArray[Any]) -> None:
        """Appends some integers."""
        while self._wider and not self._fit(values):
            self._values = self._values.astype(self._wider.pop(0))
        needed = self._size + len(values)
        if needed > len(self._values):
            # In place: the kernel moves pages. New ones are filled: not too many.
            self._values.resize(
                max(needed, len(self._values) * 33 // 32), refcheck=False
            )
        self._values[self._size : needed] = values
        self._size = needed

    def finish(self) -> npt.NDArray[Any]:
        """Returns all of them; nothing may be appended any more."""
        self._values.resize(self._size, refcheck=False)
        return self._values

    def _fit(self, values: npt.NDArray[Any]) -> bool:
        if not len(values):
            return True
        limits = np.iinfo(self._values.dtype)
        return bool(limits.min <= values.min() and values.max() <= limits.max)


class Identity:
    """The ids and labels of a split's stored clips, in table order.

    Attributes:
      label_ids: int32 (clips,).
      digest: of their ids, labels and frames, in any order.
    """

    def __init__(self, version: manifests.Version, split: str) -> None:
        """Reads the table.

        Raises:
          ManifestError, TableError: it cannot be read.
        """
        ids = []
        labels = GrowingArray(np.int32)
        hashes = GrowingArray(np.uint8)
        for batch in _stored_batches(version, split, _IDENTITY):
            ids.append(batch.column("clip_id"))
            labels.extend(batch.column("label_id").to_numpy())
            hashes.extend(_hash_bytes(version, batch.column("frames_sha256")))
        self.clip_ids = ClipIds.of(pa.chunked_array(ids, pa.string()))
        self.label_ids = labels.finish()
        by_clip = hashes.finish().reshape(len(self.clip_ids), _SHA256_NUM_BYTES)
        self.digest = _digest(self.clip_ids, self.label_ids, by_clip)


class Places:
    """The places of the frames of a split's stored clips, in table order.

    The columns are those of ClipIndex, as GrowingArrays.

    Attributes:
      shards: their paths in the table, by number, in order of appearance.
      ends: for each shard, the byte after its last frame.
    """

    def __init__(self, version: manifests.Version, split: str) -> None:
        """Reads the table.

        Raises:
          ManifestError, TableError: it cannot be read.
        """
        self.shards: dict[str, int] = {}
        self.ends: list[int] = []
        self.heights = GrowingArray(np.uint16, np.int32)
        self.widths = GrowingArray(np.uint16, np.int32)
        self.shard_indices = GrowingArray(np.uint16, np.int32)
        self.frames_offsets = GrowingArray(np.uint32, np.int64)
        self.frame_begins = GrowingArray(np.uint32, np.int64)
        self.frame_sizes = GrowingArray(np.uint16, np.int32)
        self._num_frames = 0
        self.frame_begins.extend(np.zeros(1, np.int64))
        for batch in _stored_batches(version, split, _PLACES):
            if batch.num_rows:
                self._add(batch)

    def _add(self, batch: pa.RecordBatch) -> None:
        offsets = batch.column("frames_offset").to_numpy()
        sizes = batch.column("frame_sizes")
        begins = np.cumsum([0, *compute.list_value_length(sizes).to_pylist()])
        by_frame = sizes.flatten().to_numpy()
        num_bytes = np.add.reduceat(by_frame, begins[:-1], dtype=np.int64)
        numbers = self._numbers(batch.column("shard"))
        self._note_ends(numbers, offsets + num_bytes)
        self.shard_indices.extend(numbers)
        self.heights.extend(batch.column("height").to_numpy())
        self.widths.extend(batch.column("width").to_numpy())
        self.frames_offsets.extend(offsets)
        self.frame_begins.extend(self._num_frames + begins[1:])
        self.frame_sizes.extend(by_frame)
        self._num_frames += int(begins[-1])

    def _numbers(self, paths: pa.Array) -> Int32s:
        encoded = paths.dictionary_encode()
        for path in encoded.dictionary.to_pylist():
            if path not in self.shards:
                self.shards[path] = len(self.shards)
                self.ends.append(0)
        numbers = [self.shards[path] for path in encoded.dictionary.to_pylist()]
        by_row: Int32s = np.array(numbers, np.int32)[encoded.indices.to_numpy()]
        return by_row

    def _note_ends(self, numbers: Int32s, ends: Int64s) -> None:
        for number in np.unique(numbers).tolist():
            end = int(ends[numbers == number].max())
            self.ends[number] = max(self.ends[number], end)


def clip_ids_of(version: manifests.Version, split: str) -> ClipIds:
    """Returns the ids of the stored clips of a split, in table order.

    Raises:
      ManifestError, TableError: the table cannot be read.
    """
    batches = _stored_batches(version, split, ("clip_id", "status"))
    ids = [batch.column("clip_id") for batch in batches]
    return ClipIds.of(pa.chunked_array(ids, pa.string()))


def _stored_batches(
    version: manifests.Version, split: str, columns: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    for batch in version.clip_batches(columns, split):
        yield batch.filter(compute.equal(batch.column("status"), records.STORED))


def _hash_bytes(version: manifests.Version, hashes: pa.Array) -> npt.NDArray[np.uint8]:
    """Returns hexadecimal SHA-256s as bytes, end to end."""
    wrong = hashes.filter(
        compute.invert(compute.match_substring_regex(hashes, _SHA256))
    )
    if len(wrong):
        raise clips_table.TableError(
            f"{naming.clips_table_path(version.folder)}: frames_sha256 of a stored "
            f"clip is {wrong[0].as_py()!r}, no SHA-256: build the version anew"
        )
    return np.frombuffer(bytes.fromhex("".join(hashes.to_pylist())), np.uint8)


def _digest(ids: ClipIds, label_ids: Int32s, hashes: npt.NDArray[np.uint8]) -> str:
    """Hashes lines of id, label_id and hexadecimal SHA-256, in the order of the ids."""
    digest = hashlib.blake2b(digest_size=16)
    order = ids.order()
    for begin in range(0, len(order), _ROWS_PER_BLOCK):
        rows = order[begin : begin + _ROWS_PER_BLOCK]
        lines = zip(
            ids.take(rows),
            label_ids[rows].tolist(),
            (row.tobytes().hex() for row in hashes[rows]),
            strict=True,
        )
        text = "\n".join(f"{name} {label} {sha256}" for name, label, sha256 in lines)
        digest.update(("\n" + text if begin else text).encode())
    return digest.hexdigest()
