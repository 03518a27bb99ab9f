"""Opens remote folders for reading many small ranges, by obstore.

A range of 20 kB costs it a quarter of the processor time that pyarrow takes, and all
ranges of a clip are one call. Nothing is repeated here: see range_reads.
"""

import contextlib
import datetime
import os
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import obstore
from obstore import exceptions
from obstore.store import GCSStore, ObjectStore, S3Store

from mindrecord_io.storage import aws_credentials, locations, s3_settings
from mindrecord_io.storage.object_store import StorageError
from mindrecord_io.storage.patience import Patience
from mindrecord_io.storage.s3_settings import S3Settings

__all__ = ["RangeStore", "as_os_errors", "open_range_store"]


@dataclass(frozen=True, slots=True, eq=False)
class RangeStore:
    """A remote folder.

    Attributes:
      uri: without a slash at its end.
      store: a bucket, of obstore.
      prefix: the folder in it, "" or ending by a slash.
    """

    uri: str
    store: ObjectStore
    prefix: str = ""

    def read(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Returns the bytes of each range of a file, ten at one moment; tries once.

        Args:
          ranges: (first byte, byte after the last) of each.

        Raises:
          EOFError: the file ends before a range does.
          FileNotFoundError: there is no such file.
          PermissionError: the store refuses it, as for its credentials.
          OSError: it cannot be read, or not whole.
        """
        begins, ends = zip(*ranges, strict=True)
        with as_os_errors():
            contents = obstore.get_ranges(
                self.store, self.prefix + path, starts=begins, ends=ends, coalesce=0
            )
        for content, begin, end in zip(contents, begins, ends, strict=True):
            if len(content) != end - begin:
                missing = end - begin - len(content)
                raise EOFError(f"the answer ends {missing} bytes too early")
        return [content.to_bytes() for content in contents]

    def num_bytes(self, path: str) -> int:
        """Returns the size of a file; tries once.

        Raises:
          FileNotFoundError: there is no such file.
          OSError: the store does not say it.
        """
        with as_os_errors():
            return obstore.head(self.store, self.prefix + path)["size"]


@contextlib.contextmanager
def as_os_errors() -> Iterator[None]:
    """Raises obstore's errors as EOFError, PermissionError or another OSError."""
    try:
        yield
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
        raise PermissionError(_first_line(error)) from error
    except exceptions.BaseError as error:
        text = _first_line(error)
        if "status code: 416" in text:  # the range begins after the end
            raise EOFError(text) from error
        raise OSError(text) from error


def open_range_store(
    uri: str, environment: Mapping[str, str] = os.environ
) -> RangeStore:
    """Opens a remote folder; settings and errors as `object_store.open_storage`."""
    scheme, path = locations.split_uri(uri)
    bucket, _, folder = path.partition("/")
    try:
        store = _opened(scheme, bucket, environment)
    except (exceptions.BaseError, OSError, ValueError) as cause:
        raise StorageError(f"{uri}: cannot be opened: {_first_line(cause)}") from cause
    prefix = folder.rstrip("/")
    return RangeStore(uri.rstrip("/"), store, f"{prefix}/" if prefix else "")


def _opened(scheme: str, bucket: str, environment: Mapping[str, str]) -> ObjectStore:
    total = Patience.from_environment(environment).total_seconds
    silent = datetime.timedelta(seconds=s3_settings.silent_seconds(environment))
    common: dict[str, Any] = {
        "client_options": {
            "allow_http": True,
            "connect_timeout": silent,
            "read_timeout": silent,
            "timeout": datetime.timedelta(seconds=total),
        },
        "retry_config": {"max_retries": 0},  # range_reads does, and says so
    }
    if scheme == "gs":
        return GCSStore(bucket, **_gs_config(environment), **common)
    settings = S3Settings.of(scheme, bucket, environment)
    return S3Store(bucket, **_s3_config(settings, environment), **common)


def _s3_config(settings: S3Settings, environment: Mapping[str, str]) -> dict[str, Any]:
    config: dict[str, Any] = {
        "region": settings.region,
        "virtual_hosted_style_request": settings.is_virtual,
        **aws_credentials.found(environment),
    }
    if settings.endpoint:
        parts = urllib.parse.urlsplit(settings.endpoint)
        host = f"{settings.bucket}." if settings.is_virtual else ""
        config["endpoint"] = f"{parts.scheme}://{host}{parts.netloc}"
    return config


def _gs_config(environment: Mapping[str, str]) -> dict[str, Any]:
    emulator = environment.get("STORAGE_EMULATOR_HOST")
    if emulator:
        url = emulator if "://" in emulator else f"http://{emulator}"
        return {"base_url": url, "skip_signature": True}
    return {}


def _first_line(error: Exception) -> str:
    """Returns what obstore says without the objects that it prints after it."""
    return str(error).partition("\n")[0]
