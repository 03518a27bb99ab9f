"""Decodes a clip as a decoding process would, for tests of what comes of it."""

import cv2
import numpy as np
import pytest
import simplejpeg

from mindrecord_io import records
from mindrecord_io.storage import files
from pipelines import quarantine
from pipelines.decoding import clip_decoding
from pipelines.sources import frame_folders

LEVELS = (20, 50, 80, 110, 140, 170)
"""The grey levels of the frames of the fixture `grey`."""

LIMITS = quarantine.DecodeLimits()


def decode(path, *, clip_limits=LIMITS, **settings):
    fingerprint = frame_folders.fingerprint if path.is_dir() else files.fingerprint
    clip = records.PlannedClip(path.stem, 0, str(path), fingerprint(path))
    return clip_decoding.decode_clip(
        clip, records.DecodeSettings(**settings), clip_limits
    )


def refused(path, **arguments):
    """The reason and the detail of a clip that is not to be stored."""
    with pytest.raises(quarantine.ClipError) as caught:
        decode(path, **arguments)
    return caught.value.reason, str(caught.value)


def jpegs(frames):
    ends = np.cumsum(frames.frame_sizes)
    return np.split(np.frombuffer(frames.jpegs, np.uint8), ends[:-1])


def pictures(frames):
    """Decodes the JPEGs again: one BGR array a frame."""
    return [cv2.imdecode(jpeg, cv2.IMREAD_COLOR) for jpeg in jpegs(frames)]


def training_pictures(frames):
    """The same as training does it: RGB, each pixel with its block's colour."""
    return [
        simplejpeg.decode_jpeg(jpeg.tobytes(), "RGB", fastupsample=True)
        for jpeg in jpegs(frames)
    ]
