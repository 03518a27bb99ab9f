"""Writes frames as a VP9 WebM file, the format of Something-Something-v2."""

import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import ffmpeg as ffmpeg_python
import numpy as np
from numpy.typing import NDArray

from mindrecord_io import interrupts

__all__ = ["EncodeError", "Video", "write_webm"]

USUAL_QUALITY = 26
"""VP9 quality that keeps what is drawn; less is better."""
NUM_ERROR_LINES = 5
INCOMPLETE_PREFIX = ".incomplete-"


class EncodeError(RuntimeError):
    """ffmpeg did not turn a clip's frames into a WebM file."""


@dataclass(frozen=True, slots=True)
class Video:
    """The size of frames, their rate, and the encoder's `-crf`."""

    width: int
    height: int
    fps: int
    constant_quality: int = USUAL_QUALITY


def write_webm(
    frames: Iterable[NDArray[np.uint8]],
    path: Path,
    *,
    video: Video,
    ffmpeg: str,
) -> None:
    """Encodes uint8 BGR frames (height, width, 3); `path` appears when complete.

    Equal frames and an equal ffmpeg give equal bytes: one encoder thread, no version,
    no date. Two writers of one path at the same time are not supported.

    Raises:
      EncodeError: ffmpeg failed; names the clip, ffmpeg's exit status and last lines.
    """
    incomplete = path.with_name(INCOMPLETE_PREFIX + path.name)
    arguments = _ffmpeg_command(ffmpeg, incomplete, video)
    try:
        # A file, not a pipe: a full pipe would stop ffmpeg while it is being fed.
        with tempfile.TemporaryFile() as errors:
            is_fed, exit_status = _feed(arguments, frames, errors.fileno())
            if not is_fed or exit_status != 0:
                errors.seek(0)
                lines = errors.read().decode(errors="replace").strip().splitlines()
                raise EncodeError(
                    f"clip {path.stem}: ffmpeg ended with exit status {exit_status}"
                    f"{'' if is_fed else ' before it had read every frame'}; "
                    f"its last words: {' | '.join(lines[-NUM_ERROR_LINES:]) or 'none'}"
                )
        incomplete.replace(path)
    finally:
        incomplete.unlink(missing_ok=True)


def _feed(
    arguments: list[str], frames: Iterable[NDArray[np.uint8]], stderr: int
) -> tuple[bool, int]:
    """Runs ffmpeg on the frames; returns whether it read them all and its status."""
    try:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
    except OSError as cause:
        raise EncodeError(f"cannot start {arguments[0]}: {cause}") from cause
    assert process.stdin is not None
    interrupts.add_clean_up(process.kill)
    is_fed = True
    try:
        for frame in frames:
            process.stdin.write(np.ascontiguousarray(frame).data)
        process.stdin.close()
    except BrokenPipeError:
        is_fed = False
    except BaseException:
        process.kill()
        raise
    finally:
        exit_status = process.wait()
        interrupts.discard_clean_up(process.kill)
    return is_fed, exit_status


def _ffmpeg_command(ffmpeg: str, path: Path, video: Video) -> list[str]:
    """Returns the command that encodes raw frames from its standard input."""
    frames = ffmpeg_python.input(
        "pipe:0",
        format="rawvideo",
        pix_fmt="bgr24",
        s=f"{video.width}x{video.height}",
        r=video.fps,
    )
    encoding = {
        "c:v": "libvpx-vp9",
        "pix_fmt": "yuv420p",
        "sws_flags": "accurate_rnd+bitexact",
        "crf": video.constant_quality,
        "b:v": 0,
        "deadline": "realtime",
        "cpu-used": 8,
        "lag-in-frames": 0,
        "threads": 1,
        "row-mt": 0,
        "tile-columns": 0,
        "fflags": "+bitexact",
        "flags:v": "+bitexact",
        "map_metadata": -1,
    }
    stream = frames.output(str(path), format="webm", **encoding)
    stream = stream.global_args("-hide_banner", "-loglevel", "error")
    command: list[str] = stream.compile(cmd=ffmpeg, overwrite_output=True)
    return command
