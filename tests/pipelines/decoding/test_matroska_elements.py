import pytest

from pipelines.decoding import matroska_elements

UNKNOWN = b"\x01" + b"\xff" * 7


def element(identity, *parts):
    """An EBML element; its size takes two bytes."""
    body = b"".join(parts)
    return bytes.fromhex(identity) + (0x4000 | len(body)).to_bytes(2) + body


def head(doc_type=b"webm", more=b""):
    return element("1a45dfa3", element("4282", doc_type), more)


def tags(uid=b"\x07", name=b"ENCODER"):
    simple = element("67c8", element("45a3", name), element("4487", b"Lavf"))
    return element(
        "1254c367", element("7373", element("63c0", element("63c5", uid)), simple)
    )


def table(identity, position):
    place = element("53ac", position.to_bytes(4))
    return element(
        "114d9b74", element("4dbb", element("53ab", bytes.fromhex(identity)), place)
    )


SIZES = element("e0", element("b0", b"\x40"), element("ba", b"\x30"))
INFO = element("1549a966", element("2ad7b1", b"\x0f\x42\x40"), element("4d80", b"Lavf"))
TRACKS = element(
    "1654ae6b", element("ae", element("d7", b"\x01"), element("73c5", b"\x07"), SIZES)
)
BLOCK = element("a3", b"\x81\0\0\x80frame")
CLUSTER = element(
    "1f43b675", element("e7", b"\0"), BLOCK, element("a0", element("a1", b"\x81"))
)
CUES = element(
    "1c53bb6b",
    element("bb", element("b3", b"\0"), element("b7", element("f7", b"\x01"))),
)
ALL = (INFO, TRACKS, tags(), CLUSTER, CUES)


def file_of(*parts, first=head()):  # noqa: B008
    return first + element("18538067", *parts)


@pytest.mark.parametrize(
    "content",
    [
        file_of(*ALL),
        file_of(*ALL, first=head(b"matroska\0\0")),
        file_of(element("ec", b"\0\0"), *ALL, element("bf", b"\0" * 4)),
        file_of(INFO, TRACKS, tags(uid=b"\0"), CLUSTER, CLUSTER),
        file_of(INFO, TRACKS, tags(uid=b"\0\x07"), CLUSTER),
        file_of(table("1654ae6b", 26 + 22), INFO, TRACKS, CLUSTER),
        head() + bytes.fromhex("18538067") + UNKNOWN + INFO + TRACKS + CLUSTER,
        head()
        + bytes.fromhex("18538067")
        + UNKNOWN
        + INFO
        + TRACKS
        + (bytes.fromhex("1f43b675") + UNKNOWN + element("e7", b"\0") + BLOCK) * 2,
        b"",
    ],
)
def test_ordinary_files_have_no_oddity(content):
    assert matroska_elements.oddity(content) == ""


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            file_of(*ALL, first=head(b"wejm")),
            "the document's type at byte 10 is b'wejm'",
        ),
        (file_of(INFO, INFO), "element 1549A966 at byte 42 is not to be there"),
        (file_of(TRACKS, tags(uid=b"\x08")), "tags are of a track that there is not"),
        (file_of(TRACKS, tags(name=b"")), "has no name"),
        (
            file_of(table("1654ae6b", 2), TRACKS),
            "the table of the segment's parts is wrong",
        ),
        (
            file_of(table("1549a966", 18), TRACKS),
            "the table of the segment's parts is wrong",
        ),
        (
            file_of(element("114d9b74", element("4dbb"))),
            "element 4DBB at byte 30 lacks a part",
        ),
        (file_of(element("4d80", b"x")), "element 4D80 at byte 20 is not known there"),
        (
            file_of(element("1f43b675", element("e7", bytes(9)))),
            "the number at byte 29 has 9 bytes",
        ),
        (head(more=element("42f3", b"\x09")) + b"", "numbers of 09 bytes"),
        (file_of(INFO) + b"\0", "no element begins like byte 42"),
        (file_of(INFO) + b"\0\0\0\0\0\0", "no element begins like byte 42"),
        (file_of(INFO)[:-1], "element 18538067 at byte 14 is not to be there"),
        (file_of(INFO) + b"\xec\x00\0\0", "no size begins like byte 43"),
        (
            head() + bytes.fromhex("1549a966") + UNKNOWN,
            "element 1549A966 at byte 14 has no end",
        ),
        (
            file_of(element("1254c367", element("7373", element("67c8")))),
            "lacks a part",
        ),
    ],
)
def test_the_first_oddity_is_told(content, expected):
    assert expected in matroska_elements.oddity(content)


@pytest.mark.parametrize("codec", ["libvpx-vp9", "libvpx"])
@pytest.mark.parametrize("suffix", ["webm", "mkv"])
def test_files_made_by_ffmpeg_are_ordinary(tmp_path, tools, codec, suffix):
    path = tmp_path / f"1.{suffix}"
    sources = ("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=12:duration=0.5")
    sound = ("-f", "lavfi", "-i", "sine=duration=0.5")
    titles = ("-metadata", "title=A clip", "-metadata:s:v", "language=eng")
    tools.run_ffmpeg(*sources, *sound, *titles, "-c:v", codec, path)

    assert matroska_elements.oddity(path.read_bytes()) == ""


@pytest.mark.parametrize("live", ["1", "0"])
def test_files_written_live_by_ffmpeg_are_ordinary(tmp_path, tools, live):
    path = tmp_path / "1.webm"
    source = ("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=12:duration=0.5")
    tools.run_ffmpeg(*source, "-c:v", "libvpx-vp9", "-live", live, path)

    assert matroska_elements.oddity(path.read_bytes()) == ""


def test_no_change_of_a_byte_is_more_than_an_oddity(tmp_path, tools):
    path = tmp_path / "1.webm"
    tools.write_grey_clip(path, [40, 80, 120])
    content = path.read_bytes()

    for at in range(len(content)):
        for value in (0, 0x7F, 0xFF):
            changed = content[:at] + bytes([value]) + content[at + 1 :]
            assert isinstance(matroska_elements.oddity(changed), str)
