"""Files that appear whole or not at all."""

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

__all__ = ["replaced"]


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yields a new path beside `path`; what the block writes there takes its place.

    The new name ends as the old one does, since MindSpore chooses a format by it and
    deletes a file of the same name before it writes. If the block fails, the old file
    stays and whatever begins with the new name is removed: MindSpore writes to a file
    of another ending first.

    Raises:
      OSError: it cannot be written; names `path` and the free space.
    """
    name = f".incomplete-{uuid.uuid4().hex}"
    incomplete = path.with_name(f"{name}{path.suffix}")
    try:
        yield incomplete
        if not incomplete.exists():  # as of MindSpore's export where the disk is full
            raise OSError(errno.EIO, "could not be written")
        incomplete.chmod(0o644)
        with incomplete.open("rb") as file:
            os.fsync(file.fileno())
        incomplete.replace(path)
    except OSError as cause:
        if cause.filename is not None and name not in str(cause.filename):
            raise
        why = f"{cause.strerror or cause} ({_num_bytes_free(path)} bytes free there)"
        raise OSError(cause.errno or errno.EIO, why, str(path)) from cause
    finally:
        for left in path.parent.glob(f"{name}*"):
            left.unlink(missing_ok=True)


def _num_bytes_free(path: Path) -> int:
    return shutil.disk_usage(path.parent).free if path.parent.is_dir() else 0
