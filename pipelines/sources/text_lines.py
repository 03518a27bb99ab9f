"""Reads text files of annotations: UTF-8, or UTF-16 with a byte order mark."""

import codecs
import contextlib
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from mindrecord_io.storage import files
from pipelines.sources.annotations import AnnotationError

__all__ = ["first_line", "lines", "normal", "opened"]

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MAX_FIRST_LINE = 4096  # characters; a file of another kind may have no line breaks


@contextlib.contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """Opens a text file, its line ends as they are, for the block.

    Raises:
      AnnotationError: it cannot be read, or is no such text.
    """
    encoding = "utf-8-sig"
    try:
        with files.open_regular(path) as content:
            if content.read(2) in _UTF_16:  # as Excel writes "Unicode text"
                encoding = "utf-16"
        with path.open(encoding=encoding, newline="") as file:
            yield file
    except OSError as cause:
        raise AnnotationError(f"{path}: cannot read: {cause.strerror}") from cause
    except UnicodeDecodeError as cause:
        if encoding == "utf-8-sig":
            files.read_text(path, AnnotationError)  # names the byte of the whole file
        raise AnnotationError(f"{path}: not UTF-16 text: {cause.reason}") from cause


def lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yields the lines of a text file that are not empty, each with its place.

    Raises:
      AnnotationError: as `opened`.
    """
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            if text := line.strip():
                yield text, f"{path} line {number}"


def first_line(path: Path) -> str:
    """Returns the beginning of the first line of a text file, "" if it is no text."""
    try:
        with opened(path) as file:
            line = file.readline(_MAX_FIRST_LINE)
    except AnnotationError:
        return ""
    return "" if "\0" in line else line.strip()


def normal(text: str) -> str:
    """Returns a text as labels and names are compared: stripped, in Unicode's NFC."""
    return unicodedata.normalize("NFC", text.strip())
