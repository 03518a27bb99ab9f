"""Flags that name a folder, of this machine or of an object store."""

import argparse
from pathlib import Path

from mindrecord_io.storage import locations

__all__ = ["add_dataset", "path_or_uri"]


def add_dataset(parser: argparse.ArgumentParser) -> None:
    """Gives a command the flag that every one has, --dataset."""
    parser.add_argument(
        "--dataset",
        type=path_or_uri,
        required=True,
        help="folder of the data set; a path, s3://, obs:// or gs://",
    )


def path_or_uri(text: str) -> Path | str:
    """Reads a flag's value that is a path, or a URI (see storage).

    Raises:
      ArgumentTypeError: a URI that cannot be used.
    """
    try:
        return locations.location(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
