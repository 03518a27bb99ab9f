"""What the ffmpeg program makes of a clip: frames, their times, and every complaint.

OpenCV is the fast decoder; ffmpeg is asked about clips that OpenCV or the file's own
structure cast doubt on, and about those whose colours OpenCV converts wrongly. It reads
the one local file, by the demuxers of our containers alone. Whoever ends this process's
group ends ffmpeg too; it inherits the limits of the process.
"""

import os
import re
import resource
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import ffmpeg as ffmpeg_python
import numpy as np
import numpy.typing as npt

from pipelines import clip_file, containers, ffmpeg, limits

__all__ = ["Opinion", "ask", "words"]

Frame = npt.NDArray[np.uint8]

_MAX_LOG_NUM_BYTES = 32 << 20  # 300 bytes a frame are usual
_MAX_WORDS = 300
_MAX_COMPLAINTS = 3
_LINE = re.compile(r"(?P<who>(?:\[[^]]*\] )*)\[(?P<level>[a-z]+)\] (?P<text>.*)")
_COMPLAINING = frozenset({"warning", "error", "fatal", "panic"})
_ADDRESS = re.compile(r" @ 0x[0-9a-f]+")  # another one in every run
_UNPRINTABLE = re.compile(r"[^ -~]")
_FRAME = re.compile(
    r"n: *\d+ pts:.*? pts_time:(?P<time>-?[\d.e+-]+|N).* fmt:(?P<format>\w+) "
    r".*\bs:(?P<size>\d+x\d+)"
)
_STREAM = re.compile(r"Stream #0:\d+.*?: (?P<kind>Video|Audio): (?P<rest>.*)")
_PACKETS = re.compile(r"Input stream #0:\d+ \(video\): (\d+) packets read")
_DURATION = re.compile(r"Duration: (\d+):(\d\d):(\d\d\.\d+)")
_ROTATION = re.compile(r"rotation of (-?\d+(?:\.\d+)?) degrees")

# Said of sound files and of ffmpeg's own scaling, not of damage.
_HARMLESS = re.compile(
    r"deprecated pixel format used|Guessed Channel Layout"
    r"|Changing video frame properties on the fly|No filtered frames for output stream"
)


@dataclass(frozen=True, slots=True)
class Opinion:
    """What ffmpeg said of a clip.

    Attributes:
      num_frames: frames that it gave.
      num_packets: coded frames that it read; an edit list may leave some of them out.
      times_seconds: when each is shown, as far as the file says.
      sizes: of the frames as decoded, "64x48"; more than one where the stream changes.
      complaints: warnings and errors, none of them harmless.
      is_failure: it ended with another status than 0.
      has_video, has_audio: streams that it found; pictures of a cover do not count.
      duration_seconds: as the header claims, 0.0 where it does not.
      rotation_degrees: that it turned the frames by, clockwise.
    """

    num_frames: int
    num_packets: int
    times_seconds: tuple[float, ...]
    sizes: tuple[str, ...]
    complaints: tuple[str, ...]
    is_failure: bool
    has_video: bool
    has_audio: bool
    duration_seconds: float
    rotation_degrees: int


def ask(
    path: Path,
    clip_limits: limits.DecodeLimits,
    take: Callable[[Frame, bool], None],
) -> Opinion:
    """Has ffmpeg decode a clip.

    Args:
      path: the clip.
      clip_limits: pixels and, beside the parent's, time; memory is limited by the
        process, and frames by `take`, which may raise.
      take: gets each frame, RGB (H, W, 3), upright, in order of presentation; and
        whether its colours are as fine as its brightness (4:4:4).

    Raises:
      DecodeError: there is no ffmpeg, it crashed or was killed, or frames are larger
        than the limit.
    """
    log = os.memfd_create("ffmpeg-log")
    try:
        process = subprocess.Popen(
            _command(path, clip_limits),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        try:
            most = (_MAX_LOG_NUM_BYTES, _MAX_LOG_NUM_BYTES)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, most)
            assert process.stdout is not None
            num_frames = _take_all(process.stdout, log, clip_limits.max_pixels, take)
            status = process.wait()
        finally:
            process.kill()
            process.wait()
        _check_end(path, status)
        return _opinion(_text(log), num_frames, status)
    finally:
        os.close(log)


def words(opinion: Opinion) -> str:
    """Returns ffmpeg's own words for a person: short, one line, printable."""
    distinct = list(dict.fromkeys(opinion.complaints))
    text = " | ".join(distinct[:_MAX_COMPLAINTS])
    more = len(distinct) - _MAX_COMPLAINTS
    text = text if len(text) <= _MAX_WORDS else f"{text[:_MAX_WORDS]}..."
    return f"{text} | and {more} more" if more > 0 else text


