"""Opens a data set for the jobs that write it, here or in an object store.

Shards are made and read in a local folder in either case. Of a data set on this machine
that folder is the data set. Of a remote one it holds what is on its way: a shard that
is finished is uploaded, under the names that it keeps, and one whose frames are needed
is downloaded. So a job is written once, and only this room has the difference.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from mindrecord_io.shards import shard_folders
from mindrecord_io.shards.shard_folders import SummaryFile
from mindrecord_io.storage import (
    files,
    incomplete,
    locations,
    own_folders,
    shard_cache,
)
from mindrecord_io.versions import opening, publication, shard_checks
from mindrecord_io.versions.manifests import Manifest, Version
from mindrecord_io.versions.version_checks import Damage
from pipelines.publishing import removal
from pipelines.publishing.remote_data_set import RemoteDataSet
from pipelines.publishing.removal import Removal

__all__ = ["DataSet", "LocalDataSet", "opened"]


class DataSet(Protocol):
    """A data set as jobs read and write it.

    Attributes:
      location: the path or URI that names it.
      folder: where shards and versions are made, and lie once they are fetched.
    """

    location: Path | str
    folder: Path

    def list_versions(self) -> list[str]:
        """Returns the names of all versions with a manifest, oldest first."""

    def current_name(self) -> str | None:
        """Returns the name of the current version, None if there is none yet."""

    def read_manifest(self, name: str | None = None) -> Manifest:
        """Reads the manifest of a version, the current one by default."""

    def open_version(self, name: str | None = None) -> Version:
        """Opens a version, the current one by default, all but its shards."""

    def current_version(self) -> Version | None:
        """Opens the current version, None if there is none yet."""

    def shard_keys(self, split: str) -> set[str]:
        """Returns the keys of the published shards of a split."""

    def read_summary(self, split: str, key: str) -> SummaryFile | None:
        """Reads the summary of a published shard; None if there is no such shard."""

    def fetch(self, split: str, key: str) -> None:
        """Copies a published shard to below `folder`, unless it is there."""

    def keep(self, split: str, key: str) -> None:
        """Publishes a shard that lies finished below `folder`."""

    def drop(self, split: str, key: str) -> None:
        """Removes the copy that `fetch` or `keep` left below `folder`."""

    def receipts(self, staging: Path) -> Path | str:
        """Returns the folder for the receipts of the job that owns `staging`."""

    def read_part(self, path: str, begin: int, num_bytes: int) -> bytes:
        """Returns bytes of a file, its path below the data set; fewer at its end."""

    def check_sizes(self, version: Version) -> list[Damage]:
        """Checks that all shards have the files they were published with, by size.

        On this machine every summary is compared with the manifest too.
        """

    def num_bytes(self, places: Sequence[str]) -> int:
        """Returns the size of all files in folders below the data set."""

    def write(self, path: str, content: bytes) -> str:
        """Writes a file that is no part of a version; returns where it is."""

    def copy_of(self, path: str) -> Path | None:
        """Returns where a file that is no part of a version lies here; None without it.

        Of a remote data set that is a copy below `folder`.
        """

    def replace(self, path: str, source: Path) -> None:
        """Replaces such a file by one of this machine, which goes."""

    def remove(self, folder: str, names: Sequence[str]) -> None:
        """Removes files that are no part of a version, those that are there."""

    def remove_abandoned(self) -> None:
        """Removes what dead jobs left of unfinished work."""

    def staging(self) -> contextlib.AbstractContextManager[Path]:
        """Makes a folder for an unfinished version; nothing is pruned in the block."""

    def removing(self) -> contextlib.AbstractContextManager[Removal]:
        """Holds the data set exclusively for the block; see removal.removing."""

    def publish(self, folder: Path, manifest: Manifest) -> Version:
        """Publishes a folder of finished files as the newest version (publication).

        Args:
          folder: in one that `staging` made.
        """


class LocalDataSet:
    """A data set on this machine, or on a file system that it shares with others."""

    def __init__(self, folder: Path) -> None:
        self.location: Path | str = folder
        self.folder = folder

    def list_versions(self) -> list[str]:
        return opening.list_versions(self.folder)

    def current_name(self) -> str | None:
        return opening.current_name(self.folder)

    def read_manifest(self, name: str | None = None) -> Manifest:
        return opening.read_manifest(self.folder, name)

    def open_version(self, name: str | None = None) -> Version:
        return opening.open_version(self.folder, name)

    def current_version(self) -> Version | None:
        name = opening.current_name(self.folder)
        return None if name is None else opening.open_version(self.folder, name)

    def shard_keys(self, split: str) -> set[str]:
        folder = shard_folders.split_folder(self.folder, split)
        return {path.name for path in folder.iterdir()} if folder.is_dir() else set()

    def read_summary(self, split: str, key: str) -> SummaryFile | None:
        return shard_folders.read_summary_file(self.folder, split, key)

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

    def read_part(self, path: str, begin: int, num_bytes: int) -> bytes:
        with files.open_regular(self.folder / path) as file:
            return os.pread(file.fileno(), num_bytes, begin)

    def check_sizes(self, version: Version) -> list[Damage]:
        return [
            damage
            for entry in version.manifest.shards
            for damage in (
                *shard_checks.check_sizes(version, entry),
                *shard_checks.check_summary(
                    version, entry, shard_checks.unhashed_clips(version, entry)
                ),
            )
        ]

    def num_bytes(self, places: Sequence[str]) -> int:
        return sum(removal.num_bytes(self.folder / place) for place in places)

    def write(self, path: str, content: bytes) -> str:
        own_folders.check_place(self.folder, Path(path).parent.as_posix())
        files.replace_file(self.folder / path, content)
        return str(self.folder / path)

    def copy_of(self, path: str) -> Path | None:
        return self.folder / path if (self.folder / path).exists() else None

    def replace(self, path: str, source: Path) -> None:
        own_folders.check_place(self.folder, Path(path).parent.as_posix())
        files.sync(source)
        with files.synced_directory(self.folder):
            source.replace(self.folder / path)

    def remove(self, folder: str, names: Sequence[str]) -> None:
        own_folders.check_place(self.folder, folder)
        for name in names:
            (self.folder / folder / name).unlink(missing_ok=True)

    def remove_abandoned(self) -> None:
        removal.remove_abandoned(self.folder)

    def staging(self) -> contextlib.AbstractContextManager[Path]:
        return publication.staging_folder(self.folder)

    def removing(self) -> contextlib.AbstractContextManager[Removal]:
        return removal.removing(self.folder)

    def publish(self, folder: Path, manifest: Manifest) -> Version:
        return publication.publish(self.folder, folder, manifest)


@contextlib.contextmanager
def opened(location: Path | str) -> Iterator[DataSet]:
    """Opens a data set for the block; it need not exist yet.

    Raises:
      StorageError: the object store cannot be opened.
    """
    if not locations.is_remote(location):
        yield LocalDataSet(Path(location))
        return
    with incomplete.folder_in(shard_cache.work_folder()) as folder:
        yield RemoteDataSet(str(location), folder)


@contextlib.contextmanager
def fetched(data_set: DataSet, places: Iterable[str]) -> Iterator[None]:
    """Fetches shards ("<split>/<key>") for the block."""
    shards = [place.split("/") for place in places]
    for split, key in shards:
        data_set.fetch(split, key)
    try:
        yield
    finally:
        for split, key in shards:
            data_set.drop(split, key)
