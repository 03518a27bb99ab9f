"""Checks the files that a job will write before it works for them."""

from pathlib import Path

from eval.running import config_file
from mindrecord_io.storage import job_files

__all__ = ["check"]


def check(flag: str, location: Path | str) -> None:
    """Checks that the file of a flag can be written at the end of a job.

    Raises:
      config_file.ConfigError: it is a folder.
      OSError, StorageError: nothing can be written there.
    """
    try:
        job_files.check_writable(location)
    except IsADirectoryError as cause:
        raise config_file.ConfigError(f"{flag} {cause}") from cause
