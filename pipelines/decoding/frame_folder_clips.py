"""Reads a folder of JPEGs as a clip, keeping the files' own bytes where possible.

A file is stored as it is if it is a plain JPEG (see jpeg_headers), upright and not to
be reduced: nothing is encoded again. It is still decoded once, with the decoder that
readers of the data set use, to detect damage. Every other file is decoded by OpenCV,
turned by its Exif orientation and encoded; a warning of libjpeg counts as damage.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg

from mindrecord_io import records
from mindrecord_io.shards import jpeg_regions
from pipelines.decoding import (
    containers,
    decoder_log,
    jpeg_collector,
    jpeg_headers,
    verdicts,
)
from pipelines.quarantine import REASONS, ClipError, DecodeLimits
from pipelines.sources import frame_folders

__all__ = ["decode_frame_folder"]

_CUT_OFF = "Premature end of JPEG file"
_ROTATIONS = {3: 180, 4: 180, 5: 270, 6: 90, 7: 90, 8: 270}  # by Exif's orientation
_NUM_SHOWN_BYTES = 12

Pixels = npt.NDArray[np.uint8]


def decode_frame_folder(
    clip: records.PlannedClip,
    settings: records.DecodeSettings,
    clip_limits: DecodeLimits,
) -> records.ClipFrames:
    """Returns the frames of a clip that is a folder; its frame rate is unknown.

    Raises:
      ClipError: the folder is not the planned one or holds other than frames, the
        clip breaks a limit, or a frame is missing, damaged or of another size.
    """
    folder = Path(clip.uri)
    files = frame_folders.read(folder, clip.source, clip_limits.max_frames)
    jpegs = jpeg_collector.JpegCollector(settings, clip_limits)
    first: _Frame | None = None
    losses = [("missing_frames", f"no frame {files.gaps}")] if files.gaps else []
    for name, content in zip(files.names, files.contents, strict=True):
        try:
            frame = _frame(content, jpegs)
            first = first or frame
            _add(frame, first, jpegs)
        except ClipError as error:
            if not REASONS[error.reason].leaves_frames:
                raise ClipError(error.reason, f"{folder}/{name}: {error}") from error
            losses.append((error.reason, f"{name}: {error}"))
    num_lost = files.num_missing + sum(r != "missing_frames" for r, _ in losses)
    verdict = _verdict(folder, losses, num_lost, jpegs.num_frames)
    rotation_degrees = _ROTATIONS.get(first.orientation, 0) if first else 0
    facts = records.SourceFacts(
        rotation_degrees=rotation_degrees, num_frames_lost=num_lost
    )
    damage = verdicts.accepted_damage(
        verdict, jpegs.num_frames, settings.accept_partial, facts
    )
    return jpegs.stored(facts, damage)


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """One whole frame, as a JPEG to keep or as pixels to encode.

    Attributes:
      height, width: upright.
      jpeg: its file's own bytes, if these are to be stored; else None.
      pixels: BGR (H, W, 3), if the file's bytes are not to be stored.
    """

    height: int
    width: int
    orientation: int
    has_fine_colours: bool
    jpeg: bytes | None
    pixels: Pixels | None


def _frame(content: bytes, jpegs: jpeg_collector.JpegCollector) -> _Frame:
    """Decodes a frame's file, and decides whether to store its bytes or its pixels."""
    header = _header(content)
    size = (header.height, header.width)
    jpegs.refuse_large(*size)
    may_keep = header.is_plain and header.end > 0 and header.orientation == 1
    if may_keep and jpegs.keeps_size(*size):
        jpeg = content[: header.end]  # what is behind the picture's end is none of it
        if not _complaint(jpeg):
            return _Frame(*size, 1, header.has_fine_colours, jpeg, None)
    pixels = _pixels(content)
    height, width = pixels.shape[:2]
    fine = header.has_fine_colours
    return _Frame(height, width, header.orientation, fine, None, pixels)


def _header(content: bytes) -> jpeg_headers.JpegHeader:
    if not content:
        raise ClipError("truncated", "has no bytes")
    header = jpeg_headers.read(content)
    if header is not None:
        return header
    if content.startswith(b"\xff\xd8"):
        raise ClipError("damaged", "the header of the JPEG is damaged or cut off")
    kind = containers.kind(content) or containers.foreign_kind(content)
    start = kind or f"begins {content[:_NUM_SHOWN_BYTES].hex(' ')}"
    raise ClipError("not_jpeg", f"is no JPEG: {start}")


def _complaint(jpeg: bytes) -> str:
    """Returns the error of the decoder that readers use on a JPEG, "" if none."""
    try:
        height, width, _ = _as_read(jpeg).shape
        grid = jpeg_regions.read_grid(jpeg)
        if grid is not None:  # readers cut it up, and join what is of several frames
            whole = (0, 0, height, width)
            for stack in jpeg_regions.stacks([jpeg] * 2, grid, whole, 2):
                _as_read(stack.jpeg)
    except ValueError as error:
        return str(error)
    return ""


def _as_read(jpeg: bytes | bytearray) -> Pixels:
    pixels: Pixels = simplejpeg.decode_jpeg(
        jpeg, "RGB", fastdct=True, fastupsample=True
    )
    return pixels


def _pixels(jpeg: bytes) -> Pixels:
    """Returns a picture upright, BGR (H, W, 3)."""
    with decoder_log.captured() as log:
        content = np.frombuffer(jpeg, np.uint8)
        pixels: Pixels | None = cv2.imdecode(content, cv2.IMREAD_COLOR)
    if pixels is not None and not log.text:
        return pixels
    complaint = log.text.strip() or _complaint(jpeg) or "OpenCV cannot decode it"
    raise ClipError("truncated" if _CUT_OFF in complaint else "damaged", complaint)


def _add(frame: _Frame, first: _Frame, jpegs: jpeg_collector.JpegCollector) -> None:
    if (frame.height, frame.width) != (first.height, first.width):
        raise ClipError(
            "concatenated",
            f"is {frame.width}x{frame.height}, the first frame "
            f"{first.width}x{first.height}: not one clip",
        )
    if frame.jpeg is not None:
        jpegs.add_jpeg(frame.jpeg, frame.height, frame.width)
    elif frame.pixels is not None:
        jpegs.add(frame.pixels, frame.has_fine_colours)


def _verdict(
    folder: Path, losses: list[tuple[str, str]], num_lost: int, num_frames: int
) -> verdicts.Verdict:
    """Returns what is wrong with a clip that has these losses (reason, detail)."""
    if not losses:
        return verdicts.Verdict("", "", 0)
    reason, first = losses[0]
    lost = f"{num_lost} of {num_frames + num_lost} frames lost"
    return verdicts.Verdict(reason, f"{folder}: {lost}: {first}", num_lost)
