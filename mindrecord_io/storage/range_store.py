"""Opens remote folders for reading many small ranges, by obstore.

A range of 20 kB costs it a quarter of the processor time that pyarrow takes, and all
ranges of a clip are one call. Nothing is repeated here: see range_reads.
"""

import configparser
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

from mindrecord_io.storage import locations, s3_settings
from mindrecord_io.storage.object_store import StorageError
from mindrecord_io.storage.patience import Patience
from mindrecord_io.storage.s3_settings import S3Settings

__all__ = ["RangeStore", "as_os_errors", "open_range_store"]

_KEYS = {
    "access_key_id": "aws_access_key_id",
    "secret_access_key": "aws_secret_access_key",
    "session_token": "aws_session_token",
}
"""Credentials by the names of obstore and those of a profile's file."""


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
        **_credentials(environment),
    }
    if settings.endpoint:
        parts = urllib.parse.urlsplit(settings.endpoint)
        host = f"{settings.bucket}." if settings.is_virtual else ""
        config["endpoint"] = f"{parts.scheme}://{host}{parts.netloc}"
    return config


def _credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns those of the environment or of a profile; {} for what a role gives.

    Raises:
      ValueError: the profile that is named is nowhere, or a file of them is damaged.
    """
    if environment.get("AWS_ACCESS_KEY_ID"):
        names = {key: name.upper() for key, name in _KEYS.items()}
        return {key: environment[n] for key, n in names.items() if environment.get(n)}
    path = _aws_file("AWS_SHARED_CREDENTIALS_FILE", "credentials", environment)
    profiles = _profiles(path)
    profile = environment.get("AWS_PROFILE", "")
    if (found := profiles.get(profile or "default")) is not None:
        return {key: found[name] for key, name in _KEYS.items() if name in found}
    settings = _aws_file("AWS_CONFIG_FILE", "config", environment)
    if profile and f"profile {profile}" not in _profiles(settings):
        raise ValueError(
            f"AWS_PROFILE={profile} is neither in {path} nor in {settings}"
        )
    return {}


def _aws_file(variable: str, name: str, environment: Mapping[str, str]) -> str:
    default = os.path.expanduser(f"~/.aws/{name}")  # noqa: PTH111 - without a home
    return environment.get(variable, default)


def _profiles(path: str) -> Mapping[str, Mapping[str, str]]:
    """Returns the values by name of each profile in a file, none without the file."""
    profiles = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        profiles.read(path)
    except (configparser.Error, UnicodeDecodeError) as error:  # may show a secret
        raise ValueError(f"{path}: not a file of AWS profiles") from error
    return {name: dict(values) for name, values in profiles.items()}


def _gs_config(environment: Mapping[str, str]) -> dict[str, Any]:
    emulator = environment.get("STORAGE_EMULATOR_HOST")
    if emulator:
        url = emulator if "://" in emulator else f"http://{emulator}"
        return {"base_url": url, "skip_signature": True}
    return {}


def _first_line(error: Exception) -> str:
    """Returns what obstore says without the objects that it prints after it."""
    return str(error).partition("\n")[0]
