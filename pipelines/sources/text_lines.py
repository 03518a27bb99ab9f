"""Reads text files of annotations: UTF-8, UTF-16 or UTF-32."""

import codecs
import contextlib
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from mindrecord_io.storage import files
from pipelines.sources.annotations import AnnotationError

__all__ = ["first_line", "lines", "normal", "opened"]

_MAX_BLANK_LINES = 100  # before the first that is not
_MAX_FIRST_LINE = 4096  # characters; a file of another kind may have no line breaks
_MAX_LINE = 8192  # characters: more than a path and a label have


@contextlib.contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """Opens a text file, its line ends as they are, for the block.

    Raises:
      AnnotationError: it cannot be read, or is no such text.
    """
    encoding = "utf-8-sig"
    try:
        with files.open_regular(path) as content:
            encoding = _encoding(content.read(4))
        with path.open(encoding=encoding, newline="") as file:
            yield file
    except OSError as cause:
        raise AnnotationError(f"{path}: cannot read: {cause.strerror}") from cause
    except UnicodeDecodeError as cause:
        if encoding == "utf-8-sig":
            files.read_text(path, AnnotationError)  # names the byte of the whole file
        raise AnnotationError(
            f"{path}: not {encoding.upper()} text: {cause.reason}"
        ) from cause


def _encoding(begin: bytes) -> str:
    """Returns the encoding of a text by its first bytes."""
    if begin in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE):
        return "utf-32"
    if begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"  # as Excel writes "Unicode text"
    # Without a mark: lists begin with letters, digits or punctuation of ASCII.
    in_ascii = {b"\0x\0x": "utf-16-be", b"x\0x\0": "utf-16-le"}
    shape = bytes(0 if byte == 0 else ord("x") for byte in begin)
    return in_ascii.get(shape, "utf-8-sig")


def lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yields the lines of a text file that are not empty, each with its place.

    Raises:
      AnnotationError: as `opened`.
    """
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            if len(line) > _MAX_LINE:
                raise AnnotationError(
                    f"{path} line {number}: has {len(line)} characters, at most "
                    f"{_MAX_LINE}"
                )
            if text := line.strip():
                yield text, f"{path} line {number}"


def first_line(path: Path) -> str:
    """Returns the beginning of the first line of a text file that is not blank.

    It is "" if the file is no text.
    """
    line = ""
    try:
        with opened(path) as file:
            for _ in range(_MAX_BLANK_LINES):
                line = file.readline(_MAX_FIRST_LINE)
                if line.strip() or not line:
                    break
    except AnnotationError:
        return ""
    return "" if "\0" in line else line.strip()


def normal(text: str) -> str:
    """Returns a text as labels and names are compared: stripped, in Unicode's NFC."""
    return unicodedata.normalize("NFC", text.strip())
