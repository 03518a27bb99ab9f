"""Opens data sets in object stores as pyarrow file systems, with retries.

A data set is named by a path, or by a URI (see locations). Credentials come from the
environment (AWS_ACCESS_KEY_ID and its like, GOOGLE_APPLICATION_CREDENTIALS), a profile
or the machine's role, never from the URI: URIs are logged.
"""

import datetime
import functools
import logging
import os
import re
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
from pyarrow import fs

from mindrecord_io.storage import locations
from mindrecord_io.storage.patience import TOTAL_SECONDS_VARIABLE, Patience
from mindrecord_io.storage.s3_settings import S3Settings, silent_seconds

__all__ = [
    "RemoteFile",
    "Storage",
    "StorageError",
    "WrongContentError",
    "is_refusal",
    "num_requests",
    "open_storage",
    "redacted",
    "retried",
]

logger = logging.getLogger(__name__)

T = TypeVar("T")

NUM_ATTEMPTS = 6
_FIRST_PAUSE_SECONDS = 0.2  # doubled each time: 6 s in all
_READ_BYTES = 16 << 20  # a request each
_NUM_REQUESTS = 64  # at one moment
_SETTINGS = (
    *("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_S3_ADDRESSING_STYLE"),
    *("AWS_REGION", "AWS_DEFAULT_REGION", "STORAGE_EMULATOR_HOST"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    *(
        "GOOGLE_APPLICATION_CREDENTIALS",
        "CLIPMILL_STORE_REQUESTS",
        TOTAL_SECONDS_VARIABLE,
    ),
)
"""What of the environment decides how a store is reached."""

_CREDENTIALS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")
_REFUSAL = re.compile(
    r"ACCESS_DENIED|AccessDenied|Expired|expired|INVALID_ACCESS_KEY|InvalidAccessKey|"
    r"SIGNATURE_DOES_NOT_MATCH|SignatureDoesNotMatch|INVALID_SIGNATURE|"
    r"INVALID_CLIENT_TOKEN|InvalidToken|NO_SUCH_BUCKET|HTTP status 40[13]"
)


class StorageError(RuntimeError):
    """An object store cannot be reached, or a file in it cannot be read."""


class WrongContentError(StorageError):
    """A remote file is not the one that was published."""


@dataclass(frozen=True, slots=True, eq=False)
class Storage:
    """A remote folder.

    Attributes:
      uri: without a slash at its end.
      filesystem: of pyarrow; its root is the folder.
    """

    uri: str
    filesystem: fs.FileSystem

    def read_bytes(self, path: str) -> bytes:
        """Returns a small file's content.

        Raises:
          FileNotFoundError: there is no such file.
          StorageError: it cannot be read, after several attempts.
        """

        def read() -> bytes:
            # A stream has no size to Arrow, which then reads it by 256 KiB.
            with self.filesystem.open_input_file(path) as file:
                content: bytes = file.read()
                return content

        return retried(read, f"read {self.uri}/{path}")

    def open(self, path: str) -> "RemoteFile":
        """Opens a file by one request, which also returns size and ETag; tries it once.

        Raises:
          OSError: it is not there, or the store does not answer.
        """
        file = self.filesystem.open_input_file(path)
        return RemoteFile(file, file.size(), _etag(file.metadata()))

    def copy(self, path: str, target: Path) -> None:
        """Copies a file of any size to a local one, replacing that; tries it once.

        Raises:
          OSError: it cannot be read.
        """
        file = self.open(path)
        with target.open("wb") as copied:
            copied.writelines(file.chunks())

    def read_part(self, path: str, begin: int, num_bytes: int) -> bytes:
        """Returns some of a file's bytes, without the others being fetched.

        Raises:
          FileNotFoundError: there is no such file.
          StorageError: it cannot be read, or ends before, after several attempts.
        """

        def read() -> bytes:
            with self.filesystem.open_input_file(path) as file:
                content: bytes = file.read_at(num_bytes, begin)
            if len(content) != num_bytes:
                raise OSError(f"it ends {num_bytes - len(content)} bytes too early")
            return content

        return retried(read, f"read {self.uri}/{path}")

    def read_at_most(self, path: str, begin: int, num_bytes: int) -> bytes:
        """Returns some of a file's bytes, fewer where it ends before.

        Raises: as `read_part`, but for files that end before.
        """

        def num_there() -> int:
            with self.filesystem.open_input_file(path) as file:
                size: int = file.size()
            return max(0, min(num_bytes, size - begin))

        number = retried(num_there, f"read {self.uri}/{path}")
        return self.read_part(path, begin, number) if number else b""

    def list_names(self, folder: str) -> list[str]:
        """Returns the names in a folder, sorted; none where there is no such folder."""
        return sorted(info.base_name for info in self.list_infos(folder))

    def list_infos(self, folder: str, *, recursive: bool = False) -> list[fs.FileInfo]:
        """Returns the entries of a folder, or all below; none if it does not exist."""
        # Of gs:// pyarrow lists folders only where an empty object stands for one.
        as_seen = recursive or self.type_name != "gcs"
        selector = fs.FileSelector(
            folder, allow_not_found=True, recursive=recursive or not as_seen
        )
        infos: list[fs.FileInfo] = retried(
            lambda: self.filesystem.get_file_info(selector), f"list {self.uri}/{folder}"
        )
        return infos if as_seen else _directly_in(folder, infos)

    @property
    def type_name(self) -> str:
        """The kind of store, as pyarrow names it."""
        base = self.filesystem
        while isinstance(base, fs.SubTreeFileSystem):
            base = base.base_fs
        return str(base.type_name)

    def info(self, path: str) -> fs.FileInfo:
        """Returns the type and size of a path; the type may be NotFound."""
        (info,) = retried(
            lambda: self.filesystem.get_file_info([path]), f"look at {self.uri}/{path}"
        )
        return info

    def size_and_etag(self, path: str) -> tuple[int, str]:
        """Returns a file's bytes and the store's name for its content, "" without one.

        By one request.

        Raises:
          FileNotFoundError: there is no such file.
          StorageError: the store does not answer, after several attempts.
        """

        file = retried(lambda: self.open(path), f"look at {self.uri}/{path}")
        file.content.close()
        return file.num_bytes, file.etag

    def remove_file(self, path: str) -> None:
        """Removes a file, unless it is gone."""
        self._remove(self.filesystem.delete_file, path)

    def remove_folder(self, path: str) -> None:
        """Removes a folder and all below it, in any order, unless it is gone."""
        self._remove(self.filesystem.delete_dir, path)

    def _remove(self, remove: Callable[[str], None], path: str) -> None:
        def remove_once() -> None:
            try:
                remove(path)
            except OSError as cause:  # also of what has gone before, or meanwhile
                (left,) = self.filesystem.get_file_info([path])
                if left.type != fs.FileType.NotFound:
                    raise OSError(f"it is still there: {cause}") from cause

        retried(remove_once, f"remove {self.uri}/{path}")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file that is open for reading.

    Attributes:
      etag: the store's name for its content, "" without one.
    """

    content: pa.NativeFile
    num_bytes: int
    etag: str

    def chunks(self) -> Iterator[bytes]:
        """Yields all bytes, by requests for 16 MiB, and closes the file.

        Raises:
          OSError: it cannot be read, or not to its end.
        """
        with self.content as file:
            for begin in range(0, self.num_bytes, _READ_BYTES):
                size = min(_READ_BYTES, self.num_bytes - begin)
                chunk: bytes = file.read_at(size, begin)
                if len(chunk) != size:
                    raise OSError(f"it ends {size - len(chunk)} bytes too early")
                yield chunk


def open_storage(uri: str, environment: Mapping[str, str] = os.environ) -> Storage:
    """Opens a remote folder, which need not exist.

    Args:
      environment: S3 endpoints other than Amazon's are in AWS_ENDPOINT_URL_S3 or
        AWS_ENDPOINT_URL; AWS_S3_ADDRESSING_STYLE "virtual" is for those that want
        bucket names in the host; AWS_REGION is the region. STORAGE_EMULATOR_HOST is
        another server than Google's for gs, which asks for no credentials.

    Raises:
      ValueError: a URI of none of SCHEMES, or one without a bucket.
      StorageError: the file system cannot be opened.
    """
    scheme, path = locations.split_uri(uri)
    settings = tuple((n, environment[n]) for n in _SETTINGS if n in environment)
    try:
        filesystem = _opened(scheme, path.partition("/")[0], settings)
    except (OSError, ValueError) as cause:
        raise StorageError(f"{uri}: cannot be opened: {cause}") from cause
    return Storage(uri.rstrip("/"), fs.SubTreeFileSystem(path, filesystem))


def num_requests(environment: Mapping[str, str] = os.environ) -> int:
    """Returns CLIPMILL_STORE_REQUESTS, the requests at one moment; without it 64."""
    given = environment.get("CLIPMILL_STORE_REQUESTS", str(_NUM_REQUESTS))
    if not given.isascii() or not given.isdecimal() or not 1 <= int(given) <= 1024:
        raise ValueError(
            f"CLIPMILL_STORE_REQUESTS must be a number from 1 to 1024, got {given!r}"
        )
    return int(given)


def retried(action: Callable[[], T], what: str, *, pause: float | None = None) -> T:
    """Returns the result of `action`, repeating it after ever longer pauses.

    Args:
      action: fails by an OSError; one that says that there is no such file is final.
      what: a verb and its object, for messages.
      pause: seconds before the second attempt; None for the usual.

    Raises:
      FileNotFoundError: as raised by `action`.
      StorageError: the last attempt failed too, or the patience is over.
    """
    seconds = _FIRST_PAUSE_SECONDS if pause is None else pause
    deadline = time.monotonic() + Patience.from_environment().total_seconds
    for attempt in range(1, NUM_ATTEMPTS + 1):
        try:
            return action()
        except FileNotFoundError:
            raise
        except OSError as cause:
            why = redacted(str(cause))
            if is_refusal(cause):
                raise StorageError(f"cannot {what}, refused: {why}") from cause
            if attempt == NUM_ATTEMPTS or time.monotonic() > deadline:
                raise StorageError(
                    f"cannot {what}, tried {attempt} times: {why}"
                ) from cause
            logger.warning("attempt %d to %s failed: %s", attempt, what, why)
            time.sleep(seconds * 2 ** (attempt - 1))
    raise AssertionError("the last attempt returns or raises")


def is_refusal(error: Exception) -> bool:
    """Returns whether a store refuses what is asked for good, as by its credentials."""
    return isinstance(error, PermissionError) or bool(_REFUSAL.search(str(error)))


def redacted(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Returns a text without the credentials that a store's answer may repeat."""
    for name in _CREDENTIALS:
        if secret := environment.get(name):
            text = text.replace(secret, f"[{name}]")
    return text


@functools.lru_cache(maxsize=8)
def _opened(
    scheme: str, bucket: str, settings: tuple[tuple[str, str], ...]
) -> fs.FileSystem:
    """Returns the file system of a bucket; one, with its connections, for all uses."""
    environment = dict(settings)
    if scheme == "gs":
        return _open_gs(environment)
    return _open_s3(S3Settings.of(scheme, bucket, environment), environment)


def _open_s3(settings: S3Settings, environment: Mapping[str, str]) -> fs.FileSystem:
    # Arrow opens as many connections to a store as it has threads, 8 otherwise.
    pa.set_io_thread_count(max(num_requests(environment), pa.io_thread_count()))
    parts = urllib.parse.urlsplit(settings.endpoint)
    return fs.S3FileSystem(
        endpoint_override=parts.netloc or None,
        scheme=parts.scheme or "https",
        region=settings.region,
        force_virtual_addressing=settings.is_virtual,
        # What fits a part is written by one request, when it is closed.
        allow_delayed_open=True,
        connect_timeout=settings.silent_seconds,
        request_timeout=settings.silent_seconds,
    )


def _open_gs(environment: Mapping[str, str]) -> fs.FileSystem:
    emulator = environment.get("STORAGE_EMULATOR_HOST")
    if not emulator:
        return fs.GcsFileSystem()
    parts = urllib.parse.urlsplit(
        emulator if "://" in emulator else f"http://{emulator}"
    )
    return fs.GcsFileSystem(
        anonymous=True,
        scheme=parts.scheme,
        endpoint_override=parts.netloc,
        retry_time_limit=datetime.timedelta(seconds=3 * silent_seconds(environment)),
    )


def _etag(metadata: Mapping[str, bytes]) -> str:
    values = {name.lower(): value.decode() for name, value in metadata.items()}
    return values.get("etag", "").strip('"')


def _directly_in(folder: str, below: Sequence[fs.FileInfo]) -> list[fs.FileInfo]:
    """Returns the entries of a folder from all files below it, each folder once."""
    prefix = f"{folder}/" if folder else ""
    infos: dict[str, fs.FileInfo] = {}
    for info in below:
        name, _, rest = info.path.removeprefix(prefix).rstrip("/").partition("/")
        path = f"{prefix}{name}"
        infos[path] = fs.FileInfo(path, fs.FileType.Directory) if rest else info
    return list(infos.values())
