"""Decodes a clip with the ffmpeg program, with frame times and every warning.

Used for clips that are not plain, or whose fast decoding (see clip_decoding) or
container showed a problem. ffmpeg may read the one local file alone, by the demuxers of
supported containers. It runs twice: once to read header and packets, with a verbose
log, and once to decode, with a log of warnings; two threads writing one verbose log
interleave their lines. It ends with this process's group and inherits the limits of the
process.
"""

import os
import re
import resource
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import ffmpeg as ffmpeg_python
import numpy as np
import numpy.typing as npt

from pipelines import ffmpeg, quarantine
from pipelines.decoding import complaints, containers
from pipelines.quarantine import ClipError, DecodeLimits

__all__ = ["Opinion", "decode", "describe_complaints"]

Frame = npt.NDArray[np.uint8]

_MAX_LOG_NUM_BYTES = 32 << 20  # 300 bytes a frame are usual
_MAX_WORDS = 300
_MAX_COMPLAINTS = 3
_STREAM = re.compile(
    r"Stream #0:(?P<index>\d+).*?: (?P<kind>Video|Audio): (?P<rest>(?P<codec>\w+).*)"
)
_PACKETS = re.compile(r"Input stream #0:\d+ \(video\): (\d+) packets read")
_DURATION = re.compile(r"Duration: (\d+):(\d\d):(\d\d\.\d+)")
_FINE = re.compile(r"\b(?:yuvj?a?444|gbr|rgb|bgr)")
DECODERS = {"vp9": "libvpx-vp9"}
"""The decoder for a codec, where it is not the one that ffmpeg would choose."""
_SIZE_CHANGE = "Changing video frame properties on the fly"
_ROTATION = re.compile(r"rotation of (-?\d+(?:\.\d+)?) degrees")


@dataclass(frozen=True, slots=True)
class Opinion:
    """The result of running ffmpeg on a clip, apart from the frames.

    Attributes:
      num_frames: frames that were decoded.
      num_packets: coded frames that were read; an edit list may leave out some.
      times_seconds: when each frame is shown, as far as the file states it.
      changes_size: frames were scaled to the first one's size (logged by newer ffmpeg).
      complaints: warnings and errors, without the harmless ones.
      is_failure: ffmpeg ended with another status than 0.
      has_video, has_audio: there are such streams; cover pictures do not count.
      duration_seconds: as the header claims, 0.0 where it does not.
      rotation_degrees: that the frames were turned by, clockwise.
    """

    num_frames: int
    num_packets: int
    times_seconds: tuple[float, ...]
    changes_size: bool
    complaints: tuple[str, ...]
    is_failure: bool
    has_video: bool
    has_audio: bool
    duration_seconds: float
    rotation_degrees: int


def decode(
    path: Path,
    clip_limits: DecodeLimits,
    add: Callable[[Frame, bool], None],
) -> Opinion:
    """Decodes a clip with ffmpeg.

    Args:
      path: the clip.
      clip_limits: pixels, and the processor time of each run of ffmpeg; memory is
        limited by the process, and frames by `add`, which may raise.
      add: called with each frame, RGB (H, W, 3), upright, in order of presentation;
        and whether it has colours at every pixel (4:4:4).

    Raises:
      ClipError: there is no ffmpeg, it crashed or was killed, or frames are larger
        than the limit.
    """
    read = _Run(_reading(path), path, clip_limits)
    read.wait()
    header = read.text
    streams = list(_STREAM.finditer(header.partition("Output #0")[0]))
    video = next((stream for stream in streams if _is_video(stream)), None)
    is_fine = bool(video and _FINE.search(video["rest"]))
    video_index = int(video["index"]) if video else 0
    decoder = _decoder_of(video["codec"]) if video else ""
    times = os.memfd_create("times")
    try:
        decoding = _decoding(path, times, decoder)
        decoded = _Run(decoding, path, clip_limits, [times])
        with decoded:
            num_frames = _add_all(
                decoded.frames, clip_limits.max_pixels, lambda f: add(f, is_fine)
            )
        status = decoded.wait()
        return Opinion(
            num_frames=num_frames,
            times_seconds=_times(times)[:num_frames],
            complaints=complaints.of_ffmpeg(decoded.text, video_index),
            changes_size=_SIZE_CHANGE in decoded.text,
            is_failure=status != 0,
            has_video=video is not None,
            has_audio=any(s["kind"] == "Audio" for s in streams),
            **_header_facts(header),
        )
    finally:
        os.close(times)


