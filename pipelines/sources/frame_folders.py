"""Reads clips that are folders of frames: `<clip>/00001.jpg`, `<clip>/img_00001.jpg`.

The last digits of a frame's name are its number; the numbers of a folder begin at 0 or
1 and leave none out. Hidden files are ignored; links to files are followed, links to
folders are not.
"""

import hashlib
import itertools
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mindrecord_io import records
from mindrecord_io.storage import files
from pipelines.quarantine import ClipError

__all__ = ["fingerprint", "holds_frames", "is_frame_folder", "read"]

_SUFFIXES = (".jpg", ".jpeg")
_NUMBERED = re.compile(r"(?P<prefix>.*?)(?P<number>[0-9]+)", re.DOTALL)
_CHUNK_NUM_BYTES = 1 << 16
_NUM_SHOWN_NAMES = 3


@dataclass(frozen=True, slots=True)
class FrameFolder:
    """The files of a clip's frames.

    Attributes:
      names, contents: of each file, by the frames' numbers; the names are printable.
      num_missing: numbers that are left out.
      gaps: these numbers as text; "" if none.
    """

    names: tuple[str, ...]
    contents: tuple[bytes, ...]
    num_missing: int
    gaps: str


def is_frame_folder(entry: "os.DirEntry[str]") -> bool:
    """Returns whether an unopened entry may be a clip's folder of frames."""
    return entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")


def holds_frames(folder: Path | str) -> bool:
    """Returns whether a folder has a file that is named as a frame."""
    try:
        with os.scandir(folder) as entries:
            return any(_is_frame(e.name) and _is_file(e) for e in entries)
    except OSError:
        return False


def fingerprint(folder: Path) -> records.Fingerprint:
    """Returns the sum of the files' sizes, and a digest over their names and contents.

    Ignores hidden files. Entries that are not files contribute only their name.

    Raises:
      OSError: something in it cannot be read.
    """
    digest = _Digest()
    for name, is_file in _entries(folder):
        digest.add(name, _chunks(folder / name) if is_file else None)
    return digest.result()


def read(folder: Path, planned: records.Fingerprint, max_frames: int) -> FrameFolder:
    """Reads the frames of a clip.

    Raises:
      ClipError: the folder cannot be read, is not the planned one, has no frames or
        more than `max_frames`, has other things in it, or its files' names give
        no one order.
    """
    try:
        entries = _entries(folder)
        names = [name for name, is_file in entries if is_file and _is_frame(name)]
        contents = {} if len(names) > max_frames else dict.fromkeys(names, b"")
        digest = _Digest()
        for name, is_file in entries:
            chunks = _chunks(folder / name) if is_file else None
            if name in contents and chunks is not None:
                contents[name] = b"".join(chunks)
                chunks = iter([contents[name]])
            digest.add(name, chunks)
    except OSError as cause:
        where = cause.filename or folder
        detail = f"{files.printable(str(where))}: {cause.strerror}"
        raise ClipError("unreadable", detail) from cause
    if digest.result() != planned:
        detail = f"{folder} changed since the build began ({len(names)} frames)"
        raise ClipError("changed", detail)
    _refuse_others(folder, [name for name, _ in entries], names)
    if len(names) > max_frames:
        detail = f"{len(names)} frames, the limit: {max_frames}"
        raise ClipError("too_long", detail)
    return _ordered(folder, contents)


class _Digest:
    """SHA-256 over a line for each entry: bytes, SHA-256 of them and name."""

    def __init__(self) -> None:
        self._num_bytes = 0
        self._lines = hashlib.sha256(b"folder of frames\0")

    def add(self, name: str, chunks: Iterator[bytes] | None) -> None:
        """Adds a file by name and content, another entry (no chunks) by its name."""
        num_bytes, content = 0, hashlib.sha256()
        for chunk in chunks or ():
            num_bytes += len(chunk)
            content.update(chunk)
        what = "-" if chunks is None else f"{num_bytes} {content.hexdigest()}"
        self._lines.update(f"{what} ".encode() + os.fsencode(name) + b"\0")
        self._num_bytes += num_bytes

    def result(self) -> records.Fingerprint:
        return records.Fingerprint(self._num_bytes, self._lines.hexdigest())


def _entries(folder: Path) -> list[tuple[str, bool]]:
    """Returns name, and whether it is a file, of every entry that is not hidden."""
    with os.scandir(folder) as entries:
        visible = [e for e in entries if not e.name.startswith(".")]
        names = [(entry.name, _is_file(entry)) for entry in visible]
    return sorted(names, key=lambda entry: os.fsencode(entry[0]))


def _is_file(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link in a circle, or into a folder that is closed to us
        return False


def _is_frame(name: str) -> bool:
    return name.lower().endswith(_SUFFIXES) and not name.startswith(".")


def _chunks(path: Path) -> Iterator[bytes]:
    # A file may have become a pipe meanwhile: opening must not wait for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "not a file any more", str(path))
        while chunk := os.read(descriptor, _CHUNK_NUM_BYTES):
            yield chunk
    finally:
        os.close(descriptor)


def _refuse_others(folder: Path, names: Sequence[str], frames: Sequence[str]) -> None:
    """Raises ClipError unless there are frames in a folder, and nothing else."""
    if not names:
        raise ClipError("empty", f"{folder} has no files")
    others = sorted(set(names) - set(frames))
    if not frames:
        detail = (
            f"{folder} has no file named .jpg or .jpeg, but {_describe_names(others)}"
        )
        raise ClipError("no_frames", detail)
    if others:
        detail = (
            f"{folder} has other things among its frames: {_describe_names(others)}"
        )
        raise ClipError("foreign_files", detail)


def _ordered(folder: Path, contents: dict[str, bytes]) -> FrameFolder:
    """Puts frames in the order of their numbers.

    Raises:
      ClipError: a name has no number, two have one, or they differ before it.
    """
    by_number: dict[int, str] = {}
    prefixes: dict[str, str] = {}
    for name in sorted(contents):
        match = _NUMBERED.fullmatch(name.rpartition(".")[0])
        if match is None:
            detail = f"{files.printable(name)} does not end in a number"
            raise ClipError("misnumbered", f"{folder}: {detail}")
        prefixes.setdefault(match["prefix"], name)
        first = by_number.setdefault(int(match["number"]), name)
        if first != name or len(prefixes) > 1:
            pair = sorted({first, name, *prefixes.values()})
            detail = f"{_describe_names(pair)} are not of one sequence"
            raise ClipError("misnumbered", f"{folder}: {detail}")
    numbers = sorted(by_number)
    # Frames begin at 0 or at 1: what is between is missing.
    gaps = [(a + 1, b - 1) for a, b in itertools.pairwise([0, *numbers]) if b - a > 1]
    names = tuple(by_number[number] for number in numbers)
    return FrameFolder(
        names=tuple(map(files.printable, names)),
        contents=tuple(contents[name] for name in names),
        num_missing=sum(end - begin + 1 for begin, end in gaps),
        gaps=_describe_gaps(gaps),
    )


def _describe_gaps(gaps: Sequence[tuple[int, int]]) -> str:
    shown = [
        str(begin) if begin == end else f"{begin} to {end}"
        for begin, end in gaps[:_NUM_SHOWN_NAMES]
    ]
    return ", ".join([*shown, "..."] if len(gaps) > len(shown) else shown)


def _describe_names(names: Sequence[str]) -> str:
    shown = ", ".join(map(files.printable, names[:_NUM_SHOWN_NAMES]))
    rest = len(names) - _NUM_SHOWN_NAMES
    return f"{shown} and {rest} more" if rest > 0 else shown
