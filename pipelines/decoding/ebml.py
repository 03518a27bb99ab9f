"""Reads the elements that Matroska and WebM files are made of (EBML, RFC 8794).

An element is an id, the number of bytes of its body, and the body, which may consist of
elements again.
"""

from collections.abc import Iterator
from typing import NamedTuple

__all__ = [
    "CLUSTER",
    "EBML",
    "SEGMENT",
    "VOID",
    "EbmlEndError",
    "EbmlError",
    "Element",
    "elements",
    "read_number",
    "read_unsigned",
]

EBML, SEGMENT, CLUSTER, VOID = 0x1A45DFA3, 0x18538067, 0x1F43B675, 0xEC
"""Ids of RFC 8794 and RFC 9559, section 5.1."""

_MAX_ID_NUM_BYTES = 4
_MAX_NUMBER_NUM_BYTES = 8


class EbmlError(ValueError):
    """Bytes are not the element or number that should be there."""


class EbmlEndError(EbmlError):
    """A file ends inside an element."""


class Element(NamedTuple):
    """One element.

    Attributes:
      start: of its id, in the file.
      begin, end: of its body; the end may lie beyond the parent's.
      is_open: the element does not state its size.
    """

    identity: int
    start: int
    begin: int
    end: int
    is_open: bool


def elements(content: bytes, begin: int, end: int) -> Iterator[Element]:
    """Yields the elements in a range of a file, but not those inside them.

    A segment that does not state its size goes on to `end`. A cluster that does not is
    yielded without a body, and what is in it comes next, as if beside it.

    Raises:
      EbmlError: there is no element where one should be, or an end is missing.
    """
    at = begin
    while at < end:
        start, num_bytes = at, 9 - content[at].bit_length()
        if num_bytes > _MAX_ID_NUM_BYTES:
            raise EbmlError(f"no element begins like byte {start}")
        identity = int.from_bytes(content[at : at + num_bytes], "big")
        size, at = read_number(content, at + num_bytes, "size")
        if size is None and identity not in (SEGMENT, CLUSTER):
            raise EbmlError(f"element {identity:X} at byte {start} has no end")
        stop = end if size is None and identity == SEGMENT else at + (size or 0)
        yield Element(identity, start, at, stop, size is None)
        at = stop


def read_number(
    content: bytes, at: int, what: str = "number"
) -> tuple[int | None, int]:
    """Reads a number of variable length (RFC 8794, section 4).

    Returns: the number, None if all of its bits are ones; and where it ends, which may
    be beyond the file.
    """
    if at >= len(content):
        raise EbmlEndError("the file ends inside an element")
    num_bytes = 9 - content[at].bit_length()
    if num_bytes > _MAX_NUMBER_NUM_BYTES:
        raise EbmlError(f"no {what} begins like byte {at}")
    mask = (1 << (7 * num_bytes)) - 1
    value = int.from_bytes(content[at : at + num_bytes], "big") & mask
    return (None if value == mask else value), at + num_bytes


def read_unsigned(content: bytes, begin: int, end: int) -> int:
    """Reads an element's body that is an unsigned number of at most 8 bytes."""
    if end - begin > _MAX_NUMBER_NUM_BYTES:
        raise EbmlError(f"the number at byte {begin} has {end - begin} bytes")
    return int.from_bytes(content[begin:end], "big")
