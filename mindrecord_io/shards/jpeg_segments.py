"""The segments before a JPEG's compressed data (ITU-T T.81, sec. B.1.1)."""

from collections.abc import Iterator

__all__ = ["START_OF_SCAN", "header_segments"]

START_OF_SCAN = 0xDA

_START_OF_IMAGE = b"\xff\xd8"
_FILLING = 0xFF
_WITHOUT_LENGTH = frozenset({0x00, 0x01, *range(0xD0, 0xDA)})


def header_segments(jpeg: bytes) -> Iterator[tuple[int, int, int]]:
    """Yields each segment's marker, and where its body begins and ends.

    The last is START_OF_SCAN; without it the header is cut off or is none. A body's end
    may lie beyond the file's.
    """
    if not jpeg.startswith(_START_OF_IMAGE):
        return
    position = len(_START_OF_IMAGE)
    while position + 4 <= len(jpeg) and jpeg[position] == 0xFF:
        marker = jpeg[position + 1]
        if marker == _FILLING:
            position += 1
            continue
        if marker in _WITHOUT_LENGTH:  # none belongs into a header: what follows is
            return  # read in two ways, and may say two sizes
        end = position + 2 + int.from_bytes(jpeg[position + 2 : position + 4], "big")
        yield marker, position + 4, end
        if marker == START_OF_SCAN:
            return
        position = end
