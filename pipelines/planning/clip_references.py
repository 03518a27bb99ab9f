"""References to clips, written by shard, so that a task reads those of its shard alone.

All shards' references are one file, beside the receipts of the job's tasks: a folder
that every worker reaches, or one of an object store. A shard's part of it is some rows
of Arrow, compressed; where it lies travels in Beam, not what it says.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from mindrecord_io import records
from mindrecord_io.storage import (
    files,
    locations,
    object_store,
    spilled_rows,
    transfers,
)

__all__ = [
    "ROWS",
    "Reference",
    "ShardReferences",
    "StoredSource",
    "hand_out",
    "read",
    "write",
]

ROWS = pa.schema(
    [
        ("position", pa.int64()),
        ("clip_id", pa.string()),
        ("split_index", pa.int8()),
        ("label_id", pa.int32()),
        ("uri", pa.string()),
        ("expected_sha256", pa.string()),
        ("known_num_bytes", pa.int64()),
        ("known_sha256", pa.string()),
        ("stored_in", pa.string()),
    ]
)
"""The columns of `Reference.row`."""

_NAME = "references"


@dataclass(frozen=True, slots=True)
class StoredSource:
    """A clip's file, and where its frames are published.

    Attributes:
      stored_in: as in records.PlannedClip.
    """

    source: records.Fingerprint
    stored_in: str


@dataclass(frozen=True, slots=True)
class Reference:
    """A clip that a shard is to hold.

    Attributes:
      position: in the order of the annotations.
      uri, expected_sha256: as in records.ClipRef.
      known: what is published of it, None if nothing is.
    """

    position: int
    clip_id: str
    split: str
    label_id: int
    uri: str
    expected_sha256: str = ""
    known: StoredSource | None = None

    @classmethod
    def of_row(cls, row: Sequence[Any]) -> "Reference":
        """Returns the reference that a row of ROWS tells."""
        *told, num_bytes, sha256, stored_in = row
        position, clip_id, split_index, label_id, uri, expected = told
        known = None
        if sha256 is not None:
            source = records.Fingerprint(num_bytes, sha256)
            known = StoredSource(source, stored_in)
        split = records.SPLITS[split_index]
        return cls(position, clip_id, split, label_id, uri, expected, known)

    @property
    def row(self) -> tuple[Any, ...]:
        """The same as a row of ROWS."""
        known: tuple[Any, ...] = (None, None, None)
        if self.known is not None:
            source = self.known.source
            known = (source.num_bytes, source.sha256, self.known.stored_in)
        split_index = records.SPLITS.index(self.split)
        told = (self.position, self.clip_id, split_index, self.label_id, self.uri)
        return (*told, self.expected_sha256, *known)


@dataclass(frozen=True, slots=True)
class ShardReferences:
    """Where the references of one shard lie in the file of all.

    Attributes:
      num_shards: of the split.
    """

    split: str
    index: int
    num_shards: int
    num_clips: int
    offset: int
    num_bytes: int


def write(
    path: Path,
    shards: Iterable[tuple[str, int, Sequence[Reference]]],
    num_shards: dict[str, int],
) -> list[ShardReferences]:
    """Writes the references of shards, each with its split and index.

    Returns: where each shard's are, ordered by split and index.
    """
    written, offset = [], 0
    with files.errors_name(path), path.open("xb") as file:
        for split, index, references in shards:
            content = spilled_rows.encoded([r.row for r in references], ROWS)
            file.write(content)
            place = (split, index, num_shards[split], len(references))
            written.append(ShardReferences(*place, offset, len(content)))
            offset += len(content)
    return sorted(written, key=lambda s: (records.SPLITS.index(s.split), s.index))


def hand_out(path: Path, folder: Path | str) -> None:
    """Puts a file of references where the job's tasks read them; see `receipts`."""
    if locations.is_remote(folder):
        transfers.upload(object_store.open_storage(str(folder)), _NAME, path)
        path.unlink()
    else:
        path.rename(Path(folder) / _NAME)


def read(folder: Path | str, shard: ShardReferences) -> list[Reference]:
    """Returns the references of one shard.

    Raises:
      FileNotFoundError: there is no file of references.
      StorageError: it cannot be read.
      ValueError: what is there is not the shard's references.
    """
    content = _content(folder, shard)
    batch = spilled_rows.decoded(content, ROWS)
    columns = (column.to_pylist() for column in batch.columns)
    found = [Reference.of_row(row) for row in zip(*columns, strict=True)]
    if len(found) != shard.num_clips:
        raise ValueError(
            f"{folder}/{_NAME}: {len(found)} references of {shard.split} shard "
            f"{shard.index}, expected {shard.num_clips}"
        )
    return found


def _content(folder: Path | str, shard: ShardReferences) -> bytes:
    if not locations.is_remote(folder):
        with (Path(folder) / _NAME).open("rb") as file:
            file.seek(shard.offset)
            return file.read(shard.num_bytes)
    remote = object_store.open_storage(str(folder))
    return remote.read_part(_NAME, shard.offset, shard.num_bytes)
