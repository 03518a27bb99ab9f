"""Identifies what decides the pixels that this machine makes of a clip.

Two machines may make other frames of one file: by other libraries, or because the
same ones convert colours by other instructions (x86 and ARM differ in nine pixels of
ten). So every worker decodes and encodes a few tiny clips before its first shard, by
both ways that a clip may go. What becomes of them and its libraries identify it.
"""

import functools
import hashlib
import platform
from collections.abc import Iterator
from pathlib import Path

import av
import cv2

from mindrecord_io.records import DecoderIdentity, DecodeSettings, PlannedClip
from mindrecord_io.storage import files
from pipelines import ffmpeg
from pipelines.decoding import clip_decoding
from pipelines.quarantine import ClipError, DecodeLimits

__all__ = ["PROBES", "of_this_process"]

PROBES = Path(__file__).parent / "probes"
"""Drawn clips: VP9 of an odd size is decoded in this process, the others by ffmpeg."""

_SETTINGS = (DecodeSettings(), DecodeSettings(short_side_px=48))  # as they are, reduced


@functools.cache
def of_this_process() -> DecoderIdentity:
    """Returns the identity of the decoders that this process uses."""
    digest = hashlib.sha256()
    for part in _outcomes():
        digest.update(len(part).to_bytes(8) + part)
    return DecoderIdentity(
        machine=platform.machine(),
        libraries=tuple(_libraries()),
        fingerprint=digest.hexdigest(),
    )


def _outcomes() -> Iterator[bytes]:
    """Yields the JPEGs of each built-in clip, or the reason why it has none."""
    for path in sorted(PROBES.iterdir()):
        clip = PlannedClip(path.stem, 0, str(path), files.fingerprint(path))
        for settings in _SETTINGS if path.suffix == ".webm" else _SETTINGS[:1]:
            try:
                frames = clip_decoding.decode_clip(clip, settings, DecodeLimits())
            except ClipError as error:
                yield error.reason.encode()
            else:
                assert isinstance(frames.jpegs, bytes)
                yield frames.jpegs


def _libraries() -> Iterator[str]:
    versions = {name: ".".join(map(str, v)) for name, v in av.library_versions.items()}
    names = ("libavcodec", "libavformat", "libswscale")
    parts = ", ".join(f"{name} {versions[name]}" for name in names if name in versions)
    yield f"PyAV {av.__version__} ({parts})"
    yield f"OpenCV {cv2.__version__}"
    try:
        yield f"ffmpeg {ffmpeg.version()}"
    except ffmpeg.FfmpegNotFoundError:
        yield "no ffmpeg"
