"""Decodes one clip and encodes its frames as JPEGs, or refuses it with a reason.

libavcodec decodes plain clips inside this process, at a third of the cost of another
process. Its frames are used where the container is whole, its headers are sound, the
frame count matches, and libavcodec logged nothing. Every other clip, and every clip
whose colours are not 4:2:0 BT.601, is decoded by the ffmpeg program (second_opinion).

Runs only in a process that may crash (decoder_child): the files are not trusted and the
decoders are native code.
"""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from mindrecord_io import records
from pipelines.decoding import (
    clip_file,
    complaints,
    decoder_log,
    frame_folder_clips,
    jpeg_collector,
    libav,
    second_opinion,
    verdicts,
)
from pipelines.quarantine import ClipError, DecodeLimits

__all__ = ["decode_clip"]

Frame = npt.NDArray[np.uint8]


def decode_clip(
    clip: records.PlannedClip,
    settings: records.DecodeSettings,
    clip_limits: DecodeLimits,
) -> records.ClipFrames:
    """Decodes every frame of a clip and encodes each as JPEG.

    Raises:
      ClipError: the file has another checksum than listed or planned, is no video in
        a supported container, breaks a limit, is damaged, or yields another number of
        frames than its container promises.
    """
    _check_checksum(clip)
    if Path(clip.uri).is_dir():
        return frame_folder_clips.decode_frame_folder(clip, settings, clip_limits)
    file = clip_file.read_clip_file(Path(clip.uri), clip.source)
    header = libav.read_header(file)
    try:
        frames = _decode_here(file, header, settings, clip_limits)
        return frames or _decode_by_ffmpeg(file, header, settings, clip_limits)
    except ClipError as error:
        if (
            error.facts == records.SourceFacts()
        ):  # nothing was known where it was raised
            error.facts = header
        raise


def _decode_here(
    file: clip_file.ClipFile,
    header: records.SourceFacts,
    settings: records.DecodeSettings,
    clip_limits: DecodeLimits,
) -> records.ClipFrames | None:
    """Returns a plain clip's frames, decoded in this process; None if in doubt."""
    jpegs = jpeg_collector.JpegCollector(settings, clip_limits)
    with decoder_log.captured() as log:
        if file.is_plain and not file.problem:
            for frame in libav.frames(file):
                jpegs.add(frame)
    is_whole = (
        not complaints.of_library(log.text)
        and 0 < jpegs.num_frames == file.num_frames
        and not verdicts.is_short_of_its_duration(file)
    )
    if is_whole and file.structure is not None:
        times = file.structure.times_seconds
        return jpegs.stored(verdicts.source_facts(header, times, jpegs.num_frames))
    return None


def _check_checksum(clip: records.PlannedClip) -> None:
    if clip.expected_sha256:
        raise ClipError(
            records.WRONG_CHECKSUM,
            f"{clip.uri} has SHA-256 {clip.source.sha256}, its checksum is "
            f"{clip.expected_sha256}",
        )


def _decode_by_ffmpeg(
    file: clip_file.ClipFile,
    header: records.SourceFacts,
    settings: records.DecodeSettings,
    clip_limits: DecodeLimits,
) -> records.ClipFrames:
    jpegs = jpeg_collector.JpegCollector(settings, clip_limits)

    def add(frame: Frame, has_fine_colours: bool) -> None:
        jpegs.add(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), has_fine_colours)

    opinion = second_opinion.decode(file.path, clip_limits, add)
    verdict = verdicts.verdict_on(file, header, opinion)
    seconds = header.duration_seconds_from_header or opinion.duration_seconds
    facts = dataclasses.replace(
        verdicts.source_facts(header, opinion.times_seconds, jpegs.num_frames),
        duration_seconds_from_header=seconds,
        rotation_degrees=opinion.rotation_degrees,
        num_frames_lost=verdict.num_lost,
    )
    damage = verdicts.accepted_damage(
        verdict, jpegs.num_frames, settings.accept_partial, facts
    )
    return jpegs.stored(facts, damage)
