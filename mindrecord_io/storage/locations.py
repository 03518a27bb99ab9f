"""Reads a text that names a folder or a file: a path of this machine or a URI.

Needs no file system's library, so that a command can check its flags at once.
"""

import urllib.parse
from pathlib import Path

__all__ = ["is_remote", "local_path", "location", "split_uri"]

SCHEMES = ("s3", "obs", "gs")
"""What a remote data set's URI begins with; obs is S3 at AWS_ENDPOINT_URL."""


def is_remote(location: Path | str) -> bool:
    """Returns whether a data set is named by a URI."""
    return isinstance(location, str) and "://" in location


def location(text: str) -> Path | str:
    """Returns a remote URI without a slash at its end, or else the path that is meant.

    A leading ~ becomes the home folder, and file:///folder is /folder.

    Raises:
      ValueError: a URI of none of SCHEMES, or one without a bucket; no text, or
        one with a NUL character; a ~ that no home folder can take the place of.
    """
    if text.startswith("file:"):
        return _path(_path_of_file_uri(text))
    if is_remote(text):
        split_uri(text)
        return text.rstrip("/")
    return _path(text)


def local_path(text: str) -> Path:
    """Returns the path that is meant, as `location` reads it.

    Raises:
      ValueError: no path, or one that is not on this machine.
    """
    path = location(text)
    if isinstance(path, str):
        raise ValueError(f"must be a path on this machine, got {text!r}")
    return path


def split_uri(uri: str) -> tuple[str, str]:
    """Returns scheme and bucket/path of a URI.

    Raises:
      ValueError: a URI of none of SCHEMES, or one without a bucket.
    """
    parts = urllib.parse.urlsplit(uri)
    if parts.scheme not in SCHEMES:
        raise ValueError(
            f"a data set is a path or one of {', '.join(f'{s}://' for s in SCHEMES)}, "
            f"got {uri!r}"
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError(
            f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}: must be "
            f"bucket and path only: credentials come from the environment"
        )
    if not parts.netloc:
        raise ValueError(f"{uri!r} names no bucket: {parts.scheme}://bucket/path")
    return parts.scheme, f"{parts.netloc}{parts.path}".rstrip("/")


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError(f"must be a path, got {text!r}")
    scheme = text.partition(":/")[0]
    if scheme in SCHEMES:
        raise ValueError(f"{text!r} has one slash too few: {scheme}://bucket/path")
    path = Path(text)
    if not text.startswith("~"):
        # Path("./~") is Path("~"): read again, that would be the home folder.
        return path.absolute() if str(path).startswith("~") else path
    try:
        return path.expanduser()
    except RuntimeError as cause:
        raise ValueError(
            f"{text!r} begins with the home folder of nobody here; for a folder of "
            f"that name write {'./' + text!r}"
        ) from cause


def _path_of_file_uri(uri: str) -> str:
    parts = urllib.parse.urlsplit(uri)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise ValueError(f"a file URI is like file:///folder/file, got {uri!r}")
    return urllib.parse.unquote(parts.path)
