"""Keeps a folder of this machine in an object store too, for a job that adds to it.

The job changes a file here and then there, in one order. So wherever it is killed, the
store has what the folder had a moment before. A file is uploaded whole and read back,
and what it replaces is there until then.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pyarrow import fs

from mindrecord_io.storage import object_store, transfers

__all__ = ["NOWHERE", "FolderMirror"]


@dataclass(frozen=True, slots=True)
class FolderMirror:
    """A folder and its copy in an object store; without `uri` there is no copy.

    Attributes:
      folder: of this machine.
      uri: of the copy, without a slash at its end.
    """

    folder: Path
    uri: str = ""

    def place_of(self, path: Path) -> Path | str:
        """Returns where users find a path of the folder: its URI, or the path."""
        if not self.uri:
            return path
        return f"{self.uri}/{self._name(path)}".removesuffix("/.")

    def names(self) -> list[str]:
        """Returns the files of the copy by their paths in it, sorted.

        Raises:
          StorageError: the store cannot be read.
        """
        if not self.uri:
            return []
        infos = self._opened().list_infos("", recursive=True)
        return sorted(info.path for info in infos if info.type == fs.FileType.File)

    def fetch(self, names: Iterable[str]) -> None:
        """Copies files of the store to the folder.

        Raises:
          FileNotFoundError: one is not there.
          StorageError: one cannot be read.
        """
        for name in names:
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            transfers.download(self._opened(), name, target)

    def send(self, *paths: Path) -> None:
        """Copies files to the store, in this order; of a folder all below it.

        Raises:
          StorageError: one cannot be written, or is not read back as it was written.
        """
        if self.uri:
            for path in _files(paths):
                transfers.upload(self._opened(), self._name(path), path)

    def remove(self, *paths: Path) -> None:
        """Removes files and folders in the store, in this order, unless they are gone.

        Raises:
          StorageError: one is still there.
        """
        if not self.uri:
            return
        remote = self._opened()
        for path in paths:
            name = self._name(path)
            if remote.info(name).type == fs.FileType.Directory:
                remote.remove_folder(name)
            else:
                remote.remove_file(name)

    def _opened(self) -> object_store.Storage:
        return object_store.open_storage(self.uri)

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()


NOWHERE = FolderMirror(Path("/"))
"""For a folder that has no copy."""


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(below for below in path.rglob("*") if below.is_file())
        else:
            yield path
