"""Writes references to clips, shard by shard, so that a task reads only its shard's.

All references are in one file, beside the receipts of the job's tasks: in a folder that
every worker reaches, or in an object store. A shard's part of it is some rows of Arrow,
compressed; its place in the file travels through Beam, its content does not.
"""

import functools
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

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
    "hand_out",
    "of_rows",
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
        ("source_num_bytes", pa.int64()),
        ("source_sha256", pa.string()),
        ("stored_in", pa.string()),
        ("expected_sha256", pa.string()),
        ("identity", pa.string()),
        ("is_seen", pa.bool_()),
    ]
)
"""The fields of a Reference, with the place of its split in SPLITS, and the source's
size and hash."""

_NAME = "references"
_lock = threading.Lock()  # while a file is opened


class Reference(NamedTuple):
    """A clip that a shard is to hold.

    Attributes:
      position: in the order of the annotations.
      source, stored_in: the file that was published and where its frames are (as in
        records.PlannedClip), where they may be reused; else None and "".
      expected_sha256: of the file, as its supplier lists it; "" where it is not listed.
      identity: of the file that was published (see clip_identities): while the clip has
        it, it need not be read; "" where it must be.
      is_seen: the file had it when the job was planned; it is not looked at again.
    """

    position: int
    clip_id: str
    split: str
    label_id: int
    uri: str
    source: records.Fingerprint | None = None
    stored_in: str = ""
    expected_sha256: str = ""
    identity: str = ""
    is_seen: bool = False


@dataclass(frozen=True, slots=True)
class ShardReferences:
    """The place of one shard's references in the file of all.

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
    shards: Iterable[tuple[str, int, pa.RecordBatch]],
    num_shards: dict[str, int],
) -> list[ShardReferences]:
    """Writes the references of shards, each with its split and index, as ROWS.

    Returns: where each shard's are, ordered by split and index.
    """
    written, offset = [], 0
    with files.errors_name(path), path.open("xb") as file:
        for split, index, rows in shards:
            content = spilled_rows.encoded(rows)
            file.write(content)
            place = (split, index, num_shards[split], rows.num_rows)
            written.append(ShardReferences(*place, offset, len(content)))
            offset += len(content)
    return sorted(written, key=lambda s: (records.SPLITS.index(s.split), s.index))


def hand_out(path: Path, folder: Path | str) -> Path:
    """Brings a file of references to where the job's tasks read it (see receipts).

    Returns: a folder of this machine that has it too, for `read`.
    """
    if not locations.is_remote(folder):
        path.rename(Path(folder) / _NAME)
        return Path(folder)
    transfers.upload_note(object_store.open_storage(str(folder)), _NAME, path)
    path.rename(path.with_name(_NAME))
    return path.parent


def read(folder: Path | str, shard: ShardReferences) -> list[Reference]:
    """Returns the references of one shard.

    Raises:
      FileNotFoundError: there is no file of references.
      StorageError: it cannot be read.
      ValueError: these are not the shard's references.
    """
    content = _content(folder, shard)
    references = of_rows(spilled_rows.decoded(content, ROWS))
    if len(references) != shard.num_clips:
        raise ValueError(
            f"{folder}/{_NAME}: {len(references)} references of {shard.split} shard "
            f"{shard.index}, expected {shard.num_clips}"
        )
    return references


def of_rows(batch: pa.RecordBatch) -> list[Reference]:
    """Returns the references that were written as ROWS."""
    columns = {name: batch.column(name).to_pylist() for name in ROWS.names}
    splits = [records.SPLITS[index] for index in columns.pop("split_index")]
    published = (columns.pop(name) for name in ("source_num_bytes", "source_sha256"))
    sources = [
        None if sha256 is None else records.Fingerprint(num_bytes, sha256)
        for num_bytes, sha256 in zip(*published, strict=True)
    ]
    columns |= {"split": splits, "source": sources}
    return list(map(Reference, *(columns[name] for name in Reference._fields)))


def _content(folder: Path | str, shard: ShardReferences) -> bytes:
    if not locations.is_remote(folder):
        with (Path(folder) / _NAME).open("rb") as file:
            file.seek(shard.offset)
            return file.read(shard.num_bytes)
    begin, end = shard.offset, shard.offset + shard.num_bytes
    what = f"read {folder}/{_NAME}"
    return object_store.retried(lambda: _read_far(str(folder), begin, end), what)


def _read_far(folder: str, begin: int, end: int) -> bytes:
    with _lock:
        file = _opened(folder)
    content: bytes = file.read_at(end - begin, begin)
    return content


@functools.lru_cache(maxsize=2)
def _opened(folder: str) -> pa.NativeFile:
    """Returns a job's file of references, opened once for all shards of a process."""
    return object_store.open_storage(folder).open(_NAME).content
