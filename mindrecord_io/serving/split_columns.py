"""The columns that make the index of a split, out of the table of clips.

They are read some rows at a time: neither the table nor all of a column is ever there
as Python's objects.
"""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

from mindrecord_io import naming, records
from mindrecord_io.serving import growing_array
from mindrecord_io.serving.clip_ids import ClipIds
from mindrecord_io.versions import clips_table, manifests

__all__ = ["Identity", "Places", "clip_ids_of"]

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]

_IDENTITY = ("clip_id", "label_id", "status", "frames_sha256")
_PLACES = ("status", "height", "width", "shard", "frames_offset", "frame_sizes")
_ROWS_PER_BLOCK = 65_536
_SHA256 = "^[0-9a-f]{64}$"
_SHA256_NUM_BYTES = 32


class Identity:
    """Which clips are stored of a split, in table order.

    Attributes:
      label_ids: int32 (clips,).
      digest: of their ids, labels and frames, whatever their order.
    """

    def __init__(self, version: manifests.Version, split: str) -> None:
        """Reads the table.

        Raises:
          ManifestError, TableError: it cannot be read.
        """
        ids = []
        labels = growing_array.GrowingArray(np.int32)
        hashes = growing_array.GrowingArray(np.uint8)
        for batch in _stored_batches(version, split, _IDENTITY):
            ids.append(batch.column("clip_id"))
            labels.extend(batch.column("label_id").to_numpy())
            hashes.extend(_hash_bytes(version, batch.column("frames_sha256")))
        self.clip_ids = ClipIds.of(pa.chunked_array(ids, pa.string()))
        self.label_ids = labels.finish()
        by_clip = hashes.finish().reshape(len(self.clip_ids), _SHA256_NUM_BYTES)
        self.digest = _digest(self.clip_ids, self.label_ids, by_clip)


class Places:
    """Where the frames of the stored clips of a split are, in table order.

    The columns are those of ClipIndex, as GrowingArrays.

    Attributes:
      shards: their paths in the table, by number, in order of appearance.
      ends: of each shard, the byte after its last frame.
    """

    def __init__(self, version: manifests.Version, split: str) -> None:
        """Reads the table.

        Raises:
          ManifestError, TableError: it cannot be read.
        """
        self.shards: dict[str, int] = {}
        self.ends: list[int] = []
        self.heights = growing_array.GrowingArray(np.uint16, np.int32)
        self.widths = growing_array.GrowingArray(np.uint16, np.int32)
        self.shard_indices = growing_array.GrowingArray(np.uint16, np.int32)
        self.frames_offsets = growing_array.GrowingArray(np.uint32, np.int64)
        self.frame_begins = growing_array.GrowingArray(np.uint32, np.int64)
        self.frame_sizes = growing_array.GrowingArray(np.uint16, np.int32)
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
        found: Int32s = np.array(numbers, np.int32)[encoded.indices.to_numpy()]
        return found

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
    found = [batch.column("clip_id") for batch in batches]
    return ClipIds.of(pa.chunked_array(found, pa.string()))


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
