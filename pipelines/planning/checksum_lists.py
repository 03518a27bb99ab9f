"""Writes lists of checksums as sha256sum writes them, for `build --checksums`."""

import os
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

from mindrecord_io.storage import files

__all__ = ["write_checksums"]

_BREAKS = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r"})


def write_checksums(folder: Path, path: Path, num_workers: int) -> int:
    """Writes the SHA-256 of every file in a folder, and returns how many there are.

    Names are relative to the folder and in order; hidden files and folders are left
    out. The list appears when it is complete.

    Args:
      folder: of clips, at any depth.
      path: of the list.
      num_workers: files that are read at the same time.

    Raises:
      OSError: a file cannot be read, or the list not be written.
      ValueError: there are no files in the folder.
    """
    names = sorted(_names(folder))
    if not names:
        raise ValueError(f"{folder}: there are no files")
    with futures.ThreadPoolExecutor(num_workers) as executor:
        hashes = executor.map(lambda name: _sha256(folder / name), names)
        lines = [
            _line(name, sha256) for name, sha256 in zip(names, hashes, strict=True)
        ]
    files.replace_file(path, "".join(lines).encode("utf-8", "surrogateescape"))
    return len(names)


def _names(folder: Path) -> Iterator[str]:
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                yield (Path(parent) / name).relative_to(folder).as_posix()


def _sha256(path: Path) -> str:
    return files.fingerprint(path).sha256


def _line(name: str, sha256: str) -> str:
    escaped = name.translate(_BREAKS)
    return f"{chr(92) if escaped != name else ''}{sha256}  {escaped}\n"
