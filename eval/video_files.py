"""Video files and folders of frames, as a view sees the clips of a data set.

The one file of `eval` that imports `pipelines`: a clip is decoded by the decoder that
builds data sets, in a child process that it may crash, and seen by the same views. So
its pixels are those of the clip in a data set of the same settings.
"""

import re
import stat
import subprocess
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from mindrecord_io import records
from mindrecord_io.serving import frames, views
from mindrecord_io.serving.clip_random import ClipRandom
from mindrecord_io.storage import files
from pipelines import ffmpeg, quarantine
from pipelines.building.killable_decoder import KillableDecoder
from pipelines.sources import frame_folders

__all__ = ["Refused", "Seen", "VideoReader", "find", "stream_frames"]

Pixels = npt.NDArray[np.uint8]

_SUFFIXES = (".webm", ".mkv", ".mp4", ".m4v", ".mov", ".avi")
"""Of files that are taken out of a folder; one that is named itself may have any."""

_NUM_AHEAD = 4  # clips a worker that are decoded before they are wanted
_PPM = re.compile(rb"P6\n(\d+) (\d+)\n255\n")
_MAX_PPM_HEADER = 32


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A clip's pixels, of `views.clip_shape`."""

    path: Path
    pixels: Pixels


@dataclass(frozen=True, slots=True)
class Refused:
    """A clip that cannot be seen; `reason` is one of `quarantine.REASONS`."""

    path: Path
    reason: str
    detail: str


def find(paths: Sequence[Path]) -> list[Path]:
    """Returns the clips that paths mean: files, folders of frames, folders of both.

    Raises:
      ValueError: a path that is not there, or a folder without clips.
    """
    clips: list[Path] = []
    for path in paths:
        if not path.exists():
            raise ValueError(f"there is no clip {path}")
        is_clip = not path.is_dir() or frame_folders.holds_frames(path)
        inside = [path] if is_clip else list(_clips_in(path))
        if not inside:
            raise ValueError(
                f"{path} has no clips: files of {', '.join(_SUFFIXES)}, or folders of "
                f"JPEGs"
            )
        clips += inside
    return clips


def _clips_in(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        is_video = path.suffix.lower() in _SUFFIXES and path.is_file()
        if is_video or (path.is_dir() and frame_folders.holds_frames(path)):
            yield path


class VideoReader:
    """Decodes clips ahead of those that are wanted, each thread by its own process.

    Args:
      settings: by which the frames of the network's data set were made.
      num_workers: threads.
    """

    def __init__(
        self, view: views.View, settings: records.DecodeSettings, num_workers: int
    ) -> None:
        self._view, self._settings = view, settings
        self._num_ahead = num_workers * _NUM_AHEAD
        self._of_thread = threading.local()
        self._decoders: list[KillableDecoder] = []
        self._pool = futures.ThreadPoolExecutor(
            num_workers,
            thread_name_prefix="video-reader",
            initializer=frames.allow_inexact_resampling,
        )

    def read(self, paths: Sequence[Path]) -> Iterator[Seen | Refused]:
        """Yields every clip, in order, as it is seen or with why it cannot be."""
        waiting: deque[futures.Future[Seen | Refused]] = deque()
        for path in paths:
            waiting.append(self._pool.submit(self._see, path))
            if len(waiting) > self._num_ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def close(self) -> None:
        """Ends the threads and their child processes."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for decoder in self._decoders:
            decoder.close()

    def _see(self, path: Path) -> Seen | Refused:
        try:
            source = (
                frame_folders.fingerprint(path)
                if path.is_dir()
                else files.fingerprint(path)
            )
        except OSError as error:
            return Refused(path, "unreadable", f"{path}: {error.strerror}")
        decoder = self._decoder()
        name = str(path.absolute())
        clip = records.PlannedClip(path.stem, records.UNLABELLED, name, source)
        ((_, decoded),) = decoder.decode_all([clip], self._settings)
        if isinstance(decoded, records.Quarantined):
            return Refused(path, decoded.reason, decoded.detail)
        try:
            return Seen(path, self._pixels(decoded))
        except ValueError as error:
            return Refused(path, "not_decodable", str(error))

    def _pixels(self, clip: records.ClipFrames) -> Pixels:
        assert isinstance(clip.jpegs, bytes)  # fresh ones
        num_frames = len(clip.frame_sizes)
        decision = self._view.decide(
            num_frames,
            height=clip.height,
            width=clip.width,
            label_id=records.UNLABELLED,
            rng=ClipRandom(0, 0, ""),
        )
        ends = np.cumsum(clip.frame_sizes).tolist()
        jpegs = [
            clip.jpegs[ends[i] - clip.frame_sizes[i] : ends[i]]
            for i in decision.frame_indices
        ]
        pixels = np.empty(views.clip_shape(self._view), np.uint8)
        by_crop = pixels.reshape(len(decision.crops), len(jpegs), *pixels.shape[-3:])
        size = clip.height, clip.width
        cropper = frames.CropDecoder(self._view.crop_px)
        cropper.decode(jpegs, size, decision.crops, by_crop.swapaxes(0, 1))
        return pixels

    def _decoder(self) -> KillableDecoder:
        decoder: KillableDecoder | None = getattr(self._of_thread, "decoder", None)
        if decoder is None:
            decoder = KillableDecoder(quarantine.DecodeLimits())
            self._of_thread.decoder = decoder
            self._decoders.append(decoder)
        return decoder


def stream_frames(source: str, fps: float | None = None) -> Iterator[Pixels]:
    """Yields the frames of a stream as they come, RGB (height, width, 3).

    They are decoded by the ffmpeg program, and not encoded as a data set's are.

    Args:
      source: a file, a camera's device such as /dev/video0, or "-" for standard input.
      fps: frames a second to yield; None for all that there are.

    Raises:
      ValueError: there is no such file, no frame in it, or ffmpeg failed.
      FfmpegNotFoundError: there is no ffmpeg on this machine.
    """
    if source != "-" and not Path(source).exists():
        raise ValueError(f"there is no stream {source}")
    rate = ["-vf", f"fps={fps}"] if fps else []
    command = [
        *(ffmpeg.ffmpeg_path(), "-hide_banner", "-loglevel", "error"),
        *_input(source),
        *(*rate, "-f", "image2pipe", "-c:v", "ppm", "-"),
    ]
    # Standard input is handed on where it is the stream, and closed elsewhere.
    stdin = None if source == "-" else subprocess.DEVNULL
    with subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        num_frames = 0
        try:
            while (frame := _read_ppm(process.stdout)) is not None:
                num_frames += 1
                yield frame
            status = process.wait()
        finally:
            process.kill()
    if status or not num_frames:
        raise ValueError(
            f"{source}: the stream ended after {num_frames} frames, ffmpeg by status "
            f"{status}"
        )


def _input(source: str) -> list[str]:
    if source == "-":
        return ["-i", "pipe:0"]
    is_device = stat.S_ISCHR(Path(source).stat().st_mode)
    return [*(["-f", "v4l2"] if is_device else []), "-i", f"file:{source}"]


def _read_ppm(file: IO[bytes]) -> Pixels | None:
    header = b""
    while not (match := _PPM.fullmatch(header)):
        byte = file.read(1)
        if not byte or len(header) == _MAX_PPM_HEADER:
            return None
        header += byte
    width, height = int(match[1]), int(match[2])
    content = file.read(height * width * 3)
    if len(content) < height * width * 3:
        return None
    return np.frombuffer(content, np.uint8).reshape(height, width, 3)
