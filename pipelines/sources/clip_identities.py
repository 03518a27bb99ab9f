"""Recognises a clip without reading it, by what its file system or store says of it.

Of a file these are size, times of the last change of content and of anything else, and
inode; of a folder of frames a hash over those of all its files; of a file in an object
store size and ETag. All that differ were perhaps changed, and are read.

A file that was changed within the resolution of its times looks as before (git calls it
racily clean). So what is younger than `_MARGIN_NS` has no identity yet: it is read once
more by the next job. Hidden stays what leaves all of this as it was: a write past the
file system, one within the tick of a server's clock that lags behind ours by more than
the margin, and other content under one ETag, which in S3 is the MD5 of the content only
where neither KMS encrypts it nor several parts were uploaded.
"""

import binascii
import hashlib
import os
import stat
import time
from dataclasses import dataclass

import pyarrow as pa

from mindrecord_io.storage import locations, object_store, table_join

__all__ = [
    "FILES",
    "Identity",
    "identity",
    "looked_at",
    "not_looked_at",
    "of_object",
]

FILES = pa.schema(
    [
        ("uri", pa.string()),
        ("num_bytes", pa.int64()),
        ("is_folder", pa.bool_()),
        ("identity", pa.string()),
    ]
)
"""What is known of clips' files: `uri` is null where there is none; `num_bytes` is null
where it is not known, as of folders, and `identity` is ""."""

_HASHER = hashlib.blake2b(digest_size=12)
_MARGIN_NS = 2_000_000_000  # FAT counts two seconds, and clocks of servers differ


@dataclass(frozen=True, slots=True)
class Identity:
    """How a clip is recognised.

    Attributes:
      text: 16 characters, others if the clip may have been changed; "" if that cannot
        be known.
      num_bytes: of its file; 0 of a folder.
    """

    text: str
    num_bytes: int
    is_file: bool = True


def identity(uri: str) -> Identity:
    """Returns the identity of a clip, as of before this call.

    Raises:
      OSError: the clip is not there, or cannot be looked at.
      StorageError: the object store cannot be asked, after several attempts.
    """
    if locations.is_remote(uri):
        folder, _, name = uri.rpartition("/")
        return of_object(*object_store.open_storage(folder).size_and_etag(name))
    now = time.time_ns()
    status = os.stat(uri)  # noqa: PTH116 - a Path costs more than the call
    if stat.S_ISDIR(status.st_mode):
        return _of_folder(uri, now)
    return Identity(_of_file(status, now), status.st_size)


def looked_at(uris: table_join.Column) -> pa.Table:
    """Looks at clips of this machine once; returns what is known of each, as FILES.

    Nothing is known of folders, into which it does not look, and of what is gone.

    Args:
      uris: null where there is none.
    """
    now = time.time_ns()
    rows = [_known(uri, now) for uri in uris.to_pylist()]
    sizes, folders, texts = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table([uris, sizes, folders, texts], schema=FILES)


def _known(path: str | None, now: int) -> tuple[int | None, bool, str]:
    """Returns size, whether it is a folder, and identity of a file."""
    status = None if path is None else _status(path)
    if status is None:
        return None, False, ""
    if stat.S_ISDIR(status.st_mode):
        return None, True, ""
    return status.st_size, False, _of_file(status, now)


def not_looked_at(
    uris: table_join.Column,
    identities: table_join.Column | None = None,
    sizes: table_join.Column | None = None,
) -> pa.Table:
    """Returns clips at whose files nobody looks, as FILES.

    Args:
      identities, sizes: as far as a list of the files tells them.
    """
    num = len(uris)
    if identities is None:
        identities = pa.repeat("", num)
    if sizes is None:
        sizes = pa.nulls(num, pa.int64())
    return pa.table([uris, sizes, pa.repeat(False, num), identities], FILES)


def _status(path: str) -> os.stat_result | None:
    """Returns that of a file; None where the task that reads it will say what it is."""
    try:
        return os.stat(path)  # noqa: PTH116 - a Path costs more than this
    except OSError:
        return None


def of_object(num_bytes: int, etag: str) -> Identity:
    """Returns the identity of an object in a store; `etag` is "" without one."""
    return Identity(_hash(f"{num_bytes} {etag}") if etag else "", num_bytes)


def _of_file(status: os.stat_result, now: int) -> str:
    return _hash(_text(status)) if _is_settled(status, now) else ""


def _of_folder(folder: str, now: int) -> Identity:
    """Returns the identity of a folder by all its files that are not hidden."""
    lines, is_settled = ["folder"], True
    with os.scandir(folder) as entries:
        paths = {e.name: e.path for e in entries if not e.name.startswith(".")}
    for name in sorted(paths):
        lines.append(name)
        try:
            status = os.stat(paths[name])  # noqa: PTH116
        except OSError:  # as a link to nothing, which counts by its name
            continue
        is_settled = is_settled and _is_settled(status, now)
        lines.append(_text(status))
    return Identity(_hash("\0".join(lines)) if is_settled else "", 0, is_file=False)


def _hash(text: str) -> str:
    hasher = _HASHER.copy()  # quicker than another one
    hasher.update(text.encode("utf-8", "surrogateescape"))
    return binascii.b2a_base64(hasher.digest(), newline=False).decode()


def _text(status: os.stat_result) -> str:
    # Without st_dev, which the next start of the machine may change.
    times = f"{status.st_mtime_ns} {status.st_ctime_ns}"
    return f"{status.st_size} {times} {status.st_ino}"


def _is_settled(status: os.stat_result, now: int) -> bool:
    return max(status.st_mtime_ns, status.st_ctime_ns) < now - _MARGIN_NS
