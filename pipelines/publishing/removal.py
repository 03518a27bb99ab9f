"""Removes versions and shards from a data set on this machine, all or none.

A shard that no manifest lists may be one that a job at this moment makes, or counts on,
for the version it will publish. Such a job holds, from before it looks at the first
shard until it has published, a folder of work in progress beside the versions
(publication.staging_folder). So, while no job can begin such a folder or publish a
version (these and this take turns by one lock):

1. if such a folder is there, and its process lives, nothing is removed;
2. what goes is moved out of sight, into folders of work in progress;
3. if a job has begun since 1 all the same, where locks are ignored, all is put back;
4. what was moved is deleted.

A job that begins after 3 does not see them and makes its own. Wherever this stops, no
version that can be read lacks a shard, if versions go before their shards; what lies in
folders of work in progress is removed by the next job.
"""

import contextlib
import datetime
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from mindrecord_io import naming, records
from mindrecord_io.shards import shard_folders
from mindrecord_io.storage import files, incomplete, own_folders

__all__ = [
    "AtWorkError",
    "Removal",
    "check_removable",
    "num_bytes",
    "remove_abandoned",
    "removing",
]


_REMOVABLE = re.compile(
    rf"versions/\d{{6,15}}|shards/({'|'.join(records.SPLITS)})/[0-9a-f]{{32}}"
    r"|versions/\.incomplete-[0-9A-Za-z._-]+",
    re.ASCII,
)


class AtWorkError(RuntimeError):
    """Nothing was removed, because another job is at work."""


class Removal(Protocol):
    """Removes folders while no job can begin.

    Attributes:
      num_abandoned_bytes: of dead jobs' unfinished work, which is removed already.
    """

    num_abandoned_bytes: int

    def remove(self, places: Sequence[str]) -> None:
        """Removes folders ("versions/000001", "shards/train/<key>"), in this order."""


@contextlib.contextmanager
def removing(dataset: Path) -> Iterator[Removal]:
    """Holds the data set exclusively for the block; no job is at work in it.

    Raises:
      AtWorkError: a job is at work; if it began in the block, all is put back.
      ForeignFolderError: a folder of the data set, or in it, is a link.
    """
    own_folders.check_below(dataset)
    versions = dataset / "versions"
    num_abandoned_bytes = remove_abandoned(dataset)
    with contextlib.ExitStack() as stack:
        trash = {
            folder: stack.enter_context(incomplete.folder_in(folder))
            for folder in (versions, *_split_folders(dataset))
        }
        with files.locked_directory(versions):
            _refuse_others(versions, trash[versions])
            with _put_back_unless_done() as moved:
                yield _Moves(dataset, trash, moved, num_abandoned_bytes)
                _refuse_others(versions, trash[versions])
        for path in moved.values():
            shutil.rmtree(path)


def remove_abandoned(dataset: Path) -> int:
    """Removes what dead jobs left of unfinished work; returns its bytes."""
    own_folders.check(dataset)
    removed = 0
    for parent in (dataset / "versions", *_split_folders(dataset)):
        if parent.is_dir():
            folders = filter(naming.is_incomplete, parent.iterdir())
            sizes = {folder: num_bytes(folder) for folder in folders}
            removed += sum(sizes.get(f, 0) for f in incomplete.remove_abandoned(parent))
    return removed


def num_bytes(folder: Path) -> int:
    """Returns the size of a folder's files; what vanishes meanwhile has none."""
    total = 0
    if folder.is_symlink():  # which os.walk follows, if it begins there
        return 0
    for parent, _, names in os.walk(folder):  # which is silent about folders that do
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                status = Path(parent, name).lstat()
                total += status.st_size if stat.S_ISREG(status.st_mode) else 0
    return total


def check_removable(place: str) -> None:
    """Raises ValueError unless a place below a data set is one that prune removes."""
    if not _REMOVABLE.fullmatch(place):
        raise ValueError(f"{place!r} is no version, shard or unfinished work")


class _Moves:
    """Moves what is to be removed; see Removal."""

    def __init__(
        self,
        dataset: Path,
        trash: dict[Path, Path],
        moved: dict[Path, Path],
        num_abandoned_bytes: int,
    ) -> None:
        self._dataset, self._trash, self._moved = dataset, trash, moved
        self.num_abandoned_bytes = num_abandoned_bytes

    def remove(self, places: Sequence[str]) -> None:
        for place in places:
            check_removable(place)
        _move([self._dataset / place for place in places], self._trash, self._moved)


def _split_folders(dataset: Path) -> list[Path]:
    folders = [shard_folders.split_folder(dataset, split) for split in records.SPLITS]
    return [folder for folder in folders if folder.is_dir()]


def _refuse_others(versions: Path, own: Path) -> None:
    """Raises AtWorkError if another job is at work; names it and since when."""
    incomplete.remove_abandoned(versions)
    others = []
    for folder in sorted(filter(naming.is_incomplete, versions.iterdir())):
        with contextlib.suppress(FileNotFoundError):
            if folder != own and folder.is_dir() and not folder.is_symlink():
                begun = folder.stat().st_ctime
                since = datetime.datetime.fromtimestamp(begun, datetime.UTC)
                others.append(f"{folder} (since {since:%Y-%m-%d %H:%M:%S} UTC)")
    if others:
        raise AtWorkError(
            f"another job is at work and may need any shard, so nothing was removed: "
            f"{', '.join(others)}; wait for its end and run this again"
        )


@contextlib.contextmanager
def _put_back_unless_done() -> Iterator[dict[Path, Path]]:
    """Yields a record of what was moved to where; an error undoes the moves."""
    moved: dict[Path, Path] = {}
    with contextlib.ExitStack() as undo:  # whatever goes wrong with one, to the last
        undo.callback(_put_back, moved)
        yield moved
        undo.pop_all()


def _put_back(moved: dict[Path, Path]) -> None:
    with contextlib.ExitStack() as undo:
        for path, where in moved.items():
            undo.callback(_rename_back, where, path)


def _rename_back(where: Path, path: Path) -> None:
    try:
        where.rename(path)
    except OSError:
        if not path.exists():  # else made again by another job, and equal
            raise


def _move(
    paths: Iterable[Path], trash: dict[Path, Path], moved: dict[Path, Path]
) -> None:
    """Moves folders into the trash beside them, and forces that to disk."""
    with contextlib.ExitStack() as synced:
        for parent in trash:
            synced.enter_context(files.synced_directory(parent))
        for path in paths:
            where = trash[path.parent] / path.name
            path.rename(where)
            moved[path] = where
