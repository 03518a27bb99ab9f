"""What tasks leave behind for whoever waits: a small file each, in a common folder.

Any runner can write one, and whoever lists the folder sees the job advance. The folder
is one of this machine, or of an object store where it is named by a URI.
"""

from concurrent import futures
from pathlib import Path

from mindrecord_io.storage import files, locations, object_store, transfers

__all__ = ["names", "read", "remove", "write"]

_SUFFIX = ".json"
_NUM_THREADS = 16  # a request to an object store is mostly waiting


def write(folder: Path | str, name: str, content: bytes) -> None:
    """Leaves a receipt; one of the same name is replaced in one step."""
    if locations.is_remote(folder):
        transfers.put(object_store.open_storage(str(folder)), name, content)
    else:
        files.replace_file(Path(folder) / name, content)


def names(folder: Path | str) -> list[str]:
    """Returns the names of the receipts that are there."""
    if locations.is_remote(folder):
        found = object_store.open_storage(str(folder)).list_names("")
    else:
        found = sorted(path.name for path in Path(folder).iterdir())
    return [name for name in found if name.endswith(_SUFFIX) and name[0] != "."]


def read(folder: Path | str) -> list[bytes]:
    """Returns the receipts' content, ordered by name."""
    if not locations.is_remote(folder):
        return [(Path(folder) / name).read_bytes() for name in names(folder)]
    remote = object_store.open_storage(str(folder))
    with futures.ThreadPoolExecutor(_NUM_THREADS) as executor:
        return list(executor.map(remote.read_bytes, names(folder)))


def remove(folder: Path | str) -> None:
    """Removes a remote folder and, where it is alone in it, the one that it is in.

    One of this machine goes with what it is in.
    """
    if locations.is_remote(folder):
        parent, _, name = str(folder).rpartition("/")
        above, _, parent_name = parent.rpartition("/")
        object_store.open_storage(parent).remove_folder(name)
        if not object_store.open_storage(above).list_names(parent_name):
            object_store.open_storage(above).remove_folder(parent_name)
