"""Writes files so that a crash leaves the old content or the new, and hashes them."""

import contextlib
import errno
import fcntl
import hashlib
import io
import os
import shutil
import stat
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from mindrecord_io.records import Fingerprint

__all__ = [
    "UNREAD_SHA256",
    "check_regular",
    "errors_name",
    "fingerprint",
    "locked_directory",
    "open_regular",
    "printable",
    "publish_folder",
    "read_bytes",
    "read_text",
    "remove_folder",
    "replace_file",
    "sync",
    "synced_directory",
    "write_synced",
]

UNREAD_SHA256 = "0" * 64
"""Stands for the hash of a file that is too large to be read."""

_NUM_REMOVALS, _REMOVAL_SECONDS = 40, 0.05

_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_MAX_NUM_BYTES = 1 << 30  # of a file that is read whole; a manifest of a million shards


def check_regular(path: Path) -> None:
    """Checks, without opening it, that a path leads to a regular file.

    Opening a pipe waits for its writer, and a device may have no end. For libraries
    that open files themselves; everything else opens them by `open_regular`.

    Raises:
      OSError: nothing is there, or something else; the error names both.
    """
    _refuse_irregular(path, path.stat().st_mode)


def open_regular(path: Path) -> io.BufferedReader:
    """Opens a regular file for reading; never waits, as opening a pipe does.

    Raises:
      OSError: as `check_regular`, or the file cannot be opened.
    """
    check_regular(path)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        _refuse_irregular(path, os.fstat(descriptor).st_mode)  # another one by now
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_bytes(path: Path, max_num_bytes: int = _MAX_NUM_BYTES) -> bytes:
    """Returns the content of a regular file of at most so many bytes.

    Raises:
      OSError: as `open_regular`, or the file is larger.
    """
    with open_regular(path) as file:
        content = file.read(max_num_bytes + 1)
    if len(content) > max_num_bytes:
        why = f"has more than {max_num_bytes} bytes, which no such file can have"
        raise OSError(errno.EFBIG, why, str(path))
    return content


def fingerprint(path: Path) -> Fingerprint:
    """Returns the size and SHA-256 of a file's content."""
    with open_regular(path) as file:
        digest = hashlib.file_digest(file, "sha256")
        return Fingerprint(num_bytes=file.tell(), sha256=digest.hexdigest())


def printable(file_name: str) -> str:
    """Returns a name that any encoding of text can carry; bad bytes as escapes."""
    return file_name.encode("utf-8", "backslashreplace").decode("utf-8")


def read_text(path: Path, error: type[ValueError]) -> str:
    """Returns the content of a UTF-8 file, without a byte order mark.

    Raises:
      error: it cannot be read, or is not such text; the message says at which byte.
    """
    try:
        with open_regular(path) as file:
            return file.read().decode("utf-8-sig")
    except OSError as cause:
        raise error(f"{path}: cannot read: {cause.strerror}") from cause
    except UnicodeDecodeError as cause:
        raise error(
            f"{path}: not UTF-8 text: {cause.reason} at byte {cause.start}"
        ) from cause


@contextlib.contextmanager
def errors_name(path: Path) -> Iterator[None]:
    """Adds the file's name and the free space to errors of writing it.

    Python itself names a file that cannot be opened, but not one on a full disk.
    """
    try:
        yield
    except OSError as cause:
        if cause.errno is None or cause.filename is not None:
            raise
        text = f"{os.strerror(cause.errno)} ({_num_bytes_free(path)} bytes free there)"
        raise OSError(cause.errno, text, str(path)) from cause


def write_synced(path: Path, content: bytes) -> None:
    """Writes a new file and forces it to disk; an existing one is an error."""
    with errors_name(path), path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Forces a file that was written elsewhere to disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def replace_file(path: Path, content: bytes) -> None:
    """Replaces a file in one step: readers see the old content or the new."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        write_synced(temporary, content)
        with synced_directory(path.parent):
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_folder(folder: Path) -> None:
    """Removes a folder, also where another thread still makes files in it."""
    for _ in range(_NUM_REMOVALS):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.lexists(folder):
            return
        time.sleep(_REMOVAL_SECONDS)


def publish_folder(incomplete: Path, final: Path) -> None:
    """Renames a complete folder to its final name, for good.

    Raises:
      FileExistsError: `final` is there already; `incomplete` is left as it is.
    """
    _sync_directory(incomplete)
    try:
        with synced_directory(final.parent):
            incomplete.rename(final)
    except OSError as cause:
        if final.exists():
            raise FileExistsError(f"{final} is published already") from cause
        raise


@contextlib.contextmanager
def synced_directory(folder: Path) -> Iterator[None]:
    """Forces the renames made inside the block to disk."""
    yield
    _sync_directory(folder)


@contextlib.contextmanager
def locked_directory(folder: Path) -> Iterator[None]:
    """Locks a folder for the block; the lock of a dead process is void."""
    # A file, because network file systems lock only what is open for writing. A link
    # that somebody put there is not followed: it might make a file anywhere.
    path = folder / ".lock"
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as cause:
        if cause.errno == errno.ELOOP:
            why = "is a link, not a regular file: remove it"
            raise OSError(errno.ELOOP, why, str(path)) from cause
        raise
    try:
        _refuse_irregular(path, os.fstat(descriptor).st_mode)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _refuse_irregular(path: Path, mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "no file")
    raise OSError(errno.EINVAL, f"is {kind}, not a regular file", str(path))


def _num_bytes_free(path: Path) -> int:
    return shutil.disk_usage(path.parent).free


def _sync_directory(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
