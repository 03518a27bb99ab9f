import pytest

from pipelines.decoding import matroska

EBML = bytes.fromhex("1a45dfa380")
SEGMENT = bytes.fromhex("18538067")
CLUSTER = bytes.fromhex("1f43b675")
UNKNOWN = b"\x01" + b"\xff" * 7


def element(identity, body):
    """An EBML element; its size takes two bytes."""
    return bytes.fromhex(identity) + (0x4000 | len(body)).to_bytes(2) + body


def track(*, kind=1, number=1, codec=b"V_VP9", video=b"", more=b""):
    return element(
        "ae",
        element("d7", bytes([number]))
        + element("83", bytes([kind]))
        + element("86", codec)
        + element("e0", element("b0", b"\x40") + element("ba", b"\x30") + video)
        + more,
    )


def block(time, frame=b"frame", *, number=1, flags=0x80):
    return element(
        "a3", bytes([0x80 | number]) + time.to_bytes(2) + bytes([flags]) + frame
    )


def cluster(*blocks, time=0):
    return element("1f43b675", element("e7", time.to_bytes(2)) + b"".join(blocks))


INFO = element("1549a966", element("2ad7b1", (1_000_000).to_bytes(3)))
TRACKS = element("1654ae6b", track())
TWO_CLUSTERS = cluster(block(0), block(83)) + cluster(block(0), block(84), time=166)


def file_of(*parts):
    return EBML + element("18538067", b"".join(parts))


def test_the_blocks_and_their_times_are_found():
    content = file_of(INFO, TRACKS, TWO_CLUSTERS)

    structure = matroska.read(content)

    assert [content[a:b] for a, b in structure.blocks] == [b"frame"] * 4
    assert structure.times_seconds == pytest.approx([0, 0.083, 0.166, 0.25])
    assert structure.codec == "V_VP9"
    assert (structure.num_files, structure.problem) == (1, "")
    assert structure.is_ordinary
    assert not structure.is_cut_off
    assert not structure.has_other_tracks
    assert not structure.is_open_ended


def test_timestamps_and_duration_are_in_the_units_of_the_file():
    scale = element("2ad7b1", (2_000_000).to_bytes(4))
    duration = element("4489", bytes.fromhex("4089000000000000"))  # 800.0
    info = element("1549a966", duration + scale)

    structure = matroska.read(file_of(info, TRACKS, cluster(block(50))))

    assert structure.duration_seconds == pytest.approx(1.6)
    assert structure.times_seconds == pytest.approx([0.1])


@pytest.mark.parametrize("duration", ["7ff8000000000000", "bff0000000000000", "00"])
def test_a_duration_that_cannot_be_is_none(duration):
    info = element("1549a966", element("4489", bytes.fromhex(duration)))
    assert matroska.read(file_of(info, TRACKS)).duration_seconds == 0.0


@pytest.mark.parametrize(
    ("nanoseconds", "fps"),
    [
        (83_333_333, 12.0),
        (33_366_667, 30000 / 1001),
        (40_000_000, 25.0),
        (1, 1e9),
        (0, 0.0),
        (2 << 40, 0.0),
    ],
)
def test_the_rate_is_what_a_frames_duration_means(nanoseconds, fps):
    more = element("23e383", nanoseconds.to_bytes(8))

    structure = matroska.read(file_of(INFO, element("1654ae6b", track(more=more))))

    assert structure.fps == fps


def test_no_duration_of_a_frame_is_no_rate():
    assert matroska.read(file_of(INFO, TRACKS)).fps == 0.0


def test_blocks_in_groups_count_and_those_of_other_tracks_do_not():
    sound = track(kind=2, number=2, codec=b"A_OPUS")
    group = element("a0", element("a1", block(40)[3:]))
    content = file_of(
        element("1654ae6b", sound + track()), cluster(block(0, number=2), group)
    )

    structure = matroska.read(content)

    assert len(structure.blocks) == 1
    assert structure.times_seconds == [pytest.approx(0.04)]
    assert structure.has_other_tracks


def test_files_written_live_have_no_sizes():
    live = CLUSTER + UNKNOWN + element("e7", b"\0") + block(0) + block(83)
    content = EBML + SEGMENT + UNKNOWN + INFO + TRACKS + live + live

    structure = matroska.read(content)

    assert len(structure.blocks) == 4
    assert structure.is_open_ended
    assert not structure.is_cut_off


@pytest.mark.parametrize("num_bytes", [1, 4, 9, 30])
def test_a_file_that_is_cut_off_says_so(num_bytes):
    content = file_of(INFO, TRACKS, TWO_CLUSTERS)

    structure = matroska.read(content[:-num_bytes])

    assert structure.is_cut_off
    assert structure.problem.startswith(
        f"the file has {len(content) - num_bytes} bytes, its parts reach to "
    )


