"""Files that appear whole or not at all."""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

__all__ = ["replaced"]


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yields a new path beside `path`; what the block writes there takes its place.

    The new name ends as the old one does, since MindSpore chooses a format by it and
    deletes a file of the same name before it writes. If the block fails, the old file
    stays and the new one is removed.
    """
    incomplete = path.with_name(f".incomplete-{uuid.uuid4().hex}{path.suffix}")
    try:
        yield incomplete
        incomplete.chmod(0o644)
        with incomplete.open("rb") as file:
            os.fsync(file.fileno())
        incomplete.replace(path)
    finally:
        incomplete.unlink(missing_ok=True)