def describe_complaints(opinion: Opinion) -> str:
    """Returns the first distinct complaints in one short, printable line."""
    distinct = list(dict.fromkeys(opinion.complaints))
    text = " | ".join(distinct[:_MAX_COMPLAINTS])
    more = len(distinct) - _MAX_COMPLAINTS
    text = text if len(text) <= _MAX_WORDS else f"{text[:_MAX_WORDS]}..."
    return f"{text} | and {more} more" if more > 0 else text


class _Run:
    """One process of ffmpeg, with a log in memory of limited size."""

    def __init__(
        self,
        stream: Any,
        path: Path,
        clip_limits: DecodeLimits,
        descriptors: Sequence[int] = (),
    ) -> None:
        try:
            program = ffmpeg.ffmpeg_path()
        except ffmpeg.FfmpegNotFoundError as cause:
            raise ClipError("no_ffmpeg", f"{path}: {cause}") from cause
        self.text = ""
        self._path = path
        self._limits = clip_limits
        self._cpu_seconds_before = _children_cpu_seconds()
        self._log = os.memfd_create("ffmpeg-log")
        self._process = subprocess.Popen(
            stream.compile(cmd=program, overwrite_output=True),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            pass_fds=descriptors,
            # So that SIGXFSZ stays ignored, as Python has it: a log that is full ends
            # neither ffmpeg nor its frames.
            restore_signals=False,
        )
        most = (_MAX_LOG_NUM_BYTES, _MAX_LOG_NUM_BYTES)
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, most)
        seconds = clip_limits.max_seconds
        limit = (seconds, seconds + 1)  # ffmpeg ends itself at the first
        resource.prlimit(self._process.pid, resource.RLIMIT_CPU, limit)
        assert self._process.stdout is not None
        self.frames: IO[bytes] = self._process.stdout

    def __enter__(self) -> "_Run":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:  # the rest is not needed
            self._process.kill()
            self._end()

    def wait(self) -> int:
        """Waits for its end and reads its log; raises ClipError if it was killed."""
        status = self._end()
        used = _children_cpu_seconds() - self._cpu_seconds_before
        # ffmpeg catches the signal, and ends with a status.
        is_spent = status != 0 and used > self._limits.max_seconds - 0.1
        if -status == signal.SIGXCPU or is_spent:
            detail = f"{self._path}: {quarantine.too_much_time(self._limits)}"
            raise ClipError("timeout", detail)
        _check_end(self._path, status)
        return status

    def _end(self) -> int:
        while self.frames.read(1 << 20):  # after what is no frame: it must not block
            pass
        self.frames.close()
        status = self._process.wait()
        num_bytes = os.fstat(self._log).st_size
        self.text = os.pread(self._log, num_bytes, 0).decode("utf-8", "replace")
        os.close(self._log)
        return status


