"""What ARM machines hear: no fast conversion of colours for some widths.

The libraries say so on x86 as well where they may not use its fast instructions.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import ffmpeg
from pipelines.decoding import second_opinion
from tests.decoded import decode

WORDS = "No accelerated colorspace conversion found"
DECODE = """
import ctypes, pathlib, sys
import av
(library,) = (pathlib.Path(av.__file__).parent.parent / "av.libs").glob("libavutil*")
ctypes.CDLL(str(library)).av_force_cpu_flags(0)
from pipelines.decoding import complaints, second_opinion
from tests.decoded import decode

heard = []
of_library = complaints.of_library
complaints.of_library = lambda log: heard.append(log) or of_library(log)
second_opinion.decode = None  # a second decoding would fail
print(len(decode(pathlib.Path(sys.argv[1])).frame_sizes), *heard)
"""


@pytest.fixture
def draw(tmp_path, tools):
    def draw(name, *encoding):
        source = "testsrc2=size=427x240:rate=12:duration=0.5"
        tools.run_ffmpeg("-f", "lavfi", "-i", source, *encoding, tmp_path / name)
        return tmp_path / name

    return draw


def test_a_clip_is_whole_and_is_decoded_once_in_this_process(draw):
    path = draw("1.webm", "-c:v", "libvpx-vp9")

    done = subprocess.run(
        [sys.executable, "-c", DECODE, path],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[3],
    )

    assert done.stdout.startswith("6 ")
    assert WORDS in done.stdout


def test_a_clip_is_whole_where_the_program_decodes(draw, tmp_path, monkeypatch):
    path = draw(
        "1.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-vf", "crop=426:240"
    )
    program = tmp_path / "ffmpeg"
    program.write_text(f'#!/bin/sh\nexec {ffmpeg.ffmpeg_path()} -cpuflags 0 "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr(ffmpeg, "_chosen", str(program))
    heard = []
    of_ffmpeg = second_opinion.complaints.of_ffmpeg
    monkeypatch.setattr(
        second_opinion.complaints,
        "of_ffmpeg",
        lambda log, index: heard.append(log) or of_ffmpeg(log, index),
    )

    frames = decode(path)

    assert (len(frames.frame_sizes), frames.damage) == (6, "")
    assert WORDS in heard[0]
