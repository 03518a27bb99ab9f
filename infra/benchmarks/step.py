"""Measures a training step: what the temporal shift costs, and the waiting for clips.

    shifted    a step of TSM by a batch that is in memory
    unshifted  the same of the same network without its shift (TSN)
    bare       a step of the compiled TSM by inputs that are ready, of which the loss
               alone is read: what `shifted` adds is the program's own
    waiting    the share of the time in which TSM, trained from a data set by the reader
               as `python -m train` does it, has no batch to go on with

The networks are compiled (graph mode), then take turns step by step, so that whatever
else the machine does meets both; the cost is the median of the ratios of each pair, by
the clock and by the time of the processors. Without --dataset a few clips are drawn and
built first. A table goes to standard error; the last line of standard output is one
JSON object.
"""

import argparse
import functools
import logging
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eval.running import process_start
from infra.benchmarks import measuring

if TYPE_CHECKING:  # MindSpore is imported when its process is prepared
    from mindrecord_io.serving import reader
    from train import clips, learner

__all__ = ["Options", "Result", "Times", "main", "summarise", "table"]

logger = logging.getLogger(__name__)

PLACES = {"shifted": "blockres", "unshifted": "none"}
_NUM_CLIPS = 24  # to draw
_NUM_CLASSES = 174


@dataclass(frozen=True, slots=True)
class Options:
    """One benchmark.

    Attributes:
      batch_size: clips of a step.
      num_steps: measured of each network, after the one that compiles it.
      dataset: to read from; None draws one.
      workdir: folder for what is drawn; None means a temporary one.
    """

    arch: str = "resnet50"
    num_segments: int = 8
    crop_px: int = 224
    batch_size: int = 1
    num_steps: int = 10
    dataset: Path | None = None
    workdir: Path | None = None

    def __post_init__(self) -> None:
        names = ("num_segments", "crop_px", "batch_size", "num_steps")
        measuring.check_at_least_one(self, *names)


@dataclass(frozen=True, slots=True)
class Times:
    """Of one step."""

    seconds: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured.

    Attributes:
      median: of each network's steps.
      seconds_ratio, cpu_ratio: shifted over unshifted, the median over the turns.
      bare_seconds_ratio, bare_cpu_ratio: shifted over bare.
      waiting_share: in [0, 1].
    """

    median: Mapping[str, Times]
    seconds_ratio: float
    cpu_ratio: float
    bare_seconds_ratio: float
    bare_cpu_ratio: float
    waiting_share: float


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; the last line of standard output is its result."""
    return measuring.main(argv, _parser(), Options, _measure)


def summarise(pairs: Sequence[Mapping[str, Times]], waiting_share: float) -> Result:
    """Returns the medians of steps that were done in turns."""
    ratios = {
        (other, field): statistics.median(
            getattr(pair["shifted"], field) / getattr(pair[other], field)
            for pair in pairs
        )
        for other in ("unshifted", "bare")
        for field in ("seconds", "cpu_seconds")
    }
    return Result(
        median={
            name: Times(
                round(statistics.median(pair[name].seconds for pair in pairs), 4),
                round(statistics.median(pair[name].cpu_seconds for pair in pairs), 4),
            )
            for name in pairs[0]
        },
        seconds_ratio=round(ratios["unshifted", "seconds"], 4),
        cpu_ratio=round(ratios["unshifted", "cpu_seconds"], 4),
        bare_seconds_ratio=round(ratios["bare", "seconds"], 4),
        bare_cpu_ratio=round(ratios["bare", "cpu_seconds"], 4),
        waiting_share=round(waiting_share, 4),
    )


def table(result: Result) -> str:
    """Returns the result for people."""
    lines = [f"{'step of':<12}{'seconds':>9}{'of processors':>15}"]
    for name, times in result.median.items():
        lines.append(f"{name:<12}{times.seconds:>9.3f}{times.cpu_seconds:>15.3f}")
    return "\n".join(
        [
            *lines,
            f"{'ratio':<12}{result.seconds_ratio:>9.3f}{result.cpu_ratio:>15.3f}",
            f"{'to bare':<12}{result.bare_seconds_ratio:>9.3f}"
            f"{result.bare_cpu_ratio:>15.3f}",
            f"waiting for clips: {result.waiting_share:.2%} of the time",
        ]
    )


