"""Runs an exported network over a folder of .bin files, one call a clip.

MindSpore on the processor or ONNX Runtime stands in for the device.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.device import metadata, runners
from eval.device.layout import ClipFolder, ResultFolder
from mindrecord_io.storage import files

__all__ = ["RunOptions", "RunResult", "run"]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """One call of the command: `input` is of preprocess, `output` for the results."""

    network: Path
    input: Path
    output: Path


@dataclass(frozen=True, slots=True)
class RunResult:
    """How many calls there were, and their milliseconds."""

    output: str
    num_clips: int
    load_ms: float
    median_ms: float
    p95_ms: float
    mean_ms: float


def run(options: RunOptions) -> RunResult:
    """Loads the network once and writes each clip's logits.

    Raises:
      ValueError: the folder was made for a network with another input.
    """
    described = metadata.read(options.network)
    if described["consensus"] != "avg":
        raise ValueError(
            f"{options.network} has logits for each segment (consensus "
            f"{described['consensus']!r}), not for the clip: it needs 'avg'"
        )
    clips, results = ClipFolder(options.input), ResultFolder(options.output)
    content = clips.describe()
    _check_input(options, described, content)
    results.begin()
    began = time.perf_counter()
    runner = runners.open_runner(options.network)
    load_ms = 1000 * (time.perf_counter() - began)
    times = []
    for number in range(len(content["clip_ids"])):
        frames = np.fromfile(clips.frames(number), content["dtype"])
        began = time.perf_counter()
        (logits,) = runner(frames.reshape(content["shape"]))
        times.append(1000 * (time.perf_counter() - began))
        files.replace_file(
            results.logits(number), logits.astype("<f4", copy=False).tobytes()
        )
    lines = [f"frames{number}.bin {ms:.3f}" for number, ms in enumerate(times)]
    files.replace_file(results.times, "\n".join([*lines, ""]).encode())
    median, p95 = np.percentile(times, [50, 95]).tolist()
    return RunResult(
        output=str(options.output),
        num_clips=len(times),
        load_ms=round(load_ms, 3),
        median_ms=round(median, 3),
        p95_ms=round(p95, 3),
        mean_ms=round(float(np.mean(times)), 3),
    )


def _check_input(
    options: RunOptions, described: Mapping[str, Any], content: Mapping[str, Any]
) -> None:
    """Raises ValueError if the clips were not written for the network's input."""
    shape = list(metadata.shape_of_a_clip(described))
    if (described["input"]["dtype"], shape) != (content["dtype"], content["shape"]):
        raise ValueError(
            f"{options.input} has {content['dtype']} {content['shape']}, but "
            f"{options.network} takes {described['input']['dtype']} "
            f"{described['input']['shape']}: write the clips for it"
        )
