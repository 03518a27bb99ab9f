"""Measures `clipmill infer` on a folder of videos against its network alone.

    network  batches that are in memory, before and after the other
    files    the same number of clips from files: read, decoded in processes that they
             may crash, viewed, scored and ranked, after the first batch, which compiles

Both are compiled for one batch and run in one process, one after the other. The ratios
are those of their rates by the clock, which whatever else the machine does distorts,
and by the time of the processors, in which all that decoding costs is counted. What was
decoded while the network was compiled, at most four clips a worker, is in favour of the
files by the clock. A table goes to standard error; the last line of standard output is
one JSON object.
"""

import argparse
import logging
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eval.running import process_start
from infra.benchmarks import measuring

if TYPE_CHECKING:  # MindSpore is imported when its process is prepared
    from model.tsm import TSM

__all__ = ["Options", "Times", "main", "summarise"]

logger = logging.getLogger(__name__)

_NUM_CLASSES = 174


@dataclass(frozen=True, slots=True)
class Options:
    """One benchmark.

    Attributes:
      num_clips: to draw and score.
      batch_size: clips at once.
      num_workers: processes that decode.
      workdir: folder for what is drawn; None means a temporary one.
    """

    arch: str = "resnet50"
    num_segments: int = 8
    crop_px: int = 224
    num_clips: int = 32
    batch_size: int = 4
    num_workers: int = 2
    workdir: Path | None = None

    def __post_init__(self) -> None:
        names = ("num_segments", "crop_px", "batch_size", "num_workers")
        measuring.check_at_least_one(self, *names)
        if self.num_clips < 2 * self.batch_size:
            raise ValueError(
                f"num_clips must be at least two batches of {self.batch_size}: "
                f"{self.num_clips}"
            )


@dataclass(frozen=True, slots=True)
class Times:
    """Of one clip."""

    seconds: float
    cpu_seconds: float


def summarise(network: Sequence[Times], files: Times) -> dict[str, float]:
    """Returns what a clip takes both ways, and the rates from files by the network's.

    Args:
      network: of each measurement of the network alone.
    """
    alone = Times(
        sum(times.seconds for times in network) / len(network),
        sum(times.cpu_seconds for times in network) / len(network),
    )
    return {
        "network_seconds": round(alone.seconds, 4),
        "files_seconds": round(files.seconds, 4),
        "ratio": round(alone.seconds / files.seconds, 4),
        "network_cpu_seconds": round(alone.cpu_seconds, 4),
        "files_cpu_seconds": round(files.cpu_seconds, 4),
        "cpu_ratio": round(alone.cpu_seconds / files.cpu_seconds, 4),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; the last line of standard output is its result."""
    return measuring.main(argv, _parser(), Options, _measure)


def _measure(options: Options, folder: Path) -> dict[str, object]:
    package = measuring.draw_package(folder, folder, options.num_clips)
    videos = next(package.rglob("*.webm")).parent
    process_start.prepare_mindspore()
    from eval import config
    from model import checkpoint

    config.use_device("CPU")
    network = _network(options)
    checkpoint.save(network, folder / "best.ckpt", {})
    before = _network_times(network, options)
    files = _files_times(options, videos, folder / "best.ckpt")
    after = _network_times(network, options)
    result = summarise([before, after], files)
    for name, value in result.items():
        logger.info("%-20s %.4f", name, value)
    return {**asdict(options), **result}


def _network(options: Options) -> "TSM":
    from model.cards import ModelCard
    from model.tsm import TSM, TSMConfig

    config = TSMConfig(
        num_classes=_NUM_CLASSES, arch=options.arch, num_segments=options.num_segments
    )
    network = TSM(config)
    view = {"crop_px": options.crop_px, "resize_px": options.crop_px * 8 // 7}
    names = tuple(f"class {label_id}" for label_id in range(_NUM_CLASSES))
    network.card = ModelCard(class_names=names, view=view)
    return network


def _network_times(network: "TSM", options: Options) -> Times:
    import numpy as np

    from eval import evaluate

    predict = evaluate.make_predict(network)
    side = options.crop_px
    shape = (options.batch_size, options.num_segments, 3, side, side)
    frames = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    predict(frames)  # compiles
    num_batches = options.num_clips // options.batch_size - 1
    num_clips = num_batches * options.batch_size
    began, cpu_began = time.monotonic(), time.process_time()
    for _ in range(num_batches):
        predict(frames)
    return Times(
        (time.monotonic() - began) / num_clips,
        (time.process_time() - cpu_began) / num_clips,
    )


def _files_times(options: Options, videos: Path, checkpoint: Path) -> Times:
    from eval import infer_files
    from eval.inference import InferOptions

    clips = tuple(sorted(videos.glob("*.webm")))
    lines = infer_files.infer_files(
        InferOptions(
            checkpoint,
            clips=clips,
            batch_size=options.batch_size,
            num_workers=options.num_workers,
        )
    )
    children_began = _children_seconds()
    for _ in range(options.batch_size):
        next(lines)
    began, cpu_began = time.monotonic(), time.process_time()
    num_lines = sum(1 for _ in lines)
    seconds, cpu_seconds = time.monotonic() - began, time.process_time() - cpu_began
    # Children count once they have ended, and then for all clips that they decoded.
    children = (_children_seconds() - children_began) / len(clips)
    return Times(seconds / num_lines, cpu_seconds / num_lines + children)


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    defaults = Options()
    parser.add_argument("--arch", default=defaults.arch)
    names = ("num_segments", "crop_px", "num_clips", "batch_size", "num_workers")
    for name in names:
        value = getattr(defaults, name)
        parser.add_argument(f"--{name}", type=int, default=value, help=f"({value})")
    parser.add_argument("--workdir", type=Path, help="for what is drawn (temporary)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
