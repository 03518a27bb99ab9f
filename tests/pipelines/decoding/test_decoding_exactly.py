"""A stored frame against ffmpeg's own PNG of it, for whatever a stream may be like."""

import subprocess

import cv2
import numpy as np
import pytest

from pipelines import ffmpeg
from pipelines.decoding import matroska, second_opinion
from tests.decoded import decode, pictures, training_pictures

# Smooth in brightness and in colour, as films are; a JPEG of it loses little.
DRAWN = "gradients=s={}:r=12:d=0.5:c0=0x905040:c1=0x3060a0:c2=0x70a050:n=3:seed=3"
MATRICES = ("bt709", "smpte170m")
RANGES = ("tv", "pc")
PIXELS = ("yuv420p", "yuv444p", "yuv420p10le", "yuv444p10le")
MAX_MEAN_DIFFERENCE = 1.0


def made(tools, path, *encoding, size="320x240", filters=""):
    drawn = DRAWN.format(size) + (f",{filters}" if filters else "")
    pixels = () if "-pix_fmt" in encoding else ("-pix_fmt", "yuv420p")
    tools.run_ffmpeg("-f", "lavfi", "-i", drawn, *encoding, *pixels, path)
    return path


def pngs(path):
    """Every frame as ffmpeg would write it into a PNG of 8 bits: RGB (H, W, 3)."""
    folder = path.parent / "pngs"
    folder.mkdir()
    command = [ffmpeg.ffmpeg_path(), "-v", "error", "-i", path, "-pix_fmt", "rgb24"]
    subprocess.run(
        [*command, "-fps_mode", "passthrough", folder / "%04d.png"], check=True
    )
    images = [cv2.imread(str(image)) for image in sorted(folder.iterdir())]
    return [cv2.cvtColor(image, cv2.COLOR_BGR2RGB) for image in images]


def assert_exact(path, frames):
    expected, stored = pngs(path), training_pictures(frames)
    assert len(stored) == len(expected) > 0
    assert {image.shape for image in stored} == {expected[0].shape}
    differences = [
        np.abs(a.astype(float) - b.astype(float)).mean()
        for a, b in zip(stored, expected, strict=True)
    ]
    assert max(differences) <= MAX_MEAN_DIFFERENCE


def tagged(matrix, colour_range, pixels):
    filters = (
        f"scale=out_color_matrix={matrix}:out_range={colour_range},format={pixels}"
    )
    tags = ("-colorspace", matrix, "-color_range", colour_range, "-pix_fmt", pixels)
    return filters, tags


@pytest.mark.parametrize("pixels", PIXELS)
@pytest.mark.parametrize("colour_range", RANGES)
@pytest.mark.parametrize("matrix", MATRICES)
def test_colours_are_those_of_the_streams_matrix_and_range(
    tmp_path, tools, matrix, colour_range, pixels
):
    filters, tags = tagged(matrix, colour_range, pixels)
    quick = ("-c:v", "libvpx-vp9", "-crf", "20", "-b:v", "0", "-cpu-used", "8")
    path = made(tools, tmp_path / "1.webm", *quick, *tags, filters=filters)

    assert_exact(path, decode(path, jpeg_quality=95))


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p", "yuv420p10le"])
@pytest.mark.parametrize("matrix", MATRICES)
def test_colours_of_h264_are_too(tmp_path, tools, matrix, pixels):
    filters, tags = tagged(matrix, "tv", pixels)
    path = made(tools, tmp_path / "1.mp4", "-c:v", "libx264", *tags, filters=filters)

    assert_exact(path, decode(path, jpeg_quality=95))


@pytest.mark.parametrize(
    ("suffix", "encoding"),
    [
        ("webm", ("-c:v", "libvpx-vp9")),
        ("webm", ("-c:v", "libvpx")),
        ("mkv", ("-c:v", "libvpx-vp9")),
        ("mkv", ("-c:v", "libx264", "-bf", "2")),
        ("mp4", ("-c:v", "libx264", "-bf", "2")),
        ("mov", ("-c:v", "mpeg4", "-q:v", "2")),
        ("avi", ("-c:v", "mpeg4", "-q:v", "2")),
        ("avi", ("-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj420p")),
    ],
)
@pytest.mark.parametrize("name", ["1.webm", "2"])
def test_every_container_is_decoded_whatever_its_name(
    tmp_path, tools, suffix, encoding, name
):
    drawn = made(tools, tmp_path / f"clip.{suffix}", *encoding)
    path = drawn.rename(tmp_path / name)

    frames = decode(path, jpeg_quality=95)

    assert len(frames.frame_sizes) == 6
    assert (frames.facts.fps_from_header, frames.facts.num_frames_from_header) == (
        12.0,
        6,
    )
    assert frames.facts.duration_seconds_from_header == pytest.approx(0.5, abs=0.01)
    assert frames.facts.fps_from_content == pytest.approx(12, abs=0.1)
    assert_exact(path, frames)


@pytest.mark.parametrize("size", ["321x241", "320x241", "321x240", "427x240"])
@pytest.mark.parametrize("codec", ["libvpx-vp9", "libvpx"])
def test_odd_sizes_are_kept(tmp_path, tools, codec, size):
    path = made(tools, tmp_path / "1.webm", "-c:v", codec, size=size)

    frames = decode(path, jpeg_quality=95)

    assert f"{frames.width}x{frames.height}" == size
    assert_exact(path, frames)


