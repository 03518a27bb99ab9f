import cv2
import pytest

from pipelines.decoding import jpeg_headers
from tests.frame_files import jpeg, picture, with_exif

PLAIN = jpeg(picture(0))
FRAME_AT = PLAIN.index(b"\xff\xc0")


def changed(at, value):
    content = bytearray(PLAIN)
    content[at] = value
    return bytes(content)


def test_a_plain_picture_is_told_with_its_size_and_end():
    assert jpeg_headers.read(PLAIN + b"more") == jpeg_headers.JpegHeader(
        height=72,
        width=96,
        is_plain=True,
        has_fine_colours=False,
        orientation=1,
        end=len(PLAIN),
    )


@pytest.mark.parametrize(
    ("content", "is_plain"),
    [
        (jpeg(picture(0)[..., 0]), True),
        (jpeg(picture(0), cv2.IMWRITE_JPEG_RST_INTERVAL, 2), True),
        (jpeg(picture(0), cv2.IMWRITE_JPEG_PROGRESSIVE, 1), False),
        (changed(FRAME_AT + 1, 0xC1), False),  # extended sequential
        (changed(FRAME_AT + 1, 0xC9), False),  # arithmetic
        (changed(FRAME_AT + 4, 12), False),  # bits
        (changed(FRAME_AT + 6, 0), False),  # height 0: told after the scan
        (changed(PLAIN.index(b"\xff\xda") + 4, 1), False),  # one component a scan
    ],
)
def test_what_any_reader_understands_is_told_apart(content, is_plain):
    header = jpeg_headers.read(content)

    assert header is not None
    assert header.is_plain is is_plain


def test_colours_at_every_pixel_are_noticed():
    factor = cv2.IMWRITE_JPEG_SAMPLING_FACTOR
    fine = jpeg(picture(0), factor, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)

    assert jpeg_headers.read(fine).has_fine_colours
    assert not jpeg_headers.read(jpeg(picture(0)[..., 0])).has_fine_colours


def test_filling_before_a_marker_is_skipped():
    filled = PLAIN[:FRAME_AT] + b"\xff\xff" + PLAIN[FRAME_AT:]

    assert jpeg_headers.read(filled).height == 72


def test_a_picture_without_an_end_is_told():
    assert jpeg_headers.read(PLAIN[:-1]).end == 0


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize(("orientation", "found"), [(1, 1), (6, 6), (8, 8), (9, 0)])
def test_the_orientation_is_exifs(order, orientation, found):
    content = with_exif(PLAIN, orientation, order)

    assert jpeg_headers.read(content).orientation == found


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (b"II*\0", b"XX*\0", 0),
        (b"\x12\x01\x03\0", b"\x13\x01\x03\0", 1),  # another field
        (b"\x01\0\x12\x01", b"\x09\0\x12\x01", 0),  # more fields than there are
    ],
)
def test_exif_that_is_silent_or_unclear(old, new, found):
    content = with_exif(PLAIN, 6)
    assert content.count(old) == 1

    assert jpeg_headers.read(content.replace(old, new)).orientation == found


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xd8", PLAIN[: FRAME_AT + 9], PLAIN[1:], changed(FRAME_AT + 9, 4)],
)
def test_what_is_no_header_is_none(content):
    assert jpeg_headers.read(content) is None


def test_every_beginning_of_a_picture_is_survived():
    for size in range(0, 700):
        jpeg_headers.read(with_exif(PLAIN, 6)[:size])


@pytest.mark.parametrize("marker", [0x01, 0xD0, 0xD7, 0xD8, 0xD9])
def test_what_a_decoder_would_not_skip_is_not_skipped(marker):
    # A decoder takes the length for filling, and reads on behind it.
    skipped = bytes([0xFF, marker]) + b"\xff\xff" + bytes(0xFFFF - 2)

    assert jpeg_headers.read(PLAIN[:2] + skipped + PLAIN[2:]) is None
