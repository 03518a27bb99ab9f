r"""Reads a file of checksums as sha256sum writes it, and joins it with the clips.

    0123...cdef  78687.webm                  text mode
    0123...cdef *clips/78687.webm            binary mode, a name with folders
    \0123...cdef  a\nname.webm                a name with an escaped line break

A name may have more or fewer leading folders than the clip's path: the shorter of the
two must be the end of the other.
"""

import copy
import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

import pyarrow as pa

from mindrecord_io.shards import sharding
from mindrecord_io.storage import files, spilled_rows, tallies
from pipelines.planning.clip_listing import ClipListing

__all__ = ["ChecksumError", "with_checksums"]

logger = logging.getLogger(__name__)

_LINE = re.compile(r"(?P<escape>\\?)(?P<sha256>[0-9a-fA-F]{64}) [ *](?P<name>.+)")
_ESCAPES = {"\\\\": "\\", "\\n": "\n", "\\r": "\r"}
_ESCAPED = re.compile(r"\\[\\nr]")
_LINES = pa.schema(
    [("number", pa.int64()), ("name", pa.string()), ("sha256", pa.string())]
)
_WANTED = pa.schema(
    [("position", pa.int64()), ("partition", pa.int32()), ("uri", pa.string())]
)
_EXPECTED = pa.schema([("position", pa.int64()), ("sha256", pa.string())])


class ChecksumError(ValueError):
    """A file of checksums cannot be used; the message says which line and why."""


class _Fitting:
    """Candidate lines for one file; the path that shares most folders wins.

    Attributes:
      sha256, number: of the first line with most folders.
      rival: number of the first line with as many and another SHA-256, None if none.
    """

    def __init__(self) -> None:
        self._length = 0
        self.sha256 = ""
        self.number = 0
        self.rival: int | None = None

    def add(self, length: int, sha256: str, number: int) -> None:
        """Adds a line whose name has `length` parts."""
        if length > self._length:
            self._length, self.sha256, self.number = length, sha256, number
            self.rival = None
        elif length == self._length and sha256 != self.sha256 and self.rival is None:
            self.rival = number


class _Checksums:
    """The lines of a file of checksums, looked up by the ends of their names."""

    def __init__(self, path: Path, lines: Iterable[tuple[int, str, str]]) -> None:
        """Indexes lines, each given as number, name and checksum."""
        self._path = path
        self._exact: dict[tuple[str, ...], tuple[str, int]] = {}
        self._longer: dict[tuple[str, ...], _Fitting] = {}  # by ends of their names
        for number, name, sha256 in lines:
            parts = tuple(name.split("/"))
            first_sha256, first = self._exact.setdefault(parts, (sha256, number))
            if first_sha256 != sha256:
                raise ChecksumError(
                    f"{path}: lines {first} and {number} give two checksums of "
                    f"{name}: {first_sha256} and {sha256}"
                )
            if first == number:
                for begin in range(1, len(parts)):
                    fitting = self._longer.setdefault(parts[begin:], _Fitting())
                    fitting.add(len(parts), sha256, number)

    def of(self, uri: str) -> str:
        """Returns the checksum of a clip's file, "" if none is listed."""
        own = _parts(uri)
        fitting = copy.copy(self._longer.get(own, _Fitting()))
        for begin in range(len(own)):
            if line := self._exact.get(own[begin:]):
                fitting.add(len(own) - begin, *line)
        if fitting.rival is not None:
            raise ChecksumError(
                f"{self._path}: lines {fitting.number} and {fitting.rival} may both "
                f"mean {uri}"
            )
        return fitting.sha256


def with_checksums(listing: ClipListing, path: Path) -> ClipListing:
    """Returns the listing, its clips with the checksums that a file lists for them.

    Clips without a listed checksum are logged, not checked. Lines and clips are joined
    by file name, a partition of the names at a time.

    Raises:
      ChecksumError: the file is unreadable, a line is malformed, two lines contradict
        each other, or not one is of any of the clips.
    """
    lines = _spilled_lines(path)
    wanted = spilled_rows.SpilledRows(_WANTED, lines.num_partitions)
    for partition in range(listing.num_partitions):
        for clip in listing.references(partition):
            place = sharding.partition_of(_parts(clip.uri)[-1])
            wanted.append((clip.position, partition, clip.uri), place)
    expected = spilled_rows.SpilledRows(_EXPECTED, listing.num_partitions)
    unchecked: tallies.Tally[str] = tallies.Tally()
    for index in range(lines.num_partitions):
        listed = _Checksums(path, lines.rows(index))
        for position, partition, uri in wanted.rows(index):
            sha256 = listed.of(uri)
            expected.append((position, sha256), partition)
            if not sha256:
                unchecked.add(position, uri)
    if len(unchecked) == len(expected):
        raise ChecksumError(f"{path}: no line is of any of the {len(expected)} clips")
    if len(unchecked):
        logger.warning(
            "%s: no checksum of %d of %d clips; the first: %s",
            path,
            len(unchecked),
            len(expected),
            unchecked.first[0],
        )
    return listing.with_checksums(expected)


def _spilled_lines(path: Path) -> spilled_rows.SpilledRows:
    lines = spilled_rows.SpilledRows(_LINES, sharding.NUM_PARTITIONS)
    for number, line in enumerate(_read_lines(path), 1):
        if not line.strip() or line.startswith("#"):  # as sha256sum itself
            continue
        parts, sha256 = _parsed(path, line, number)
        lines.append(
            (number, "/".join(parts), sha256), sharding.partition_of(parts[-1])
        )
    if not len(lines):
        raise ChecksumError(f"{path}: lists no checksums")
    return lines


def _parsed(path: Path, line: str, number: int) -> tuple[tuple[str, ...], str]:
    match = _LINE.fullmatch(line)
    if not match:
        raise ChecksumError(
            f"{path}: line {number} is not 64 hexadecimal digits, two "
            f"spaces (or a space and '*') and a name: {line[:80]!r}"
        )
    name = match["name"]
    if match["escape"]:
        name = _ESCAPED.sub(lambda escape: _ESCAPES[escape[0]], name)
    parts = _parts(name)
    if not parts:
        raise ChecksumError(f"{path}: line {number} names no file: {name!r}")
    return parts, match["sha256"].lower()


def _read_lines(path: Path) -> Iterator[str]:
    try:
        files.check_regular(path)
        with path.open(encoding="utf-8-sig", newline="\n") as file:
            for line in file:
                yield line.removesuffix("\n").removesuffix("\r")
    except OSError as cause:
        raise ChecksumError(f"{path}: cannot read: {cause.strerror}") from cause
    except UnicodeDecodeError:
        files.read_text(path, ChecksumError)  # names the byte of the whole file
        raise


def _parts(name: str) -> tuple[str, ...]:
    """Returns a path's parts without "/" and "."."""
    return tuple(part for part in PurePath(name).parts if part not in ("/", "."))