def test_two_files_one_behind_the_other_are_counted():
    whole = file_of(INFO, TRACKS, TWO_CLUSTERS)

    structure = matroska.read(whole + whole)

    assert structure.num_files == 2
    assert len(structure.blocks) == 4


def test_two_files_written_live_are_counted():
    live = EBML + SEGMENT + UNKNOWN + INFO + TRACKS + TWO_CLUSTERS
    assert matroska.read(live * 2).num_files == 2


COLOUR_709 = element("55b0", element("55b1", b"\1"))
COLOUR_601 = element("55b0", element("55b1", b"\6") + element("55b9", b"\1"))
FULL_RANGE = element("55b0", element("55b9", b"\2"))
CROPPED = element("54aa", b"\2")
ROTATED = element("7670", b"")


@pytest.mark.parametrize(
    ("video", "is_ordinary"),
    [
        (b"", True),
        (COLOUR_601, True),
        (element("54b0", b"\x50"), True),
        (COLOUR_709, False),
        (FULL_RANGE, False),
        (CROPPED, False),
        (ROTATED, False),
    ],
)
def test_what_asks_for_more_than_plain_decoding_is_not_ordinary(video, is_ordinary):
    content = file_of(element("1654ae6b", track(video=video)), TWO_CLUSTERS)
    assert matroska.read(content).is_ordinary is is_ordinary


@pytest.mark.parametrize(
    "tracks",
    [
        element("1654ae6b", track(more=element("6d80", b""))),
        TRACKS + cluster(block(0, flags=0x82)),
    ],
    ids=["encodings", "lacing"],
)
def test_encodings_and_lacing_are_not_ordinary(tracks):
    assert not matroska.read(file_of(tracks)).is_ordinary


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (file_of(TRACKS, cluster(block(0, number=3))), "is of no track: 3"),
        (file_of(TRACKS, cluster(b"\0\0\0\0\0")), "no element begins like byte"),
        (file_of(TRACKS, cluster(element("a3", b"\x81\0"))), "is cut off"),
        (file_of(TRACKS) + element("ab", b""), "element AB at byte"),
        (file_of(element("1654ae6b", element("ae", b""))), "no type or no number"),
        (
            file_of(TRACKS, cluster(block(83), block(0))),
            "a frame at 0.000 s follows one at 0.083 s",
        ),
        (
            file_of(element("1654ae6b", b"\xae\x41\x00" + b"\xec\x40\x00")),
            "ends beyond its parent",
        ),
        (EBML + element("18538067", b"\x15\x49\xa9\x66" + UNKNOWN), "has no end"),
        (
            file_of(element("1549a966", element("2ad7b1", b"\xff" * 200))),
            "the number at byte 22 has 200 bytes",
        ),
        (
            file_of(TRACKS, element("1f43b675", element("e7", b"\1" * 9)), INFO),
            "has 9 bytes",
        ),
    ],
)
def test_the_first_thing_wrong_is_told(content, problem):
    assert problem in matroska.read(content).problem


def test_files_made_by_ffmpeg_have_no_problem(tmp_path, tools):
    tools.write_grey_clip(tmp_path / "1.webm", [40, 80, 120])

    structure = matroska.read((tmp_path / "1.webm").read_bytes())

    assert (len(structure.blocks), structure.problem) == (3, "")
    assert structure.duration_seconds == pytest.approx(0.25)


@pytest.mark.parametrize("content", [b"", b"\x1a\x45\xdf\xa3", EBML, b"\xff" * 40])
def test_what_is_hardly_a_file_has_no_blocks(content):
    assert matroska.read(content).blocks == []


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        (element("5034", element("4254", b"\x03")), False),  # bytes left out
        (element("5035", element("47e1", b"\x05")), True),
    ],
)
def test_frames_are_encrypted_where_an_encoding_says_so(encoding, expected):
    encodings = element("6d80", element("6240", encoding))
    tracks = element("1654ae6b", track(more=encodings))

    structure = matroska.read(file_of(INFO, tracks, TWO_CLUSTERS))

    assert structure.is_encrypted is expected
    assert not structure.is_ordinary


@pytest.mark.parametrize("garbage", [b"\x00", b"\xa3"])
def test_the_duration_is_known_where_the_file_ends_in_an_element(garbage):
    duration = element("4489", bytes.fromhex("4089000000000000"))  # 800.0
    info = element("1549a966", element("2ad7b1", (1_000_000).to_bytes(3)) + duration)
    whole = file_of(info, TRACKS, TWO_CLUSTERS)

    structure = matroska.read(whole[: whole.index(b"frame") + 5] + garbage)

    assert structure.duration_seconds == pytest.approx(0.8)
    assert not structure.is_read_to_its_end
