"""Measures `clipmill infer` on a folder of videos against its network alone.

    network  batches that are in memory, before and after the other
    files    the same number of clips from files: read, decoded in processes that they
             may crash, viewed, scored and ranked, after the first batch, which compiles

Both are compiled for one batch and run in one process, one after the other. The ratio
is that of their rates by the clock. What was decoded while the network was compiled, at
most four clips a worker, is in favour of the files. A table goes to standard error; the
last line of standard output is one JSON object.
"""

import argparse
import logging
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

__all__ = ["Options", "main", "summarise"]

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


def summarise(
    network_seconds: Sequence[float], files_seconds: float
) -> dict[str, float]:
    """Returns seconds a clip of both, and the rate from files over that of the network.

    Args:
      network_seconds: a clip's, of each measurement of the network alone.
      files_seconds: a clip's, from files.
    """
    network = sum(network_seconds) / len(network_seconds)
    return {
        "network_seconds": round(network, 4),
        "files_seconds": round(files_seconds, 4),
        "ratio": round(network / files_seconds, 4),
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
    before = _network_seconds(network, options)
    files = _files_seconds(options, videos, folder / "best.ckpt")
    after = _network_seconds(network, options)
    result = summarise([before, after], files)
    for name, value in result.items():
        logger.info("%-16s %.4f", name, value)
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


def _network_seconds(network: "TSM", options: Options) -> float:
    import numpy as np

    from eval import evaluate

    predict = evaluate.make_predict(network)
    side = options.crop_px
    shape = (options.batch_size, options.num_segments, 3, side, side)
    frames = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    predict(frames)  # compiles
    num_batches = options.num_clips // options.batch_size - 1
    began = time.monotonic()
    for _ in range(num_batches):
        predict(frames)
    return (time.monotonic() - began) / (num_batches * options.batch_size)


def _files_seconds(options: Options, videos: Path, checkpoint: Path) -> float:
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
    for _ in range(options.batch_size):
        next(lines)
    began = time.monotonic()
    num_lines = sum(1 for _ in lines)
    return (time.monotonic() - began) / num_lines


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
