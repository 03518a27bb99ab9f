"""Writes and reads receipts: small files by which a job's tasks report what they did.

Any runner can write one, and listing their folder shows how far the job is. The folder
is one of this machine, or of an object store where it is named by a URI.
"""

import json
from collections.abc import Iterable, Sequence
from concurrent import futures
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from mindrecord_io import naming, records
from mindrecord_io.records import Fingerprint
from mindrecord_io.storage import files, locations, object_store, transfers

__all__ = [
    "NO_IDENTITY",
    "ShardReceipt",
    "brought_here",
    "names",
    "read",
    "read_of_shards",
    "remove",
    "shard_receipt_name",
    "summary_text",
    "write",
]

T = TypeVar("T")

NO_IDENTITY = "-"
"""In a receipt, of a clip's file that cannot be recognised."""

_SUFFIX = ".json"
_NUM_THREADS = 16  # a request to an object store is mostly waiting


@dataclass(frozen=True, slots=True)
class ShardReceipt:
    """What became of one planned shard.

    Attributes:
      action: one of shard_plans.ACTIONS.
      begin_seconds, end_seconds: since the epoch.
      summary: of the summary.json that was compared with the plan.
      num_read: clips whose files were read, and not just recognised.
      identities: of the clips' files, in the order of the shard's references, with a
        space between any two; "" where all are those of the references.
      summary_text: summary.json itself, of a shard in an object store.
    """

    split: str
    index: int
    key: str
    action: str
    begin_seconds: float
    end_seconds: float
    summary: Fingerprint
    num_read: int = 0
    identities: str = ""
    summary_text: str = ""


def shard_receipt_name(split: str, index: int, num_shards: int) -> str:
    """Returns the file name of a shard's receipt."""
    return f"{naming.ShardName(split, index, num_shards)}{_SUFFIX}"


def write(folder: Path | str, name: str, receipt: object) -> None:
    """Writes a receipt; one of the same name is replaced in one step."""
    content = json.dumps(records.to_json(receipt)).encode()
    if locations.is_remote(folder):
        transfers.put_note(object_store.open_storage(str(folder)), name, content)
    else:
        files.replace_file(Path(folder) / name, content)


def names(folder: Path | str, suffix: str = _SUFFIX) -> list[str]:
    """Returns the names of the receipts that are there, by default those of shards."""
    if locations.is_remote(folder):
        all_names = object_store.open_storage(str(folder)).list_names("")
    else:
        all_names = sorted(path.name for path in Path(folder).iterdir())
    return [name for name in all_names if name.endswith(suffix) and name[0] != "."]


def brought_here(folder: Path | str, here: Path, receipt_names: Sequence[str]) -> Path:
    """Copies receipts to a folder of this machine, unless they are on it.

    Returns: the folder that has them.
    """
    if not locations.is_remote(folder):
        return Path(folder)
    remote = object_store.open_storage(str(folder))
    with futures.ThreadPoolExecutor(_NUM_THREADS) as executor:
        list(
            executor.map(
                lambda name: (here / name).write_bytes(remote.read_bytes(name)),
                receipt_names,
            )
        )
    return here


def read(
    folder: Path | str, kind: type[T], *, suffix: str = _SUFFIX, but: str = ""
) -> list[T]:
    """Returns the receipts, which are of one kind, ordered by name.

    Args:
      but: the name of one that is left out.
    """
    wanted = [name for name in names(folder, suffix) if name != but]
    if locations.is_remote(folder):
        remote = object_store.open_storage(str(folder))
        with futures.ThreadPoolExecutor(_NUM_THREADS) as executor:
            contents: Iterable[bytes] = list(executor.map(remote.read_bytes, wanted))
    else:
        paths = [Path(folder) / name for name in wanted]
        contents = (path.read_bytes() for path in paths)
    return [records.from_json(kind, json.loads(content)) for content in contents]


def summary_text(folder: Path, receipt: ShardReceipt, num_shards: int) -> bytes:
    """Returns the summary.json that a receipt in a folder of this machine has."""
    name = shard_receipt_name(receipt.split, receipt.index, num_shards)
    text: str = json.loads((folder / name).read_bytes())["summary_text"]
    return text.encode()


def read_of_shards(folder: Path | str) -> list[ShardReceipt]:
    """Returns the receipts of shards without summaries, ordered by split and index."""
    receipts = [
        replace(receipt, summary_text="") for receipt in read(folder, ShardReceipt)
    ]
    return sorted(receipts, key=lambda r: (records.SPLITS.index(r.split), r.index))


def remove(folder: Path | str) -> None:
    """Removes a remote folder and, if nothing else is in it, the one that it is in.

    A folder of this machine is removed with the staging folder that it is in.
    """
    if locations.is_remote(folder):
        parent, _, name = str(folder).rpartition("/")
        above, _, parent_name = parent.rpartition("/")
        object_store.open_storage(parent).remove_folder(name)
        if not object_store.open_storage(above).list_names(parent_name):
            object_store.open_storage(above).remove_folder(parent_name)
