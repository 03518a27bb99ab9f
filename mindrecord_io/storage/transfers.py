"""Copies files to and from an object store: whole, checked, tried again.

A local file that is finished is copied until the store's ETag proves it, or until it
reads back with the right size and SHA-256. Nothing is ever written straight into the
store: a stream that breaks off there leaves a file that looks complete.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Set
from pathlib import Path

from mindrecord_io.records import Fingerprint
from mindrecord_io.storage import files, object_store
from mindrecord_io.storage.object_store import (
    Storage,
    StorageError,
    WrongContentError,
)
from mindrecord_io.storage.range_reads import FileRanges, PendingRead, RangeReads

__all__ = [
    "WrongContentError",
    "download",
    "download_parts",
    "fingerprint",
    "num_requests",
    "put",
    "put_note",
    "upload",
    "upload_note",
]

_READ_BYTES = 16 << 20  # a request each
_PART_BYTES = 10 << 20  # Arrow sends what is larger in parts of this size
_PARTS_AHEAD = 3


def upload(remote: Storage, path: str, source: Path) -> None:
    """Copies a local file to the store and checks what the store has.

    Raises:
      StorageError: it cannot be written, or is not there as it was written.
    """
    with source.open("rb") as file:
        etags = _etags(iter(lambda: file.read(_PART_BYTES), b""))

    def copy() -> None:
        _copy(remote, path, source)
        _check(remote, path, etags, lambda: files.fingerprint(source))

    object_store.retried(copy, f"write {remote.uri}/{path}")


def upload_note(remote: Storage, path: str, source: Path) -> None:
    """Copies a local file of which damage is noticed by its reader; see `put_note`.

    Raises:
      StorageError: it cannot be written.
    """
    object_store.retried(
        lambda: _copy(remote, path, source), f"write {remote.uri}/{path}"
    )


def put(remote: Storage, path: str, content: bytes) -> None:
    """Writes or replaces a small file and checks what the store has.

    Raises:
      StorageError: as `upload`.
    """
    expected = Fingerprint(len(content), hashlib.sha256(content).hexdigest())
    begins = range(0, len(content), _PART_BYTES)
    etags = _etags(content[begin : begin + _PART_BYTES] for begin in begins)

    def write() -> None:
        _write(remote, path, content)
        _check(remote, path, etags, lambda: expected)

    object_store.retried(write, f"write {remote.uri}/{path}")


def put_note(remote: Storage, path: str, content: bytes) -> None:
    """Writes or replaces a small file that a job leaves for itself; reads nothing back.

    By one request, which the store answers once it has as many bytes as were announced.

    Raises:
      StorageError: it cannot be written.
    """
    object_store.retried(
        lambda: _write(remote, path, content), f"write {remote.uri}/{path}"
    )


def download(
    remote: Storage, path: str, target: Path, expected: Fingerprint | None = None
) -> None:
    """Copies a remote file to a local one and, if `expected` is known, checks it.

    Raises:
      FileNotFoundError: there is no such file.
      WrongContentError: it is not what was expected; the last copy stays.
      StorageError: it cannot be read.
    """

    def copy() -> None:
        remote.copy(path, target)
        if expected:
            _check_copy(target, expected)

    _copied(copy, f"read {remote.uri}/{path}")


def download_parts(
    reads: RangeReads, path: str, target: Path, expected: Fingerprint
) -> None:
    """Copies a remote file of known content to a local one, many ranges at a time.

    Raises:
      WrongContentError: it is not what was expected, or not there.
      StorageError: it cannot be read.
    """

    def copy() -> None:
        with target.open("wb") as file:
            waiting: deque[PendingRead] = deque()
            for begin in range(0, expected.num_bytes, _READ_BYTES):
                end = min(begin + _READ_BYTES, expected.num_bytes)
                wanted = FileRanges(path, ((begin, end),), expected.num_bytes)
                waiting.append(reads.submit(wanted))
                if len(waiting) > _PARTS_AHEAD:
                    file.writelines(waiting.popleft().result())
            while waiting:
                file.writelines(waiting.popleft().result())
        _check_copy(target, expected)

    _copied(copy, f"read {reads.uri}/{path}")


def num_requests(num_bytes: int) -> int:
    """Returns the requests by which `download_parts` reads so many bytes."""
    return -(-num_bytes // _READ_BYTES)


def fingerprint(remote: Storage, path: str) -> Fingerprint:
    """Reads a remote file and returns its size and SHA-256; tries it once.

    Raises:
      OSError: it cannot be read.
    """
    digest, file = hashlib.sha256(), remote.open(path)
    for content in file.chunks():
        digest.update(content)
    return Fingerprint(file.num_bytes, digest.hexdigest())


class _MismatchError(OSError):
    pass


def _copied(copy: Callable[[], None], what: str) -> None:
    try:
        object_store.retried(copy, what)
    except StorageError as error:
        if isinstance(error.__cause__, _MismatchError):
            raise WrongContentError(str(error)) from error.__cause__
        raise


def _check_copy(copy: Path, expected: Fingerprint) -> None:
    content = files.fingerprint(copy)
    if content != expected:
        raise _MismatchError(
            f"it has {content.num_bytes} bytes with SHA-256 {content.sha256}, "
            f"published were {expected.num_bytes} with {expected.sha256}"
        )


def _check(
    remote: Storage,
    path: str,
    etags: Set[str],
    expected_content: Callable[[], Fingerprint],
) -> None:
    """Raises OSError unless the store has what was written.

    An ETag made of MD5 will do. A file that has another is read back.
    """
    file = remote.open(path)
    with file.content:
        if file.etag in etags:
            return
    expected, back = expected_content(), fingerprint(remote, path)
    if back != expected:
        raise OSError(
            f"it reads back as {back.num_bytes} bytes with SHA-256 {back.sha256}, "
            f"written were {expected.num_bytes} with {expected.sha256}"
        )


def _etags(parts: Iterable[bytes]) -> set[str]:
    """Returns the ETags that S3 may make of a file's parts, which KMS does not encrypt.

    The MD5 of what came by one request; of an upload in parts the MD5 of their MD5s and
    their number, which shows that they are all there, in order.
    """
    digests = [_md5(part).digest() for part in parts] or [_md5().digest()]
    in_parts = f"{_md5(b''.join(digests)).hexdigest()}-{len(digests)}"
    return {in_parts, *(digest.hex() for digest in digests if len(digests) == 1)}


def _copy(remote: Storage, path: str, source: Path) -> None:
    _make_parent(remote, path)
    with source.open("rb") as file, remote.filesystem.open_output_stream(path) as far:
        while content := file.read(_PART_BYTES):
            far.write(content)


def _write(remote: Storage, path: str, content: bytes) -> None:
    _make_parent(remote, path)
    with remote.filesystem.open_output_stream(path) as file:
        file.write(content)


def _md5(content: bytes = b"") -> "hashlib._Hash":
    return hashlib.md5(content, usedforsecurity=False)


def _make_parent(remote: Storage, path: str) -> None:
    parent = path.rpartition("/")[0]
    if parent and remote.type_name == "local":  # object stores have no folders
        remote.filesystem.create_dir(parent, recursive=True)
