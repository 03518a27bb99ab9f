"""Reads the header of a JPEG without a decoder (ITU-T T.81, annex B).

Also reads the orientation in Exif (CIPA DC-008, sec. 4.6.4 A).
"""

from dataclasses import dataclass

from mindrecord_io.shards import jpeg_regions

__all__ = ["JpegHeader", "read"]

_EOI = b"\xff\xd9"
_BASELINE = 0xC0
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_APP1 = 0xE1
_EXIF = b"Exif\0\0"
_ORIENTATION = 0x0112
_NUM_IN_PLAIN = (1, 3)  # components: grey, or three colours


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """The header of one JPEG.

    Attributes:
      is_plain: 8-bit baseline, in one scan, grey or of three colours: what any reader
        of JPEGs understands.
      has_fine_colours: three colours, each at every pixel (4:4:4).
      orientation: by Exif, 1 to 8; 1 without Exif, 0 where Exif cannot be read.
      end: bytes up to the end of the picture, where it is plain; 0 if it has none.
    """

    height: int
    width: int
    is_plain: bool
    has_fine_colours: bool
    orientation: int
    end: int


def read(jpeg: bytes) -> JpegHeader | None:
    """Returns the header of a JPEG, None if there is none or it is cut off."""
    orientation, kind, frame = 1, 0, b""
    for marker, begin, end in jpeg_regions.header_segments(jpeg):
        body = jpeg[begin:end]
        if marker in _FRAMES:
            kind, frame = marker, body
        elif marker == _APP1 and body.startswith(_EXIF):
            orientation = _orientation(body[len(_EXIF) :])
        elif marker == jpeg_regions.START_OF_SCAN:
            return _header(jpeg, end, (kind, frame), body, orientation)
    return None


def _header(
    jpeg: bytes,
    scan_at: int,
    frame: tuple[int, bytes],
    scan: bytes,
    orientation: int,
) -> JpegHeader | None:
    kind, body = frame
    if len(body) < 6 or len(body) != 6 + 3 * body[5] or not scan:
        return None
    end_at = jpeg.find(_EOI, scan_at)  # compressed data never has these two bytes
    samplings = body[7::3]  # of each component: horizontal, vertical, 4 bits each
    return JpegHeader(
        height=int.from_bytes(body[1:3], "big"),
        width=int.from_bytes(body[3:5], "big"),
        is_plain=kind == _BASELINE
        and body[0] == 8
        and body[5] in _NUM_IN_PLAIN
        and scan[0] == body[5]
        and bytes(2) not in (body[1:3], body[3:5]),
        has_fine_colours=len(samplings) == 3 and len(set(samplings)) == 1,
        orientation=orientation,
        end=end_at + len(_EOI) if end_at >= 0 else 0,
    )


def _orientation(tiff: bytes) -> int:
    """Returns the orientation in Exif, 1 if it has none, 0 if it cannot be read."""
    if tiff[:4] not in (b"II*\0", b"MM\0*"):
        return 0

    def number(begin: int, num_bytes: int) -> int:
        taken = tiff[begin : begin + num_bytes]
        return int.from_bytes(taken, "little" if tiff.startswith(b"II") else "big")

    directory = number(4, 4)
    num_entries = number(directory, 2)
    if directory + 2 + 12 * num_entries > len(tiff):
        return 0
    for at in range(directory + 2, directory + 2 + 12 * num_entries, 12):
        if number(at, 2) == _ORIENTATION:
            orientation = number(at + 8, 2)
            return orientation if 1 <= orientation <= 8 else 0
    return 1
