r"""A file of checksums as sha256sum writes it, and which clip each of them is of.

    0123...cdef  78687.webm                  text mode
    0123...cdef *clips/78687.webm            binary mode, a name with folders
    \0123...cdef  a\nname.webm                a name with an escaped line break

Names may have more or fewer folders in front than the clips have: the shorter one must
be the other's end.
"""

import logging
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePath

from mindrecord_io import records

__all__ = ["ChecksumError", "with_checksums"]

logger = logging.getLogger(__name__)

_LINE = re.compile(r"(?P<escape>\\?)(?P<sha256>[0-9a-fA-F]{64}) [ *](?P<name>.+)")
_ESCAPES = {"\\\\": "\\", "\\n": "\n", "\\r": "\r"}
_ESCAPED = re.compile(r"\\[\\nr]")


class ChecksumError(ValueError):
    """A file of checksums cannot be used; the message says which line and why."""


class _Checksums:
    """The lines of one file by the last part of their names."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: dict[str, list[tuple[tuple[str, ...], str, int]]] = {}
        first_lines: dict[tuple[str, ...], tuple[str, int]] = {}
        for number, line in enumerate(_read_lines(path), 1):
            if not line.strip() or line.startswith("#"):  # as sha256sum itself
                continue
            parts, sha256 = self._parsed(line, number)
            known, first = first_lines.setdefault(parts, (sha256, number))
            if known != sha256:
                raise ChecksumError(
                    f"{path}: lines {first} and {number} give two checksums of "
                    f"{'/'.join(parts)}: {known} and {sha256}"
                )
            if first == number:
                self._lines.setdefault(parts[-1], []).append((parts, sha256, number))
        if not first_lines:
            raise ChecksumError(f"{path}: lists no checksums")

    def of(self, uri: str) -> str:
        """Returns the checksum of a clip's file, "" if none is listed."""
        own = _parts(uri)
        fitting = [
            (parts, sha256, number)
            for parts, sha256, number in self._lines.get(own[-1], ())
            if own[-len(parts) :] == parts or parts[-len(own) :] == own
        ]
        if len({sha256 for _, sha256, _ in fitting}) > 1:
            longest = max(len(parts) for parts, _, _ in fitting)
            fitting = [entry for entry in fitting if len(entry[0]) == longest]
        if len({sha256 for _, sha256, _ in fitting}) > 1:
            numbers = " and ".join(str(number) for _, _, number in fitting[:2])
            raise ChecksumError(f"{self._path}: lines {numbers} may both mean {uri}")
        return fitting[0][1] if fitting else ""

    def _parsed(self, line: str, number: int) -> tuple[tuple[str, ...], str]:
        match = _LINE.fullmatch(line)
        if not match:
            raise ChecksumError(
                f"{self._path}: line {number} is not 64 hexadecimal digits, two "
                f"spaces (or a space and '*') and a name: {line[:80]!r}"
            )
        name = match["name"]
        if match["escape"]:
            name = _ESCAPED.sub(lambda found: _ESCAPES[found[0]], name)
        parts = _parts(name)
        if not parts:
            raise ChecksumError(f"{self._path}: line {number} names no file: {name!r}")
        return parts, match["sha256"].lower()


def with_checksums(
    refs: Iterable[records.ClipRef], path: Path
) -> tuple[records.ClipRef, ...]:
    """Returns the references, each with the checksum that a file lists of it.

    Clips of which none is listed are logged and go unchecked.

    Raises:
      ChecksumError: the file is unreadable, a line is malformed, two lines contradict
        each other, or not one is of any of the clips.
    """
    listed = _Checksums(path)
    checked = tuple(replace(ref, expected_sha256=listed.of(ref.uri)) for ref in refs)
    unlisted = [ref for ref in checked if not ref.expected_sha256]
    if len(unlisted) == len(checked):
        raise ChecksumError(f"{path}: no line is of any of the {len(checked)} clips")
    if unlisted:
        logger.warning(
            "%s: no checksum of %d of %d clips; the first: %s",
            path,
            len(unlisted),
            len(checked),
            unlisted[0].uri,
        )
    return checked


def _read_lines(path: Path) -> list[str]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as cause:
        raise ChecksumError(f"{path}: cannot read: {cause.strerror}") from cause
    except UnicodeDecodeError as cause:
        raise ChecksumError(
            f"{path}: not UTF-8 text: {cause.reason} at byte {cause.start}"
        ) from cause
    return [line.removesuffix("\r") for line in text.split("\n")]


def _parts(name: str) -> tuple[str, ...]:
    """Returns a path's parts, without what does not tell where it is."""
    return tuple(part for part in PurePath(name).parts if part not in ("/", "."))