def _command(path: Path, clip_limits: limits.DecodeLimits) -> list[str]:
    """Returns the command that writes a clip's frames as PPM files end to end.

    Without a scale filter of ours: the conversion to RGB is then the one that ffmpeg
    makes for a PNG, by the stream's own matrix and range.
    """
    clip = ffmpeg_python.input(
        f"file:{path}",
        protocol_whitelist="file",
        format_whitelist=containers.FORMATS,
        err_detect="explode",  # a frame that is damaged is left out, not patched up
        threads=1,
    )
    stream = ffmpeg_python.output(
        clip["V:0"],
        "pipe:1",
        vf="showinfo=checksum=0",
        format="image2pipe",
        vcodec="ppm",
        pix_fmt="rgb24",
        fps_mode="passthrough",
        threads=1,
        timelimit=clip_limits.max_seconds,
    )
    stream = stream.global_args(
        "-hide_banner", "-nostdin", "-loglevel", "level+verbose"
    )
    stream = stream.global_args("-filter_threads", "1")
    try:
        program = ffmpeg.ffmpeg_path()
    except ffmpeg.FfmpegNotFoundError as cause:
        raise clip_file.DecodeError("no_ffmpeg", f"{path}: {cause}") from cause
    command: list[str] = stream.compile(cmd=program, overwrite_output=True)
    return command


def _check_end(path: Path, status: int) -> None:
    """Raises DecodeError where ffmpeg did not come to an end of its own."""
    if -status in limits.OUTSIDE_SIGNALS:
        detail = limits.killed_from_outside(-status)
        raise clip_file.DecodeError("decoder_killed", f"{path}: {detail}")
    if status < 0:
        detail = f"{path}: ffmpeg was killed by {signal.Signals(-status).name}"
        raise clip_file.DecodeError("decoder_crashed", detail)


def _take_all(
    pipe: IO[bytes], log: int, max_pixels: int, take: Callable[[Frame, bool], None]
) -> int:
    num_frames, is_fine = 0, False
    while frame := _next_frame(pipe, max_pixels):
        if num_frames == 0:  # showinfo has told of a frame before it comes
            is_fine = _has_fine_colours(_text(log))
        height, width, pixels = frame
        take(np.frombuffer(pixels, np.uint8).reshape(height, width, 3), is_fine)
        num_frames += 1
    return num_frames


def _next_frame(pipe: IO[bytes], max_pixels: int) -> tuple[int, int, bytes] | None:
    """Reads one PPM file; None at the end, whole frames only."""
    fields = [pipe.readline(32) for _ in range(3)]
    if fields[0] != b"P6\n" or fields[2] != b"255\n":
        return None
    width, height = map(int, fields[1].split())
    if height * width > max_pixels:
        limit = f"{max_pixels} px (--max_clip_pixels)"
        detail = f"frames of {width}x{height}, the limit: {limit}"
        raise clip_file.DecodeError("frame_too_large", detail)
    pixels = pipe.read(height * width * 3)
    return (height, width, pixels) if len(pixels) == height * width * 3 else None


def _text(log: int) -> str:
    num_bytes = os.fstat(log).st_size
    return os.pread(log, num_bytes, 0).decode("utf-8", "replace")


def _has_fine_colours(text: str) -> bool:
    found = _FRAME.search(text)
    name = found["format"] if found else ""
    return "444" in name or name.startswith(("gbr", "rgb", "bgr"))


def _opinion(text: str, num_frames: int, status: int) -> Opinion:
    input_part = text.partition("Output #0")[0]
    streams = list(_STREAM.finditer(input_part))
    frames = list(_FRAME.finditer(text))
    times = [float(f["time"]) for f in frames if f["time"] != "N"][:num_frames]
    duration = _DURATION.search(input_part)
    hours, minutes, seconds = duration.groups() if duration else (0, 0, 0)
    rotation = _ROTATION.search(input_part)
    packets = _PACKETS.search(text)
    return Opinion(
        num_frames=num_frames,
        num_packets=int(packets[1]) if packets else 0,
        times_seconds=tuple(times),
        sizes=tuple(dict.fromkeys(f["size"] for f in frames)),
        complaints=_complaints(text),
        is_failure=status != 0,
        has_video=any(
            s["kind"] == "Video" and "(attached pic)" not in s["rest"] for s in streams
        ),
        has_audio=any(s["kind"] == "Audio" for s in streams),
        duration_seconds=int(hours) * 3600 + int(minutes) * 60 + float(seconds),
        rotation_degrees=round(-float(rotation[1])) % 360 if rotation else 0,
    )


def _complaints(text: str) -> tuple[str, ...]:
    found = []
    for line in text.splitlines():
        match = _LINE.match(line)
        if match and match["level"] in _COMPLAINING:
            said = _UNPRINTABLE.sub("?", f"{match['who']}{match['text']}")
            if not _HARMLESS.search(said):
                found.append(_ADDRESS.sub("", said))
    return tuple(found)
