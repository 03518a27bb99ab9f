import dataclasses
import os
import stat
from pathlib import Path

import pytest

from pipelines import ffmpeg, quarantine
from pipelines.decoding import second_opinion

LIMITS = quarantine.DecodeLimits()
LEVELS = [40, 80, 120]


@pytest.fixture(scope="module")
def grey(tmp_path_factory, tools):
    path = tmp_path_factory.mktemp("grey") / "1.webm"
    tools.write_grey_clip(path, LEVELS)
    return path


def decode(path, clip_limits=LIMITS):
    """ffmpeg's opinion and the frames with their colours' fineness."""
    taken = []
    opinion = second_opinion.decode(
        path, clip_limits, lambda frame, is_fine: taken.append((frame, is_fine))
    )
    return opinion, taken


def fake_ffmpeg(tmp_path, monkeypatch, script):
    program = tmp_path / "fake-ffmpeg"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(ffmpeg, "ffmpeg_path", lambda: str(program))


def test_a_good_clip_comes_whole_and_without_a_word(grey):
    opinion, taken = decode(grey)

    assert [round(frame.mean()) for frame, _ in taken] == pytest.approx(LEVELS, abs=2)
    assert {frame.shape for frame, _ in taken} == {(48, 64, 3)}
    assert opinion == second_opinion.Opinion(
        num_frames=3,
        num_packets=3,
        times_seconds=pytest.approx((0, 0.083, 0.167), abs=0.001),
        changes_size=False,
        complaints=(),
        is_failure=False,
        has_video=True,
        has_audio=False,
        duration_seconds=0.25,
        rotation_degrees=0,
    )


@pytest.mark.parametrize(
    ("pixels", "is_fine"),
    [("yuv420p", False), ("yuv422p", False), ("yuv444p", True), ("gbrp", True)],
)
def test_colours_at_every_pixel_are_told(tmp_path, tools, pixels, is_fine):
    path = tmp_path / "1.webm"
    source = "testsrc2=size=64x48:rate=12:duration=0.1"
    tools.run_ffmpeg(
        *("-f", "lavfi", "-i", source, "-c:v", "libvpx-vp9", "-pix_fmt", pixels, path)
    )

    assert {fine for _, fine in decode(path)[1]} == {is_fine}


def test_a_picture_of_a_cover_is_no_video(tmp_path, tools):
    cover, path = tmp_path / "cover.jpg", tmp_path / "1.mp4"
    tools.run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=1:duration=1", cover)
    )
    sine = ("-f", "lavfi", "-i", "sine=frequency=440:duration=0.2")
    maps = ("-map", "0", "-map", "1", "-c:v", "copy", "-c:a", "aac")
    tools.run_ffmpeg(
        *sine, "-i", cover, *maps, "-disposition:v:0", "attached_pic", path
    )

    opinion, taken = decode(path)

    assert taken == []
    assert (opinion.has_video, opinion.has_audio) == (False, True)


def test_damage_is_a_complaint_and_its_words_are_the_same_every_time(tmp_path, grey):
    path = tmp_path / "1.webm"
    path.write_bytes(grey.read_bytes()[:-60])

    first, second = decode(path)[0], decode(path)[0]

    assert "File ended prematurely" in second_opinion.describe_complaints(first)
    assert second_opinion.describe_complaints(
        first
    ) == second_opinion.describe_complaints(second)


def test_files_that_lead_to_other_files_are_not_followed(tmp_path, grey):
    playlist = tmp_path / "1.webm"
    playlist.write_text(f"ffconcat version 1.0\nfile {grey}\n")

    opinion, taken = decode(playlist)

    assert taken == []
    assert opinion.is_failure
    assert not opinion.has_video


def test_larger_frames_than_the_limit_are_refused_unread(grey):
    small = dataclasses.replace(LIMITS, max_pixels=64 * 48 - 1)

    with pytest.raises(quarantine.ClipError, match="frames of 64x48") as caught:
        decode(grey, small)

    assert caught.value.reason == "frame_too_large"


def test_ffmpeg_ends_when_its_frames_are_refused(grey, tools):
    def refuse(frame, is_fine):
        raise LookupError

    with pytest.raises(LookupError):
        second_opinion.decode(grey, LIMITS, refuse)

    assert not [p for p in tools.child_pids(os.getpid()) if is_ffmpeg(p)]


def is_ffmpeg(pid):
    try:
        return b"ffmpeg" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_a_frame_that_is_not_whole_is_no_frame(tmp_path, monkeypatch, grey):
    fake_ffmpeg(
        tmp_path, monkeypatch, "printf 'P6\\n2 1\\n255\\nabcdefP6\\n2 1\\n255\\nab'"
    )

    opinion, taken = decode(grey)

    assert [frame.tobytes() for frame, _ in taken] == [b"abcdef"]
    assert opinion.num_frames == 1


