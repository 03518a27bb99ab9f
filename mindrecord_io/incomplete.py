"""Folders of work in progress: recognisable by name, and by a lock while in use.

The process that makes such a folder holds a lock (flock) on it. The kernel lets go of
the lock when the process dies, however it dies; so whoever can take the lock has found
a dead process's leftovers and may remove them.
"""

import contextlib
import fcntl
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from mindrecord_io import naming

__all__ = ["folder_in", "remove_abandoned"]

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def folder_in(parent: Path) -> Iterator[Path]:
    """Makes a folder for work in progress and removes what is left of it after.

    Work that was published inside the block has been renamed: nothing is left of it.
    """
    parent.mkdir(parents=True, exist_ok=True)
    folder, descriptor = _made_and_locked(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def remove_abandoned(parent: Path) -> list[Path]:
    """Removes the folders of work in progress whose process is dead; returns them."""
    if not parent.is_dir():
        return []
    removed = []
    for folder in filter(naming.is_incomplete, parent.iterdir()):
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
                removed.append(folder)
            finally:
                os.close(descriptor)
    for folder in removed:
        logger.info("removed %s, left by a process that died", folder)
    return removed


def _made_and_locked(parent: Path) -> tuple[Path, int]:
    while True:
        folder = naming.incomplete_folder(parent)
        folder.mkdir()
        # Between mkdir and flock another process may take it for abandoned: try again.
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if folder.exists():
                return folder, descriptor
            os.close(descriptor)
