"""Files that a job reads or writes, on this machine or in an object store.

A remote file is fetched whole before it is read. One to be written is written whole on
this machine, uploaded and read back: the older one is replaced by that, in one step.
"""

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mindrecord_io.storage import (
    incomplete,
    locations,
    object_store,
    shard_cache,
    transfers,
)

__all__ = ["check_writable", "fetched", "written"]

Location = Path | str
"""A path, or a remote file's URI (see locations)."""


@contextlib.contextmanager
def fetched(location: Location) -> Iterator[Path]:
    """Yields a path to read a file at during the block: its own, or that of a copy.

    Raises:
      FileNotFoundError: there is no such remote file.
      StorageError: it cannot be read.
    """
    if not locations.is_remote(location):
        yield Path(location)
        return
    folder, _, name = str(location).rpartition("/")
    with incomplete.folder_in(shard_cache.work_folder()) as work:
        try:
            transfers.download(object_store.open_storage(folder), name, work / name)
        except FileNotFoundError as cause:
            raise FileNotFoundError(f"there is no file {location}") from cause
        yield work / name


@contextlib.contextmanager
def written(location: Location) -> Iterator[Path]:
    """Yields a path to write a file at; after the block it is at its place.

    Nothing is uploaded if the block fails.

    Raises:
      StorageError: it cannot be written, or is not read back as it was written.
    """
    if not locations.is_remote(location):
        path = Path(location)
        path.parent.mkdir(parents=True, exist_ok=True)
        yield path
        return
    folder, _, name = str(location).rpartition("/")
    with incomplete.folder_in(shard_cache.work_folder()) as work:
        yield work / name
        transfers.upload(object_store.open_storage(folder), name, work / name)


def check_writable(location: Location) -> None:
    """Checks, before a job's work, that a file can be written after it.

    Writes an empty file beside it and removes that.

    Raises:
      IsADirectoryError: it is a folder.
      OSError, StorageError: nothing can be written there.
    """
    if not PurePosixPath(str(location)).name or Path(location).is_dir():
        raise IsADirectoryError(f"must be a file, not a folder: {location}")
    probe = f".clipmill-{uuid.uuid4().hex}"
    if locations.is_remote(location):
        remote = object_store.open_storage(str(location).rpartition("/")[0])
        transfers.put(remote, probe, b"")
        remote.remove_file(probe)
        return
    path = Path(location)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.with_name(probe).touch()
    except OSError as cause:
        raise OSError(f"cannot write {path}: {cause.strerror}") from cause
    path.with_name(probe).unlink()
