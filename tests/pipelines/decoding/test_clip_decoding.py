import hashlib

import numpy as np
import pytest

from mindrecord_io import records
from pipelines import quarantine
from pipelines.decoding.clip_decoding import decode_clip
from pipelines.quarantine import ClipError
from tests.decoded import LEVELS, LIMITS, decode, pictures, refused


def without_duration(path):
    """A clip whose header does not say how long it is, as live encoders write it."""
    content = path.read_bytes()
    begin = content.index(b"\x44\x89")  # the element Duration, of 8 bytes
    assert content[begin + 2] == 0x88
    void = b"\xec\x89" + bytes(9)
    path.write_bytes(content[:begin] + void + content[begin + 11 :])


def test_frames_come_in_number_and_order_of_presentation(grey):
    frames = decode(grey)

    means = [picture.mean() for picture in pictures(frames)]
    assert means == pytest.approx(LEVELS, abs=3)
    assert len(frames.frame_sizes) == len(LEVELS)


def test_frames_keep_their_size_by_default_and_tell_what_the_header_says(grey):
    frames = decode(grey)

    assert (frames.width, frames.height) == (64, 48)
    assert {picture.shape for picture in pictures(frames)} == {(48, 64, 3)}
    assert frames.facts.fps_from_header == 12.0
    assert frames.facts.num_frames_from_header == 6
    assert frames.facts.duration_seconds_from_header == 0.5
    assert frames.facts.fps_from_content == pytest.approx(12, abs=0.05)  # times in ms
    assert frames.facts.duration_seconds_from_content == pytest.approx(0.5, abs=0.002)
    assert (frames.facts.rotation_degrees, frames.facts.num_frames_lost) == (0, 0)


def test_equal_files_give_equal_bytes(grey):
    assert decode(grey) == decode(grey)


@pytest.mark.parametrize(
    ("width", "height", "short_side_px", "expected"),
    [
        (64, 48, 24, (32, 24)),
        (64, 48, 16, (21, 16)),  # 21.3
        (48, 64, 24, (24, 32)),
        (64, 48, 48, (64, 48)),
        (64, 48, 47, (63, 47)),  # 62.7
        (64, 48, 480, (64, 48)),  # never enlarged
        (64, 48, 0, (64, 48)),
        (50, 50, 20, (20, 20)),
    ],
)
def test_short_side_reduces_and_never_enlarges(
    tmp_path, tools, width, height, short_side_px, expected
):
    tools.write_grey_clip(tmp_path / "1.webm", [90], width=width, height=height)

    frames = decode(tmp_path / "1.webm", short_side_px=short_side_px)

    assert (frames.width, frames.height) == expected
    assert pictures(frames)[0].shape == (expected[1], expected[0], 3)


def test_jpeg_quality_is_honoured(textured):
    sizes, errors = [], []
    original = pictures(decode(textured, jpeg_quality=100))[0].astype(float)
    for quality in (10, 50, 90):
        frames = decode(textured, jpeg_quality=quality)
        sizes.append(len(frames.jpegs))
        errors.append(np.abs(pictures(frames)[0] - original).mean())

    assert sizes == sorted(sizes)
    assert sizes[0] * 2 < sizes[2]
    assert errors == sorted(errors, reverse=True)


def test_other_containers_are_decoded_by_content_not_by_name(tmp_path, tools, grey):
    for name in ("clip.mp4", "clip.mkv", "clip.avi"):
        tools.run_ffmpeg("-i", grey, "-c:v", "mpeg4", tmp_path / name)
        renamed = (tmp_path / name).rename(tmp_path / "1.webm")

        frames = decode(renamed)

        assert len(frames.frame_sizes) == len(LEVELS), name


def test_a_header_without_a_number_of_frames_is_believed(tmp_path, grey):
    path = tmp_path / "1.webm"
    path.write_bytes(grey.read_bytes())
    without_duration(path)

    frames = decode(path)

    assert frames.facts.num_frames_from_header == 0
    assert len(frames.frame_sizes) == 6


@pytest.mark.parametrize(
    ("clip_limits", "reason", "detail"),
    [
        ({"max_frames": 5}, "too_long", "more than 5 frames (--max_clip_frames)"),
        (
            {"max_pixels": 64 * 48 - 1},
            "frame_too_large",
            "frames of 64x48, the limit: 3071 px (--max_clip_pixels)",
        ),
    ],
)
def test_limits_are_kept(grey, clip_limits, reason, detail):
    assert refused(grey, clip_limits=quarantine.DecodeLimits(**clip_limits)) == (
        reason,
        detail,
    )


def test_a_clip_right_at_its_limits_is_decoded(grey):
    exact = quarantine.DecodeLimits(max_frames=6, max_pixels=64 * 48)

    assert len(decode(grey, clip_limits=exact).frame_sizes) == 6


def test_decode_error_has_a_code_and_a_text():
    error = ClipError("empty", "no bytes")

    assert (error.reason, str(error)) == ("empty", "no bytes")
    assert isinstance(error, ValueError)


def test_frames_are_checked_against_the_planned_content_not_the_path(tmp_path, grey):
    copy = tmp_path / "elsewhere.webm"
    copy.write_bytes(grey.read_bytes())
    sha256 = hashlib.sha256(grey.read_bytes()).hexdigest()
    source = records.Fingerprint(num_bytes=1, sha256=sha256)
    clip = records.PlannedClip("other", 0, str(copy), source)

    frames = decode_clip(clip, records.DecodeSettings(), LIMITS)

    assert frames == decode(grey)


def test_paths_need_not_be_ascii(tmp_path, grey):
    path = tmp_path / "Ordner mit \N{SNOWMAN}, 100% & mehr" / "1.webm"
    path.parent.mkdir()
    path.write_bytes(grey.read_bytes())

    assert decode(path) == decode(grey)
