import pytest

from pipelines.decoding import matroska, vpx_headers

KEY_FRAME = (
    "10 00 0 0 1 0"  # marker, profile 0, new frame, key frame, shown, not resilient
    "01001001 10000011 01000010"  # sync code
    "{space:03b} {range}"
    "{width:016b} {height:016b} 0"  # less one; no other size to render
    "00 00"  # contexts
    "000000 000 0"  # loop filter
    "00000000 0 0 0"  # quantization
    "0 0"  # no segmentation, one row of tiles
    "{compressed:016b}"
)


def bits(text, *, fill="0"):
    text = text.replace(" ", "")
    text += fill * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8)


def key_frame(space=0, full=0, width=64, height=48, compressed=2, odd=""):
    text = KEY_FRAME if not odd else KEY_FRAME.replace("000000 000 0", "000000 000 1 0")
    text = text.format(
        space=space,
        range=full,
        width=width - 1,
        height=height - 1,
        compressed=compressed,
    )
    return bits(text, fill=odd or "0") + b"\x01" * 4


def inter_frame(*, shown=1, size=""):
    found = "0 0 0" + size if size else "1 0"
    intra = "" if shown else "0"
    return (
        bits(
            f"10 00 0 1 {shown} 0 {intra} 00 00000001 000 0 001 0 010 0 {found} 0 1"
            "00 00 000000 000 0 00000000 0 0 0 0 0" + f"{1:016b}"
        )
        + b"\x01\x01"
    )


def read(*frames):
    content, blocks = b"", []
    for frame in frames:
        blocks.append((len(content), len(content) + len(frame)))
        content += frame
    return vpx_headers.read_vp9(content, blocks)


def superframe(*frames):
    marker = bytes([0xC0 | len(frames) - 1])
    return b"".join(frames) + marker + bytes(map(len, frames)) + marker


def size_bits(width, height):
    return f"{width - 1:016b} {height - 1:016b} 0"


@pytest.mark.parametrize("space", [0, 1, 3])
def test_sound_frames_of_one_size_are_plain(space):
    found = read(key_frame(space), inter_frame(), b"\x88", inter_frame())

    assert found == vpx_headers.Frames(num_shown=4, is_plain=True, problem="")


def test_hidden_frames_of_superframes_are_not_counted():
    found = read(key_frame(), superframe(inter_frame(shown=0), inter_frame()))

    assert found == vpx_headers.Frames(num_shown=2, is_plain=True, problem="")


@pytest.mark.parametrize(
    "frames",
    [
        [key_frame(2)],
        [key_frame(5)],
        [key_frame(full=1)],
        [bits("10 10 0")],  # profile 1
        [bits("10 01 0")],  # profile 2
        [key_frame(), key_frame(width=80)],
        [key_frame(), inter_frame(size=size_bits(32, 24))],
    ],
    ids=["709", "2020", "full", "profile 1", "profile 2", "key size", "inter size"],
)
def test_other_colours_depths_and_sizes_are_not_plain(frames):
    found = read(*frames)

    assert (found.is_plain, found.problem) == (False, "")


def test_a_size_that_is_said_again_is_plain():
    assert read(key_frame(), inter_frame(size=size_bits(64, 48))).is_plain


@pytest.mark.parametrize(
    ("frames", "problem"),
    [
        ([b"\0\0\0"], "frame at byte 0: no frame marker"),
        ([key_frame()[:6]], "frame at byte 0: it ends within its header"),
        ([inter_frame()], "frame at byte 0: the first frame is no key frame"),
        ([key_frame(7)], "frame at byte 0: profile 0 has no RGB"),
        ([key_frame(odd="1")], "frame at byte 0: the header's last bits are not zero"),
        ([key_frame(compressed=0)], "frame at byte 0: a compressed header of 0 bytes"),
        ([key_frame(compressed=9)], "frame at byte 0: a compressed header of 9 bytes"),
        ([b"\x82\0\0\0"], "frame at byte 0: no sync code"),
        ([key_frame(), b""], "the block at byte 18 is empty"),
        (
            [key_frame(), b"xy" + b"\xc1\x01\x09\xc1"],
            "a frame of 9 bytes in the block at byte 18",
        ),
    ],
)
def test_the_first_thing_wrong_is_told(frames, problem):
    assert read(*frames).problem == problem


def test_segmentation_loop_filter_deltas_and_tiles_are_read_over():
    text = KEY_FRAME.replace("000000 000 0", "000011 000 1 1" + "1 0000001" + "0" * 5)
    text = text.replace("00000000 0 0 0", "00000000 1 00011 0 0")
    segmentation = (
        "1 1"
        + "1 10101010"
        + "0" * 6
        + "1 000"
        + "1 0"
        + ("1 00000011 1" + "1 000001 0" + "1 01" + "1")
        + "0000" * 7
    )
    tiles = "1 0 1 1"  # 1920 pixels: up to 4 columns; 4 rows
    head, tail = text.rsplit("0 0{compressed", 1)
    text = f"{head}{segmentation}{tiles}{{compressed{tail}"
    frame = bits(text.format(space=0, range=0, width=1919, height=1079, compressed=1))

    assert read(frame + b"\x01") == vpx_headers.Frames(num_shown=1)


def vp8_frame(*, key=True, shown=1, size=b"\x40\0\x30\0", first_part=2):
    tag = (first_part << 5 | shown << 4 | (not key)).to_bytes(3, "little")
    return tag + (b"\x9d\x01\x2a" + size if key else b"") + b"\1\1"


def read_vp8(*frames):
    content = b"".join(frames)
    ends = [sum(map(len, frames[: i + 1])) for i in range(len(frames))]
    return vpx_headers.read_vp8(content, zip([0, *ends], ends, strict=False))


def test_vp8_frames_that_are_shown_are_counted():
    found = read_vp8(vp8_frame(), vp8_frame(key=False, shown=0), vp8_frame(key=False))

    assert found == vpx_headers.Frames(num_shown=2, is_plain=True, problem="")


def test_vp8_frames_of_two_sizes_are_not_plain():
    assert not read_vp8(vp8_frame(), vp8_frame(size=b"\x50\0\x30\0")).is_plain


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        (b"\0\0", "the frame at byte 0 is cut off"),
        (vp8_frame(first_part=99), "the frame at byte 0 is too short"),
        (vp8_frame().replace(b"\x9d", b"\x9c"), "no key frame at byte 0"),
    ],
)
def test_the_first_thing_wrong_with_a_vp8_frame_is_told(frame, problem):
    assert read_vp8(frame).problem == problem


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
@pytest.mark.parametrize(
    "more", [[], ["-auto-alt-ref", "1", "-lag-in-frames", "16"], ["-g", "5"]]
)
def test_what_encoders_make_is_plain_and_sound(tmp_path, tools, codec, more):
    path = tmp_path / "1.webm"
    source = "testsrc2=size=321x241:rate=12:duration=2.5"
    tools.run_ffmpeg("-f", "lavfi", "-i", source, "-c:v", codec, *more, path)
    content = path.read_bytes()
    structure = matroska.read(content)
    reader = vpx_headers.read_vp8 if codec == "libvpx" else vpx_headers.read_vp9

    found = reader(content, structure.blocks)

    assert found == vpx_headers.Frames(num_shown=30, is_plain=True, problem="")