def _children_cpu_seconds() -> float:
    """Returns the processor time of the children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _input(path: Path, **options: Any) -> Any:
    return ffmpeg_python.input(
        f"file:{path}",
        **options,
        protocol_whitelist="file",
        format_whitelist=containers.FORMATS,
        err_detect="explode",  # a frame that is damaged is left out, not patched up
        threads=1,
    )


def _reading(path: Path) -> Any:
    """Returns the stream that reads all packets and decodes none of them."""
    stream = _input(path)["V:0"].output("pipe:1", format="null", c="copy")
    return stream.global_args("-hide_banner", "-nostdin", "-loglevel", "level+verbose")


def _decoding(path: Path, times: int, decoder: str) -> Any:
    """Returns the stream that writes PPM files end to end, and the frames' times.

    Without a scale filter of ours: the conversion to RGB is then the one that ffmpeg
    makes for a PNG, by the stream's own matrix and range.
    """
    video = _input(path, **({"c:V:0": decoder} if decoder else {}))["V:0"]
    # Fine units of time: in those of the rate, uneven times collide.
    common = {"fps_mode": "passthrough", "enc_time_base": "1/90000", "threads": 1}
    frames = video.output(
        "pipe:1", format="image2pipe", vcodec="ppm", pix_fmt="rgb24", **common
    )
    stamps = video.output(
        f"pipe:{times}", format="mkvtimestamp_v2", vcodec="wrapped_avframe", **common
    )
    stream = ffmpeg_python.merge_outputs(frames, stamps)
    stream = stream.global_args(
        "-hide_banner", "-nostdin", "-loglevel", "level+warning"
    )
    return stream.global_args("-filter_threads", "1")


def _decoder_of(codec: str) -> str:
    """Returns the decoder to ask ffmpeg for, "" for its own choice."""
    decoder = DECODERS.get(codec, "")
    return decoder if decoder and ffmpeg.has_decoder(decoder) else ""


def _check_end(path: Path, status: int) -> None:
    """Raises ClipError if ffmpeg was ended by a signal."""
    if -status in quarantine.OUTSIDE_SIGNALS:
        detail = quarantine.killed_from_outside(-status)
        raise ClipError("decoder_killed", f"{path}: {detail}")
    if status < 0:
        detail = f"{path}: ffmpeg was killed by {signal.Signals(-status).name}"
        raise ClipError("decoder_crashed", detail)


def _add_all(pipe: IO[bytes], max_pixels: int, add: Callable[[Frame], None]) -> int:
    num_frames = 0
    while frame := _next_frame(pipe, max_pixels):
        height, width, pixels = frame
        add(np.frombuffer(pixels, np.uint8).reshape(height, width, 3))
        num_frames += 1
    return num_frames


def _next_frame(pipe: IO[bytes], max_pixels: int) -> tuple[int, int, bytes] | None:
    """Reads one PPM file: height, width and pixels; None without a whole one."""
    fields = [pipe.readline(32) for _ in range(3)]
    if fields[0] != b"P6\n" or fields[2] != b"255\n":
        return None
    width, height = map(int, fields[1].split())
    if height * width > max_pixels:
        detail = f"frames of {width}x{height}, the limit: {max_pixels} px"
        raise ClipError("frame_too_large", detail)
    pixels = pipe.read(height * width * 3)
    return (height, width, pixels) if len(pixels) == height * width * 3 else None


def _times(descriptor: int) -> tuple[float, ...]:
    """Returns the times of a list with one time, in milliseconds, per line."""
    text = os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode("ascii")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return tuple(int(line) / 1000 for line in lines if line.lstrip("-").isdigit())


def _is_video(stream: re.Match[str]) -> bool:
    return stream["kind"] == "Video" and "(attached pic)" not in stream["rest"]


def _header_facts(text: str) -> dict[str, Any]:
    input_part = text.partition("Output #0")[0]
    packets = _PACKETS.search(text)
    duration = _DURATION.search(input_part)
    hours, minutes, seconds = duration.groups() if duration else (0, 0, 0)
    rotation = _ROTATION.search(input_part)
    return {
        "num_packets": int(packets[1]) if packets else 0,
        "duration_seconds": int(hours) * 3600 + int(minutes) * 60 + float(seconds),
        "rotation_degrees": round(-float(rotation[1])) % 360 if rotation else 0,
    }