@pytest.mark.parametrize("suffix", ["webm", "mp4"])
def test_a_variable_rate_is_passed_through(tmp_path, tools, suffix):
    uneven = "settb=1/1000,setpts='(N+mod(N,2)/2)/10/TB'"  # 0, 150, 200, 350, ... ms
    codec = {"webm": "libvpx-vp9", "mp4": "libx264"}[suffix]
    timing = ("-fps_mode", "passthrough", "-enc_time_base", "1/1000")
    path = tmp_path / f"1.{suffix}"
    made(tools, path, "-c:v", codec, *timing, filters=uneven)

    frames = decode(path, jpeg_quality=95)

    assert len(frames.frame_sizes) == 6
    assert frames.facts.fps_from_content == pytest.approx(5 / 0.55, abs=0.05)
    assert frames.facts.duration_seconds_from_content == pytest.approx(0.66, abs=0.01)
    assert_exact(path, frames)


def test_a_long_stay_on_one_frame_is_one_frame(tmp_path, tools):
    path = tmp_path / "1.webm"
    made(
        tools,
        path,
        *("-c:v", "libvpx-vp9", "-fps_mode", "passthrough"),
        filters="settb=1/1000,setpts='if(lt(N,3),N*80,2000+N*80)'",
    )

    frames = decode(path)

    assert len(frames.frame_sizes) == 6
    assert frames.facts.num_frames_lost == 0


TURNED = {  # the matrix of a track header, in 16.16 and 2.30 bits
    90: (0, 1, -1, 0),
    180: (-1, 0, 0, -1),
    270: (0, -1, 1, 0),
}


@pytest.mark.parametrize("degrees", TURNED)
def test_frames_are_turned_upright_as_the_header_asks(tmp_path, tools, degrees):
    path = made(tools, tmp_path / "1.mp4", "-c:v", "libx264", size="96x64")
    content = bytearray(path.read_bytes())
    a, b, c, d = (int(value * 65536) for value in TURNED[degrees])
    matrix = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    begin = content.index(b"tkhd") + 4 + 40
    content[begin : begin + 36] = b"".join(
        value.to_bytes(4, "big", signed=True) for value in matrix
    )
    path.write_bytes(content)

    frames = decode(path, jpeg_quality=95)

    expected = (96, 64) if degrees == 180 else (64, 96)
    assert (frames.width, frames.height) == expected
    assert frames.facts.rotation_degrees == degrees
    assert_exact(path, frames)


def test_what_an_edit_list_leaves_out_is_not_missed(tmp_path, tools):
    whole = made(tools, tmp_path / "whole.mp4", "-c:v", "libx264", "-bf", "2")
    path = tmp_path / "1.mp4"
    tools.run_ffmpeg("-ss", "0.2", "-i", whole, "-c", "copy", path)

    frames = decode(path, jpeg_quality=95)

    assert 3 <= len(frames.frame_sizes) < frames.facts.num_frames_from_header == 6
    assert frames.facts.num_frames_lost == 0
    assert_exact(path, frames)


def test_frames_come_in_the_order_of_presentation(tmp_path, tools):
    path = tmp_path / "1.mp4"
    levels = "geq=lum='20+N*20':cb=128:cr=128"
    tools.run_ffmpeg(
        *("-f", "lavfi", "-i", "color=size=64x48:rate=12:duration=0.8"),
        *("-vf", levels, "-c:v", "libx264", "-bf", "3", "-qp", "4", path),
    )

    means = [picture.mean() for picture in pictures(decode(path))]

    assert len(means) == 10
    assert means == sorted(means)


@pytest.mark.parametrize("codec", ["libvpx-vp9", "libvpx"])
def test_a_good_clip_of_the_usual_kind_needs_no_other_process(
    tmp_path, tools, monkeypatch, codec
):
    path = made(tools, tmp_path / "1.webm", "-c:v", codec)

    def refuse(*_):
        raise AssertionError("ffmpeg was run")

    monkeypatch.setattr(second_opinion, "decode", refuse)

    assert len(decode(path).frame_sizes) == 6


def test_colours_at_every_pixel_are_stored_at_every_pixel(tmp_path, tools):
    encoding = ("-c:v", "libvpx-vp9", "-pix_fmt", "yuv444p")
    path = made(tools, tmp_path / "1.webm", *encoding)

    jpeg = decode(path).jpegs

    sampling = jpeg[jpeg.index(b"\xff\xc0") + 11]
    assert sampling == 0x11
    assert matroska.read(path.read_bytes()).codec == "V_VP9"


def test_a_reduction_averages_areas(tmp_path, tools):
    path = made(tools, tmp_path / "1.webm", "-c:v", "libvpx-vp9", size="320x240")
    whole = pictures(decode(path, jpeg_quality=100))[0].astype(float)

    half = pictures(decode(path, jpeg_quality=100, short_side_px=120))[0]

    averaged = whole.reshape(120, 2, 160, 2, 3).mean((1, 3))
    assert np.abs(half - averaged).mean() < MAX_MEAN_DIFFERENCE


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "codecs"),
    [
        ("mkv", ("libx264", "aac")),  # its frames are not stored in order of time
        ("webm", ("libvpx-vp9", "libopus")),
        ("mov", ("libx264", "aac")),
        ("avi", ("mpeg4", "mp2")),
    ],
)
def test_sound_may_go_on_beyond_the_pictures(tmp_path, tools, suffix, codecs):
    path = tmp_path / f"1.{suffix}"
    tools.run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=12:duration=1"),
        *("-f", "lavfi", "-i", "sine=frequency=440:duration=2"),
        *("-c:v", codecs[0], "-c:a", codecs[1], path),
    )
    assert len(decode(path).frame_sizes) == 12
