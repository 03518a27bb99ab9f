"""One clip file in, its frames as JPEGs out, or the reason why not.

OpenCV decodes, as it is three times as fast as any way through another process. It is
believed where nothing casts doubt: the container is whole, its headers are sound, the
frames are as many as it holds, and the libraries below OpenCV have not said a word.
About every other clip ffmpeg is asked (see second_opinion), and about those whose
colours OpenCV would get wrong: it takes every stream for BT.601 of limited range.

Runs only in a process that may crash (see decoding_child): the files come from
strangers and the decoders are native code.
"""

import dataclasses
import math
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from mindrecord_io import records
from pipelines import (
    clip_file,
    decoder_log,
    decoding_frame_folder,
    decoding_jpegs,
    limits,
    second_opinion,
    verdicts,
)

__all__ = ["DecodeError", "decode_clip"]

DecodeError = clip_file.DecodeError
Frame = npt.NDArray[np.uint8]


def decode_clip(
    clip: records.PlannedClip,
    settings: records.DecodeSettings,
    clip_limits: limits.DecodeLimits,
) -> records.ClipFrames:
    """Decodes every frame of a clip and encodes each as JPEG.

    Raises:
      DecodeError: the file is not the one its supplier or the plan knows, is no video
        of a known container, breaks a limit, is damaged, or yields other frames than
        it holds.
    """
    _check_checksum(clip)
    if Path(clip.uri).is_dir():
        return decoding_frame_folder.decode_frame_folder(clip, settings, clip_limits)
    file = clip_file.read_clip_file(Path(clip.uri), clip.source)
    jpegs = decoding_jpegs.JpegCollector(settings, clip_limits)
    with decoder_log.captured() as log:
        header = _decode_by_opencv(file, jpegs)
    is_believed = (
        not log.text
        and 0 < jpegs.num_frames == file.num_frames
        and not verdicts.is_short_of_its_duration(file)
    )
    if is_believed and file.structure is not None:
        times = file.structure.times_seconds
        return jpegs.stored(**verdicts.facts(header, times, jpegs.num_frames))
    return _decode_by_ffmpeg(file, header, settings, clip_limits)


def _check_checksum(clip: records.PlannedClip) -> None:
    if clip.expected_sha256:
        raise DecodeError(
            records.WRONG_CHECKSUM,
            f"{clip.uri} has SHA-256 {clip.source.sha256}, its checksum is "
            f"{clip.expected_sha256}",
        )


def _decode_by_opencv(
    file: clip_file.ClipFile, jpegs: decoding_jpegs.JpegCollector
) -> verdicts.Header:
    """Returns what the header says; takes the frames, if OpenCV is fit for them."""
    try:
        capture = _open(file.path)
        try:
            header = _header(capture, file)
            if file.is_plain and not file.doubt:
                for frame in _frames(capture):
                    jpegs.take(frame)
        finally:
            capture.release()
    except cv2.error as error:
        if error.code == cv2.Error.STS_NO_MEM:
            raise
        return verdicts.Header()  # ffmpeg may say more
    return header


def _decode_by_ffmpeg(
    file: clip_file.ClipFile,
    header: verdicts.Header,
    settings: records.DecodeSettings,
    clip_limits: limits.DecodeLimits,
) -> records.ClipFrames:
    jpegs = decoding_jpegs.JpegCollector(settings, clip_limits)

    def take(frame: Frame, has_fine_colours: bool) -> None:
        jpegs.take(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), has_fine_colours)

    opinion = second_opinion.ask(file.path, clip_limits, take)
    verdict = verdicts.verdict_on(file, header, opinion)
    if verdict.reason and not verdicts.is_acceptable(
        verdict, jpegs.num_frames, settings.accept_partial
    ):
        raise DecodeError(verdict.reason, verdict.detail)
    if not header.duration_seconds:
        header = dataclasses.replace(header, duration_seconds=opinion.duration_seconds)
    damage = f"{verdict.reason}: {verdict.detail}" if verdict.reason else ""
    return jpegs.stored(
        rotation_degrees=opinion.rotation_degrees,
        num_frames_lost=verdict.num_lost,
        damage=damage,
        **verdicts.facts(header, opinion.times_seconds, jpegs.num_frames),
    )


def _open(path: Path) -> cv2.VideoCapture:
    # One thread: the cores are shared out among processes, and it costs less CPU.
    options = [cv2.CAP_PROP_N_THREADS, 1]
    return cv2.VideoCapture(os.fspath(path), cv2.CAP_FFMPEG, options)


def _header(capture: cv2.VideoCapture, file: clip_file.ClipFile) -> verdicts.Header:
    """Returns the header's claims; what cannot be opened has none."""
    fps = capture.get(cv2.CAP_PROP_FPS)
    num_frames = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    return verdicts.Header(
        fps=fps if math.isfinite(fps) and fps > 0 else 0.0,
        num_frames=int(num_frames) if 0 < num_frames < 1 << 31 else 0,
        duration_seconds=file.structure.duration_seconds if file.structure else 0.0,
    )


def _frames(capture: cv2.VideoCapture) -> Iterator[Frame]:
    """Yields frames in order of presentation, BGR (H, W, 3)."""
    while True:
        is_frame, frame = capture.read()
        if not is_frame:
            return
        yield frame