def test_only_warnings_and_worse_are_complaints(tmp_path, monkeypatch, grey):
    fake_ffmpeg(
        tmp_path,
        monkeypatch,
        "echo '[in @ 0x55aa] [info] Duration: fine' >&2\n"
        "echo '[swscaler @ 0x1] [warning] deprecated pixel format used' >&2\n"
        "echo '[vp9 @ 0x7f01] [dec @ 0x2] [error] bad \001 bits' >&2\n"
        "echo 'a line of another one' >&2\nexit 3",
    )

    opinion, _ = decode(grey)

    assert opinion.complaints == ("[vp9] [dec] bad ? bits",)
    assert opinion.is_failure


@pytest.mark.parametrize(
    ("script", "reason", "detail"),
    [
        ("kill -KILL $$", "decoder_killed", "killed by SIGKILL from outside"),
        ("kill -TERM $$", "decoder_killed", "killed by SIGTERM from outside"),
        ("kill -SEGV $$", "decoder_crashed", "ffmpeg was killed by SIGSEGV"),
    ],
)
def test_an_ffmpeg_that_is_killed_is_no_verdict(
    tmp_path, monkeypatch, grey, script, reason, detail
):
    fake_ffmpeg(tmp_path, monkeypatch, script)

    with pytest.raises(quarantine.ClipError, match=detail) as caught:
        decode(grey)

    assert caught.value.reason == reason


def test_no_ffmpeg_is_no_verdict(monkeypatch, grey):
    def fail():
        raise ffmpeg.FfmpegNotFoundError("pip install imageio-ffmpeg")

    monkeypatch.setattr(ffmpeg, "ffmpeg_path", fail)

    with pytest.raises(quarantine.ClipError, match="pip install") as caught:
        decode(grey)

    assert not quarantine.REASONS[caught.value.reason].is_settled


def test_a_log_that_is_full_ends_neither_ffmpeg_nor_its_frames(
    tmp_path, monkeypatch, grey
):
    monkeypatch.setattr(second_opinion, "_MAX_LOG_NUM_BYTES", 1000)
    words = "[vp9 @ 0x1] [error] bad"
    script = f"i=0; while [ $i -lt 99 ]; do echo '{words}' >&2; i=$((i+1)); done"
    frame = "printf 'P6\\n2 1\\n255\\nabcdef'"
    fake_ffmpeg(tmp_path, monkeypatch, f"sleep 0.2; {script} 2>&2; {frame}")

    opinion, taken = decode(grey)

    assert [frame.tobytes() for frame, _ in taken] == [b"abcdef"]
    assert set(opinion.complaints) == {"[vp9] bad"}
    assert 10 < len(opinion.complaints) < 99


def test_an_ffmpeg_that_needs_too_much_processor_time_is_a_timeout(
    tmp_path, monkeypatch, grey
):
    fake_ffmpeg(tmp_path, monkeypatch, "while :; do :; done")

    with pytest.raises(quarantine.ClipError, match="1 s of processor time") as caught:
        decode(grey, dataclasses.replace(LIMITS, max_seconds=1))

    assert caught.value.reason == "timeout"


@pytest.mark.parametrize(
    ("complaints", "text"),
    [
        ((), ""),
        (("a", "a", "b"), "a | b"),
        (("a", "b", "c", "d", "d", "e"), "a | b | c | and 2 more"),
        (("x" * 400,), "x" * 300 + "..."),
    ],
)
def test_words_are_few(complaints, text):
    opinion = second_opinion.Opinion(
        0, 0, (), False, complaints, True, True, False, 0.0, 0
    )
    assert second_opinion.describe_complaints(opinion) == text


def test_frames_keep_their_order_and_their_uneven_times(tmp_path, tools):
    path = tmp_path / "1.mp4"
    tools.run_ffmpeg(
        *("-f", "lavfi", "-i", "color=size=64x48:rate=10:duration=1"),
        "-vf",
        "geq=lum='20+N*20':cb=128:cr=128,settb=1/1000,setpts='(N+mod(N,2)/2)/10/TB'",
        *("-fps_mode", "passthrough", "-enc_time_base", "1/1000"),
        *("-c:v", "libx264", "-bf", "2", "-qp", "4", path),
    )

    opinion, taken = decode(path)

    means = [frame.mean() for frame, _ in taken]
    assert means == sorted(means)
    expected = [0, 0.15, 0.2, 0.35, 0.4, 0.55, 0.6, 0.75, 0.8, 0.95]
    assert opinion.times_seconds == pytest.approx(expected, abs=0.002)
