"""Measures what a clip costs one thread by stage, beside bare decoding of its frames.

The processor time of this thread alone, eight clips bare, eight as training reads them
and eight to luma in turn, so that whatever else the machine does meets all. It prints,
for each way, milliseconds a clip, and medians of ratios to ours.

Luma alone, of the cells under the crop, is less than any decoding costs that leaves
planes of luma and chroma for a device to resize.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg

from mindrecord_io.serving import clip_index, clip_reader, frames, views
from mindrecord_io.shards import jpeg_regions
from mindrecord_io.versions import opening

__all__ = ["main", "measure"]

Read = Callable[[Sequence[int], int, int], None]

_GROUP = 8  # clips, as many as a task of the reader
_BATCH = 64
_STAGES = (
    ("decide", clip_reader.ClipReader, "decide"),
    ("read", clip_reader.ClipReader, "read_jpegs"),
    ("cut", jpeg_regions, "stacks"),
    ("jpeg", simplejpeg, "decode_jpeg"),
    ("resample", cv2, "resize"),
    ("split", cv2, "split"),
)


def measure(dataset: Path, num_epochs: int) -> dict[str, Any]:
    """Returns milliseconds a clip by way and stage, and the others over ours."""
    index = clip_index.read_clip_index(opening.open_version(dataset), "train")
    ways = _ways(index)
    stages: dict[str, dict[str, int]] = {way: {} for way in ways}
    totals: dict[str, list[float]] = {way: [] for way in ways}
    for epoch in range(-1, num_epochs):  # the first warms up
        for number, first in enumerate(range(0, len(index), _GROUP)):
            rows = range(first, min(first + _GROUP, len(index)))
            for way, read in ways.items():
                with _timed(stages[way] if epoch >= 0 else {}):
                    began = time.thread_time()
                    read(rows, max(epoch, 0), number * _GROUP % _BATCH)
                    seconds = time.thread_time() - began
                if epoch >= 0:
                    totals[way].append(1000 * seconds / len(rows))
    num_ns = 1e6 * num_epochs * len(index)
    result: dict[str, Any] = {
        way: {"ms": round(statistics.median(totals[way]), 3)}
        | {stage: round(ns / num_ns, 3) for stage, ns in stages[way].items()}
        for way in ways
    }
    for way in ("bare", "luma"):
        pairs = zip(totals[way], totals["ours"], strict=True)
        ratio = statistics.median(a / b for a, b in pairs)
        result[f"{way}_over_ours"] = round(ratio, 3)
    return result


def _ways(index: clip_index.ClipIndex) -> dict[str, Read]:
    view = views.TrainView()
    files = frames.ShardFiles(index.shard_paths)
    reader = clip_reader.ClipReader(index, view, 0, files)
    decoder = frames.CropDecoder(view.crop_px)
    buffer = np.empty(1 << 22, np.uint8)
    batch = np.zeros((_BATCH, *views.clip_shape(view)), np.uint8)

    def bare(rows: Sequence[int], epoch: int, begin: int) -> None:
        for clip in (reader.see(row, epoch, 0) for row in rows):
            for jpeg in clip.jpegs:
                simplejpeg.decode_jpeg(
                    jpeg, "RGB", fastdct=True, fastupsample=True, buffer=buffer
                )

    def ours(rows: Sequence[int], epoch: int, begin: int) -> None:
        clips = [reader.see(row, epoch, 0) for row in rows]
        reader.decode(rows, clips, batch[begin : begin + len(rows)])

    def luma(rows: Sequence[int], epoch: int, begin: int) -> None:
        clips = [reader.see(row, epoch, 0) for row in rows]
        sizes = [(int(index.heights[row]), int(index.widths[row])) for row in rows]
        cuts = [
            decoder.cut(clip.jpegs, size, clip.decision.crops)
            for clip, size in zip(clips, sizes, strict=True)
        ]
        for cut in cuts:
            _decode_luma(cut, buffer)

    return {"bare": bare, "ours": ours, "luma": luma}


def _decode_luma(cut: frames.CutFrames, buffer: npt.NDArray[np.uint8]) -> None:
    for part in cut.parts:
        height, width = (-(-side // cut.divisor) for side in part.size)
        simplejpeg.decode_jpeg(
            part.jpeg,
            "GRAY",
            fastdct=True,
            min_height=height,
            min_width=width,
            min_factor=cut.divisor,
            buffer=buffer,
        )


@contextmanager
def _timed(stages: dict[str, int]) -> Iterator[None]:
    """Adds up the nanoseconds of this thread in each stage."""

    def timed(stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **named: Any) -> Any:
            began = time.thread_time_ns()
            result = call(*args, **named)
            stages[stage] = stages.get(stage, 0) + time.thread_time_ns() - began
            return result

        return run

    patches = [
        mock.patch.object(owner, name, timed(stage, getattr(owner, name)))
        for stage, owner, name in _STAGES
    ]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and prints one JSON object; see the module."""
    parser = argparse.ArgumentParser(
        description="Measures what a clip costs one thread by stage.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("dataset", type=Path, metavar="DATASET")
    parser.add_argument("--num_epochs", type=int, default=5, help="of the train split")
    flags = parser.parse_args(argv)
    cv2.setNumThreads(1)
    frames.allow_inexact_resampling()
    print(json.dumps(measure(flags.dataset, flags.num_epochs)))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
