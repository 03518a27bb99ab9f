"""What the environment says of an S3 server, for both libraries that reach it."""

import functools
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass

from pyarrow import fs

from mindrecord_io.storage.patience import Patience

__all__ = ["S3Settings", "silent_seconds"]

_SILENT_SECONDS = 10  # Amazon's library tries three times: 30 s for an attempt


@dataclass(frozen=True, slots=True)
class S3Settings:
    """How a bucket is reached.

    Attributes:
      endpoint: the server's URL, "" for Amazon's.
      is_virtual: the bucket's name is a part of the host's, not of the path.
      silent_seconds: without a byte; then a request has failed.
    """

    bucket: str
    endpoint: str
    region: str
    is_virtual: bool
    silent_seconds: float

    @classmethod
    def of(
        cls, scheme: str, bucket: str, environment: Mapping[str, str]
    ) -> "S3Settings":
        """Reads the variables that `object_store.open_storage` names.

        Raises:
          ValueError: the endpoint is no URL, or missing for obs.
          OSError: Amazon does not say in which region the bucket is.
        """
        endpoint = _endpoint(scheme, environment)
        region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
        return cls(
            bucket=bucket,
            endpoint=endpoint,
            # Only Amazon's servers answer which region a bucket is in.
            region=region or ("us-east-1" if endpoint else _region(bucket)),
            is_virtual=environment.get("AWS_S3_ADDRESSING_STYLE") == "virtual",
            silent_seconds=silent_seconds(environment),
        )


def silent_seconds(environment: Mapping[str, str]) -> float:
    """Returns the seconds without a byte after which a request has failed."""
    total_seconds = Patience.from_environment(environment).total_seconds
    return min(_SILENT_SECONDS, total_seconds / 12)


def _endpoint(scheme: str, environment: Mapping[str, str]) -> str:
    """Returns the URL of the S3 server, "" for Amazon's, which obs:// never means."""
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get(
        "AWS_ENDPOINT_URL", ""
    )
    if scheme == "obs" and not endpoint:
        raise ValueError(
            "obs:// needs AWS_ENDPOINT_URL=https://obs.<region>.myhuaweicloud.com"
        )
    parts = urllib.parse.urlsplit(endpoint)
    if endpoint and (parts.scheme not in ("http", "https") or not parts.netloc):
        raise ValueError(f"AWS_ENDPOINT_URL must be http(s)://host, got {endpoint!r}")
    return endpoint


@functools.lru_cache(maxsize=8)
def _region(bucket: str) -> str:
    return str(fs.resolve_s3_region(bucket))
