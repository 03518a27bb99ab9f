"""A data set as the jobs see that write it: on this machine, or in an object store.

Shards are made and read in a local folder in either case. Of a data set on this machine
that folder is the data set. Of a remote one it holds what is on its way: a shard that
is finished is uploaded, under the names that it keeps, and one whose frames are needed
is downloaded. So a job is written once, and only this file knows the difference.
"""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from mindrecord_io import incomplete, manifest, records, shards, storage
from pipelines import remote_clips, remote_data_set

__all__ = ["DataSet", "LocalDataSet", "opened"]


class DataSet(Protocol):
    """What jobs ask of a data set.

    Attributes:
      folder: where shards and versions are made, and found once they are fetched.
    """

    folder: Path

    def open_version(self, name: str | None = None) -> manifest.Version:
        """Opens a version, the current one by default, all but its shards."""

    def current_version(self) -> manifest.Version | None:
        """Opens the current version, None if there is none yet."""

    def shard_keys(self, split: str) -> set[str]:
        """Returns the keys of the published shards of a split."""

    def read_summary(self, split: str, key: str) -> records.ShardSummary | None:
        """Returns what a published shard says of itself, None if there is none."""

    def fetch(self, split: str, key: str) -> None:
        """Makes a published shard available below `folder`."""

    def keep(self, split: str, key: str) -> None:
        """Makes a shard that is published below `folder` available to everybody."""

    def drop(self, split: str, key: str) -> None:
        """Lets go of what `fetch` or `keep` left below `folder`."""

    def receipts(self, staging: Path) -> Path | str:
        """Returns where the tasks of the job that owns `staging` leave receipts."""

    def remove_abandoned(self) -> None:
        """Removes what dead jobs left of unfinished work."""

    def publish(self, folder: Path, said: manifest.Manifest) -> manifest.Version:
        """Makes a folder of finished files the newest version; see manifest.publish."""


class LocalDataSet:
    """A data set on this machine, or on a file system that it shares with others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open_version(self, name: str | None = None) -> manifest.Version:
        return manifest.open_version(self.folder, name)

    def current_version(self) -> manifest.Version | None:
        has_version = manifest.current_version(self.folder) is not None
        return manifest.open_version(self.folder) if has_version else None

    def shard_keys(self, split: str) -> set[str]:
        folder = shards.split_folder(self.folder, split)
        return {path.name for path in folder.iterdir()} if folder.is_dir() else set()

    def read_summary(self, split: str, key: str) -> records.ShardSummary | None:
        return shards.read_summary(self.folder, split, key)

    def fetch(self, split: str, key: str) -> None:
        pass  # it is there

    def keep(self, split: str, key: str) -> None:
        pass  # it is there for everybody

    def drop(self, split: str, key: str) -> None:
        pass  # it is the data set's own

    def receipts(self, staging: Path) -> Path | str:
        folder = staging.absolute() / "receipts"
        folder.mkdir(exist_ok=True)
        return folder

    def remove_abandoned(self) -> None:
        for folder in (
            self.folder / "versions",
            *(shards.split_folder(self.folder, split) for split in records.SPLITS),
        ):
            incomplete.remove_abandoned(folder)

    def publish(self, folder: Path, said: manifest.Manifest) -> manifest.Version:
        return manifest.publish(self.folder, folder, said)


@contextlib.contextmanager
def opened(location: Path | str) -> Iterator[DataSet]:
    """Lends the data set at a path or URI (see storage); whether there is one is open.

    Raises:
      StorageError: the object store cannot be opened.
    """
    if not storage.is_remote(location):
        yield LocalDataSet(Path(location))
        return
    with incomplete.folder_in(remote_clips.work_folder()) as folder:
        yield remote_data_set.RemoteDataSet(str(location), folder)


@contextlib.contextmanager
def fetched(data_set: DataSet, places: Iterable[str]) -> Iterator[None]:
    """Has shards ("<split>/<key>") available while the block runs."""
    held = [place.split("/") for place in places]
    for split, key in held:
        data_set.fetch(split, key)
    try:
        yield
    finally:
        for split, key in held:
            data_set.drop(split, key)
