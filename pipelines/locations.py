"""Flags that name a folder: of this machine, or also of an object store."""

import argparse
from pathlib import Path

from mindrecord_io import storage

__all__ = ["local_path", "path_or_uri"]


def path_or_uri(text: str) -> Path | str:
    """Reads a flag's value that is a path, or a URI (see storage).

    Raises:
      ArgumentTypeError: a URI that cannot be used.
    """
    try:
        return storage.dataset_location(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def local_path(text: str) -> Path:
    """Reads a flag's value that must be a path.

    Raises:
      ArgumentTypeError: a URI, which would become a strange path.
    """
    if storage.is_remote(text):
        raise argparse.ArgumentTypeError(
            f"must be a folder of this machine, got {text!r}"
        )
    return Path(text)
