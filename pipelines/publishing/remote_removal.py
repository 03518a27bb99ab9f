"""Removes versions and shards from an object store, where nothing can be undone.

Nothing is removed while a job is at work, and none begins before the end: remote_marks.
A version loses its manifest before anything else of it, and all that go lose theirs
before any shard goes; a shard loses its summary first. So wherever this stops, every
version that can be read has its shards, and what is left of the others is no version
and no published shard: the next prune removes it. Files that a dead job's workers
upload afterwards are incomplete to the next job that wants that shard, which makes it
again.
"""

import contextlib
from collections.abc import Iterator, Sequence
from concurrent import futures
from pathlib import Path

from mindrecord_io import naming
from mindrecord_io.storage.object_store import Storage
from pipelines.publishing import remote_marks, removal
from pipelines.publishing.remote_marks import Mark
from pipelines.publishing.removal import AtWorkError

__all__ = ["RemoteRemoval", "begun", "num_bytes"]

_NUM_REQUESTS = 16  # at once: each is mostly waiting


@contextlib.contextmanager
def begun(remote: Storage) -> Iterator["RemoteRemoval"]:
    """Holds the data set exclusively for the block, cleared of dead jobs' leftovers.

    Raises:
      AtWorkError: a job is at work, or another prune.
      StorageError: the store cannot be read or written.
    """
    name = naming.incomplete_folder(Path()).name
    with remote_marks.at_work(remote, name, "prune") as mark:
        others = mark.others()
        alive = [str(other) for other in others if other.kind and not other.is_void]
        if alive:
            raise AtWorkError(
                f"{remote.uri}: another job is at work and may need any shard, so "
                f"nothing was removed: {', '.join(alive)}; wait for its end and run "
                f"this again; one that died is passed over an hour after its last sign"
            )
        granted = RemoteRemoval(remote, mark)
        granted.clear([other.folder for other in others if other.is_void])
        yield granted


def num_bytes(remote: Storage, places: Sequence[str]) -> int:
    """Returns the size of all files in folders below the data set."""

    def of_one(place: str) -> int:
        infos = remote.list_infos(place, recursive=True)
        return sum(info.size for info in infos if info.is_file)

    with futures.ThreadPoolExecutor(_NUM_REQUESTS) as executor:
        return sum(executor.map(of_one, places))


class RemoteRemoval:
    """Removes folders while no job can begin; see removal.Removal."""

    def __init__(self, remote: Storage, mark: Mark) -> None:
        self._remote, self._mark = remote, mark
        self.num_abandoned_bytes = 0

    def clear(self, places: Sequence[str]) -> None:
        """Removes folders of dead jobs' unfinished work, and counts their bytes."""
        self.num_abandoned_bytes += num_bytes(self._remote, places)
        self.remove(places)

    def remove(self, places: Sequence[str]) -> None:
        """Removes folders: what makes each one count goes first, of all of them.

        Raises:
          LostMarkError: this process may have been taken for dead.
          StorageError: something cannot be removed.
        """
        for place in places:  # a prefix: all that begins with it would go
            removal.check_removable(place)
        firsts = [f"{place}/{_first_of(place)}" for place in places]
        with futures.ThreadPoolExecutor(_NUM_REQUESTS) as executor:
            list(executor.map(self._remove_file, firsts))
            list(executor.map(self._remove_folder, places))

    def _remove_file(self, path: str) -> None:
        self._mark.check()
        self._remote.remove_file(path)

    def _remove_folder(self, path: str) -> None:
        self._mark.check()
        self._remote.remove_folder(path)


def _first_of(place: str) -> str:
    """Returns the file without which a folder is no version, or no published shard."""
    return "manifest.json" if place.startswith("versions/") else "summary.json"
