"""Makes folders of work in progress: known by name, and locked while in use.

The process that makes such a folder holds a lock (flock) on it. The kernel lets go of
the lock when the process dies, however it dies; so a process that can take the lock has
a dead one's leftovers before it and may remove them. Locks do not hold between machines
that share a file system, where there may be none at all: what another machine began is
left alone for a day after its last change.
"""

import contextlib
import errno
import fcntl
import functools
import logging
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from mindrecord_io import interrupts, naming
from mindrecord_io.storage import files

__all__ = ["exclusive", "folder_in", "remove_abandoned"]

logger = logging.getLogger(__name__)

_removing = threading.Lock()

_ABANDONED_AFTER_SECONDS = 24 * 3600
_NO_LOCKS = (errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOTSUP)  # as NFS may say


@contextlib.contextmanager
def folder_in(parent: Path) -> Iterator[Path]:
    """Makes a folder for work in progress and removes what is left of it after.

    Work that was published inside the block has been renamed: nothing is left of it.
    A signal that ends the process removes it as well.
    """
    parent.mkdir(parents=True, exist_ok=True)
    folder, descriptor = _made_and_locked(parent)
    remove = functools.partial(files.remove_folder, folder)
    try:
        with interrupts.cleaned_up(remove):
            yield folder
    finally:
        remove()
        os.close(descriptor)


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Locks a folder for the block; the lock of a dead process is void.

    Raises:
      BlockingIOError: another process has it; the message says which.
    """
    # A file, because network file systems lock only what is open for writing.
    path = folder / ".lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} on {socket.gethostname()}".encode(), 0)
        yield
    except BlockingIOError as cause:
        owner = os.pread(descriptor, 300, 0).decode(errors="replace")
        raise BlockingIOError(f"{folder} is used by process {owner}") from cause
    finally:
        os.close(descriptor)


def remove_abandoned(parent: Path) -> list[Path]:
    """Removes the folders of work in progress whose process is dead; returns them.

    Waits for a thread of this process that does the same: the process may end next,
    and what that thread is in the midst of would stay.
    """
    with _removing:
        return _remove_abandoned(parent) if parent.is_dir() else []


def _remove_abandoned(parent: Path) -> list[Path]:
    removed = []
    for folder in filter(naming.is_incomplete, parent.iterdir()):
        if folder.is_symlink() or not folder.is_dir():
            logger.warning(
                "%s: named as unfinished work and no folder; it stays", folder
            )
            continue
        is_ours = naming.is_of_this_host(folder)
        if _remove_unlocked(folder) if is_ours else _remove_old(folder):
            removed.append(folder)
            logger.info("removed %s, left by a process that died", folder)
    return removed


def _remove_unlocked(folder: Path) -> bool:
    """Removes the folder unless a process holds it; returns whether it did."""
    try:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        descriptor = os.open(folder, flags)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.ENOENT):
            return False
        if error.errno in _NO_LOCKS:
            return _remove_old(folder)
        raise
    finally:
        os.close(descriptor)
    return True


def _remove_old(folder: Path) -> bool:
    """Removes the folder if nothing in it changed for a day; returns whether it did."""
    with contextlib.suppress(FileNotFoundError):
        times = [path.lstat().st_mtime for path in (folder, *folder.rglob("*"))]
        if max(times) < time.time() - _ABANDONED_AFTER_SECONDS:
            shutil.rmtree(folder)
            return True
    return False


def _made_and_locked(parent: Path) -> tuple[Path, int]:
    while True:
        folder = naming.incomplete_folder(parent)
        folder.mkdir()
        # Between mkdir and flock another process may take it for abandoned: try again.
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            _lock(descriptor)
            if folder.exists():
                return folder, descriptor
            os.close(descriptor)


def _lock(descriptor: int, operation: int = fcntl.LOCK_EX) -> None:
    try:
        fcntl.flock(descriptor, operation)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