def _draw_dataset(folder: Path) -> Path:
    package = measuring.draw_package(folder, folder, _NUM_CLIPS)
    dataset = folder / "dataset"
    measuring.build(package, dataset)
    return dataset


def _measure(options: Options, folder: Path) -> dict[str, object]:
    dataset = options.dataset or _draw_dataset(folder)
    process_start.prepare_mindspore()
    from eval import config

    config.use_device("CPU")
    batch = next(iter(_open(options, dataset)))
    learners = {name: _learner(options, place) for name, place in PLACES.items()}
    for name, compiled in learners.items():
        logger.info("compiling %s ...", name)
        compiled.learn(batch, 0)
    calls: dict[str, Callable[[int], object]] = {
        name: functools.partial(each.learn, batch) for name, each in learners.items()
    }
    calls["bare"] = _bare(learners["shifted"], batch)
    pairs = []
    for step in range(1, options.num_steps + 1):
        turns = list(calls.items())[:: 1 if step % 2 else -1]
        pairs.append({name: _timed(call, step) for name, call in turns})
        logger.info("%d of %d", step, options.num_steps)
    waiting_share = _waiting_share(options, dataset, learners["shifted"])
    result = summarise(pairs, waiting_share)
    logger.info("%s", table(result))
    return {**asdict(options), **asdict(result)}


def _open(options: Options, dataset: Path) -> "reader.SplitReader":
    from mindrecord_io.serving import reader, views
    from mindrecord_io.serving.batches import BatchPlan

    view = views.TrainView(options.num_segments, options.crop_px)
    plan = BatchPlan(options.batch_size, drop_last=True)
    return reader.open_split(dataset, "train", view, plan)


def _learner(options: Options, shift_place: str) -> "learner.Learner":
    from eval.running.rank_group import Ranks
    from model.tsm import TSM, TSMConfig
    from train import config, learner

    network = TSM(
        TSMConfig(
            num_classes=_NUM_CLASSES,
            arch=options.arch,
            num_segments=options.num_segments,
            shift_place=shift_place,
        )
    )
    settings = config.TrainConfig(batch_size=options.batch_size)
    return learner.Learner(network, settings, 3 * options.num_steps + 2, Ranks())


def _bare(learning: "learner.Learner", batch: "clips.Batch") -> Callable[[int], object]:
    """Returns a function that runs the compiled step by inputs that are ready."""
    inputs = learning.prepare(batch, 0)
    return lambda step: learning.launch(batch, inputs).figures.loss.asnumpy()


def _timed(call: Callable[[int], object], step: int) -> Times:
    began, cpu_began = time.monotonic(), time.process_time()
    call(step)
    return Times(time.monotonic() - began, time.process_time() - cpu_began)


def _waiting_share(
    options: Options, dataset: Path, learning: "learner.Learner"
) -> float:
    from train import watch

    stopwatch, step = watch.Stopwatch(), 0
    batches = _open(options, dataset)
    while step <= options.num_steps:
        for batch in stopwatch.timed(batches):
            learning.learn(batch, step)
            step += 1
            if step == 1:
                stopwatch.restart()  # starting the reader is not a step
            if step > options.num_steps:
                break
    return stopwatch.spent.waiting_share


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    defaults = Options()
    parser.add_argument("--arch", default=defaults.arch)
    for name in ("num_segments", "crop_px", "batch_size", "num_steps"):
        value = getattr(defaults, name)
        parser.add_argument(f"--{name}", type=int, default=value, help=f"({value})")
    parser.add_argument("--dataset", type=Path, help="to read from; drawn if not given")
    parser.add_argument("--workdir", type=Path, help="for what is drawn (temporary)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
