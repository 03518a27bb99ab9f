"""Checks that a data set's folders are its own: real ones, and not links out of it.

What is removed, swept or written in a folder that is a link is removed and written
elsewhere, perhaps in another data set. The data set's own folder may be a link: it is
what the user named.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from mindrecord_io import records

__all__ = ["ForeignFolderError", "check", "check_below", "check_place"]


class ForeignFolderError(RuntimeError):
    """A folder of a data set is a link; nothing was removed or written."""


def check(dataset: Path) -> None:
    """Checks the folders in which versions and shards are made.

    Raises:
      ForeignFolderError: one is a link, or a file.
    """
    for folder in _folders(dataset):
        _check(folder)


def check_below(dataset: Path) -> None:
    """Checks these folders and every version and shard in them.

    Raises:
      ForeignFolderError: one is a link, or one that should be a folder is a file.
    """
    check(dataset)
    for folder in (dataset / "versions", *_split_folders(dataset)):
        if folder.is_dir():
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_symlink():
                        raise _foreign(folder / entry.name)


def check_place(dataset: Path, place: str) -> None:
    """Checks every folder on the way from a data set down to one of its files.

    Args:
      place: of the file or folder below the data set; it itself is checked too, if it
        is there.

    Raises:
      ForeignFolderError: one is a link.
    """
    path = dataset
    for name in Path(place).parts:
        path = path / name
        if path.is_symlink():
            raise _foreign(path)


def _folders(dataset: Path) -> Iterator[Path]:
    yield dataset / "versions"
    yield dataset / "shards"
    yield from _split_folders(dataset)


def _split_folders(dataset: Path) -> list[Path]:
    return [dataset / "shards" / split for split in records.SPLITS]


def _check(folder: Path) -> None:
    if folder.is_symlink():
        raise _foreign(folder)
    if folder.exists() and not folder.is_dir():
        raise ForeignFolderError(f"{folder}: is no folder; nothing was changed")


def _foreign(path: Path) -> ForeignFolderError:
    return ForeignFolderError(
        f"{path}: is a link to {path.readlink()}, where a data set must have a "
        f"folder of its own: what is removed or written there would be elsewhere. "
        f"Nothing was changed; move the folder to here, or mount it"
    )
