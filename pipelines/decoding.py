"""One clip file in, its frames as JPEGs out, or the reason why not.

Runs only in a process that may crash (see decoding_child): the files come from
strangers and the decoders are native code.
"""

import hashlib
import math
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from mindrecord_io import jpeg_regions, records, schema
from pipelines import limits

__all__ = ["DecodeError", "decode_clip"]

Frame = npt.NDArray[np.uint8]

# What a container must begin with, by content and not by name; playlists and other
# files that refer to further files are no containers. (RFC 8794; ISO 14496-12; RIFF)
_SIGNATURES = (
    (0, b"\x1a\x45\xdf\xa3"),  # WebM, Matroska
    (4, b"ftyp"),  # MP4, MOV
    (8, b"AVI "),
)
_SIGNATURE_NUM_BYTES = 12
_FRAME_COUNT_TOLERANCE = 1  # containers round duration x rate


class DecodeError(ValueError):
    """A clip cannot be stored; `reason` is a short code, the text has the details."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def decode_clip(
    clip: records.PlannedClip,
    settings: records.DecodeSettings,
    clip_limits: limits.DecodeLimits,
) -> records.ClipFrames:
    """Decodes every frame of a clip and encodes each as JPEG.

    Raises:
      DecodeError: the file has changed since it was planned, is no video of a known
        container, breaks a limit, or yields other frames than its header promises.
    """
    path = Path(clip.uri)
    _check_content(path, clip.source)
    capture = _open(path)
    try:
        fps, num_promised = _promise(capture)
        jpegs: list[bytes] = []
        num_bytes = 0
        for frame in _frames(capture, clip_limits):
            sized = _reduced(frame, settings.short_side_px)
            jpegs.append(_encoded(sized, settings.jpeg_quality))
            num_bytes += len(jpegs[-1])
            if num_bytes > settings.page_num_bytes:
                raise DecodeError(
                    "too_large", schema.too_large(settings.page_num_bytes)
                )
    finally:
        capture.release()
    _check_num_frames(len(jpegs), num_promised)
    return records.ClipFrames(
        jpegs=b"".join(jpegs),
        frame_sizes=tuple(map(len, jpegs)),
        height=sized.shape[0],
        width=sized.shape[1],
        fps_from_header=fps,
        num_frames_from_header=num_promised,
    )


def _check_content(path: Path, planned: records.Fingerprint) -> None:
    try:
        content = path.read_bytes()
    except OSError as cause:
        raise DecodeError("unreadable", f"{path}: {cause.strerror}") from cause
    if not content:
        raise DecodeError("empty", f"{path} has no bytes")
    if hashlib.sha256(content).hexdigest() != planned.sha256:
        raise DecodeError(
            "changed", f"{path} changed since the build began ({len(content)} bytes)"
        )
    if not any(content[at : at + len(s)] == s for at, s in _SIGNATURES):
        start = content[:_SIGNATURE_NUM_BYTES].hex(" ")
        raise DecodeError(
            "not_video", f"{path} is not WebM, MKV, MP4, MOV or AVI: begins {start}"
        )


def _open(path: Path) -> cv2.VideoCapture:
    # One thread: the cores are shared out among processes, and it costs less CPU.
    options = [cv2.CAP_PROP_N_THREADS, 1]
    capture = cv2.VideoCapture(os.fspath(path), cv2.CAP_FFMPEG, options)
    if not capture.isOpened():
        raise DecodeError("not_decodable", f"{path}: no video stream can be opened")
    return capture


def _promise(capture: cv2.VideoCapture) -> tuple[float, int]:
    """Returns the header's frame rate and number of frames, 0 where it is silent."""
    fps = capture.get(cv2.CAP_PROP_FPS)
    num_frames = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    return (
        fps if math.isfinite(fps) and fps > 0 else 0.0,
        int(num_frames) if 0 < num_frames < 1 << 31 else 0,
    )


def _frames(
    capture: cv2.VideoCapture, clip_limits: limits.DecodeLimits
) -> Iterator[Frame]:
    """Yields frames in presentation order, BGR (H, W, 3).

    All have the first one's size: OpenCV scales those of a stream that changes it.
    """
    num_frames = 0
    while True:
        is_frame, frame = capture.read()
        if not is_frame:
            return
        num_frames += 1
        if num_frames > clip_limits.max_frames:
            limit = f"more than {clip_limits.max_frames} frames (--max_clip_frames)"
            raise DecodeError("too_long", limit)
        height, width = frame.shape[:2]
        if height * width > clip_limits.max_pixels:
            raise DecodeError(
                "frame_too_large",
                f"frames of {width}x{height}, the limit: {clip_limits.max_pixels} px",
            )
        yield frame


def _reduced(frame: Frame, short_side_px: int) -> Frame:
    """Returns the frame with the short side asked for; never enlarges."""
    height, width = frame.shape[:2]
    short = min(height, width)
    if short_side_px == 0 or short <= short_side_px:
        return frame
    size = (
        round(width * short_side_px / short),
        round(height * short_side_px / short),
    )
    resized: Frame = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    return resized


def _encoded(frame: Frame, quality: int) -> bytes:
    parameters = [
        *(cv2.IMWRITE_JPEG_QUALITY, quality),
        # Lets a reader cut a crop out of the bytes; costs 3 to 4 % more of them.
        *(cv2.IMWRITE_JPEG_RST_INTERVAL, jpeg_regions.restart_interval(frame.shape[1])),
    ]
    is_encoded, jpeg = cv2.imencode(".jpg", frame, parameters)
    if not is_encoded:
        raise DecodeError("not_encodable", f"no JPEG of a {frame.shape} frame")
    content: bytes = jpeg.tobytes()
    return content


def _check_num_frames(num_frames: int, num_promised: int) -> None:
    if num_frames == 0:
        raise DecodeError("no_frames", "the decoder found no frames")
    if num_promised and num_frames < num_promised - _FRAME_COUNT_TOLERANCE:
        raise DecodeError(
            "truncated", f"{num_frames} frames, the header promises {num_promised}"
        )
    if num_promised and num_frames > num_promised + _FRAME_COUNT_TOLERANCE:
        raise DecodeError(
            "too_many_frames",
            f"{num_frames} frames, the header promises {num_promised}",
        )
