"""Predictions for video files, folders of frames, and streams of frames."""

import contextlib
import os
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

import numpy as np

from eval import config, evaluate, inference, video_files
from eval.inference import Floats, InferOptions
from mindrecord_io import records
from mindrecord_io.serving import views
from mindrecord_io.serving.frames import CropDecoder
from model.streaming import Stream
from model.tsm import TSM

__all__ = ["RefusedError", "infer_files", "infer_stream"]


class RefusedError(RuntimeError):
    """Some clips could not be scored; the others were."""


def infer_files(options: InferOptions) -> Iterator[dict[str, Any]]:
    """Yields a line for each video file or folder of frames, in order.

    {"path", "labels", "probabilities"}, or {"path", "reason", "detail"} of a clip that
    cannot be decoded.

    Raises:
      checkpoint.CheckpointError: the checkpoint cannot be used.
      ValueError: a path has no clips, or the checkpoint has no class names.
      RefusedError: at the end, if any clip could not be decoded.
    """
    paths = video_files.find(options.clips)
    config.use_device(options.device_target)
    network = inference.load_network(options)
    names = inference.class_names_of(network, options)
    settings = options.settings(network, len(paths))
    view = settings.view(network.config.num_segments)
    num_workers = options.num_workers or len(os.sched_getaffinity(0))
    clips = video_files.VideoReader(view, _decode_settings(network), num_workers)
    predict = evaluate.make_predict(network)
    refused: Counter[str] = Counter()
    with contextlib.closing(clips):
        num_clips = max(1, settings.eval_batch_size // view.num_views)
        for part in _batches(clips.read(paths), num_clips):
            seen = [clip for clip in part if isinstance(clip, video_files.Seen)]
            scores = iter(())
            if seen:
                frames = np.stack([clip.pixels for clip in seen])
                scores = iter(
                    inference.scores_of(predict, frames, settings, len(names))
                )
            for clip in part:
                if isinstance(clip, video_files.Refused):
                    refused[clip.reason] += 1
                    line = {"reason": clip.reason, "detail": clip.detail}
                else:
                    line = inference.ranked(next(scores), names)
                yield {"path": str(clip.path), **line}
    if refused:
        reasons = ", ".join(f"{reason} {num}" for reason, num in refused.items())
        raise RefusedError(
            f"{refused.total()} of {len(paths)} clips could not be decoded: {reasons}"
        )


def infer_stream(options: InferOptions) -> Iterator[dict[str, Any]]:
    """Yields a line for each frame of a stream, as it comes.

    The labels are those of the mean of the last logits, of as many frames as a clip has
    segments: after that many they are what the network has for a clip of them.

    Raises:
      checkpoint.CheckpointError: the checkpoint cannot be used.
      ValueError: it is not of an online network, or the stream has no frames.
    """
    assert options.stream is not None
    config.use_device(options.device_target, is_compiled=False)
    network = inference.load_network(options)
    names = inference.class_names_of(network, options)
    settings = options.settings(network, 1)
    stream = Stream(network)
    view = views.CentreView(
        num_segments=1, crop_px=settings.crop_px, resize_px=settings.resize_px
    )
    cropper = CropDecoder(settings.crop_px)
    recent: deque[Floats] = deque(maxlen=network.config.num_segments)
    frames = video_files.stream_frames(options.stream, options.stream_fps)
    for index, pixels in enumerate(frames):
        height, width, _ = pixels.shape
        crops = view.decide(1, height=height, width=width, label_id=-1).crops
        seen = np.empty((1, 3, settings.crop_px, settings.crop_px), np.uint8)
        cropper.crop(pixels, crops, seen)
        recent.append(stream.push(seen)[0])
        mean = np.mean(np.stack(recent), axis=0)
        yield {"frame": index, **inference.ranked(mean, names)}


def _decode_settings(network: TSM) -> records.DecodeSettings:
    """Returns how the frames of the data set were made, defaults if unknown."""
    settings: records.DecodeSettings
    settings = records.from_json(
        records.DecodeSettings, dict(network.card.decode_settings)
    )
    return settings


def _batches(
    clips: Iterator[video_files.Seen | video_files.Refused], num_clips: int
) -> Iterator[list[video_files.Seen | video_files.Refused]]:
    """Yields parts of the clips that have `num_clips` to score each, but the last."""
    part: list[video_files.Seen | video_files.Refused] = []
    num_seen = 0
    for clip in clips:
        part.append(clip)
        num_seen += isinstance(clip, video_files.Seen)
        if num_seen == num_clips:
            yield part
            part, num_seen = [], 0
    if part:
        yield part
