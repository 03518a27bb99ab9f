import pytest

from pipelines.decoding import ebml

UNKNOWN = b"\x01" + b"\xff" * 7


def element(identity, body, num_size_bytes=1):
    size = (1 << 7 * num_size_bytes) | len(body)
    return bytes.fromhex(identity) + size.to_bytes(num_size_bytes) + body


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\x80", (0, 1)),
        (b"\x81", (1, 1)),
        (b"\xfe", (126, 1)),
        (b"\xff", (None, 1)),
        (b"\x40\x7f", (127, 2)),
        (b"\x7f\xff", (None, 2)),
        (b"\x10\x20\x30\x40", (0x203040, 4)),
        (b"\x01" + b"\x00" * 6 + b"\x05", (5, 8)),
        (UNKNOWN, (None, 8)),
    ],
)
def test_a_number_of_variable_length_is_read(content, expected):
    assert ebml.read_number(content, 0) == expected


def test_no_number_begins_with_a_zero_byte():
    with pytest.raises(ebml.EbmlError, match="no number begins like byte 1"):
        ebml.read_number(b"\x81\x00", 1)


def test_a_number_behind_the_end_of_the_file_is_missing():
    with pytest.raises(ebml.EbmlEndError, match="the file ends inside an element"):
        ebml.read_number(b"\x81", 1)


def test_elements_come_with_id_and_place_of_their_bodies():
    content = element("e7", b"\x05") + element("1549a966", b"abc", num_size_bytes=2)

    assert list(ebml.elements(content, 0, len(content))) == [
        (0xE7, 0, 2, 3, False),
        (0x1549A966, 3, 9, 12, False),
    ]


def test_an_element_may_end_beyond_the_range_that_is_read():
    content = element("e7", b"12345")
    assert [e.end for e in ebml.elements(content, 0, 4)] == [7]


def test_an_open_segment_goes_on_to_the_end_and_an_open_cluster_has_no_body():
    cluster = bytes.fromhex("1f43b675") + UNKNOWN
    segment = bytes.fromhex("18538067") + UNKNOWN
    content = segment + cluster + element("e7", b"\0")

    (outer,) = ebml.elements(content, 0, len(content))
    inner = list(ebml.elements(content, outer.begin, outer.end))

    assert outer == (ebml.SEGMENT, 0, 12, len(content), True)
    assert inner == [(ebml.CLUSTER, 12, 24, 24, True), (0xE7, 24, 26, 27, False)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x00\x81", "no element begins like byte 0"),
        (b"\x08\x81", "no element begins like byte 0"),
        (b"\xe7\x00", "no size begins like byte 1"),
        (b"\xe7", "the file ends inside an element"),
        (b"\xe7\xff\0", "element E7 at byte 0 has no end"),
    ],
)
def test_what_is_no_element_is_refused(content, message):
    with pytest.raises(ebml.EbmlError, match=message):
        list(ebml.elements(content, 0, len(content)))


def test_an_unsigned_number_has_at_most_eight_bytes():
    assert ebml.read_unsigned(b"\0\x01\x02", 1, 3) == 0x0102
    with pytest.raises(ebml.EbmlError, match="the number at byte 1 has 9 bytes"):
        ebml.read_unsigned(bytes(10), 1, 10)
