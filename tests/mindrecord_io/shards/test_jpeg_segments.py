import pytest

from mindrecord_io.shards import jpeg_regions

SOI, SOS = b"\xff\xd8", b"\xff\xda\0\x03s"
COMMENT = b"\xff\xfe\0\x04ab"


@pytest.mark.parametrize(
    ("jpeg", "expected"),
    [
        (SOI + SOS, [(0xDA, 6, 7)]),
        (SOI + COMMENT + SOS, [(0xFE, 6, 8), (0xDA, 12, 13)]),
        (SOI + SOS + COMMENT, [(0xDA, 6, 7)]),
        (SOI + b"\xff\xff" + COMMENT + SOS, [(0xFE, 8, 10), (0xDA, 14, 15)]),
        (SOI + b"\xff\xfe\0\x09ab", [(0xFE, 6, 13)]),
        (SOI + COMMENT, [(0xFE, 6, 8)]),
        (SOI + b"\xff\xd0" + COMMENT + SOS, []),
        (SOI + COMMENT + b"\xff\x01" + SOS, [(0xFE, 6, 8)]),
        (SOI + COMMENT + b"\0" + SOS, [(0xFE, 6, 8)]),
        (COMMENT + SOS, []),
        (SOI, []),
        (b"", []),
    ],
    ids=[
        *("scan", "comment", "behind_the_scan", "filling", "beyond_the_end", "cut_off"),
        *("restart_marker", "temporary_marker", "no_marker", "no_start", "start"),
        "nothing",
    ],
)
def test_segments_are_told_up_to_the_scan(jpeg, expected):
    assert list(jpeg_regions.header_segments(jpeg)) == expected
