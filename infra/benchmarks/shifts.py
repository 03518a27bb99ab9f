"""Measures the demo's three networks on many clips that no training has seen.

The demo tells its networks apart by 72 clips and one seed; both shifts have nearly all
of them. `python -m infra.benchmarks.shifts` trains each network as the demo does, on
the demo's clips, under several seeds. The best checkpoint of each, chosen on the demo's
validation clips, is measured on the train split of a package drawn with another seed.

Networks of one seed begin with the same weights and meet the same clips, frames and
crops in the same order: differences are taken seed by seed. Each core trains one
network at a time. With --workdir everything stays there and a further run goes on from
it. The last line of standard output is one JSON object.
"""

import argparse
import contextlib
import json
import logging
import os
import queue
import statistics
import sys
from collections.abc import Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path

from infra import demo
from infra.benchmarks import measuring

__all__ = ["Measured", "Options", "main", "summarise", "table"]

logger = logging.getLogger(__name__)

HELD_SPLIT = "train"  # the most clips of a package, and nothing is trained on them
HELD_DRAWN_WITH = 2  # the demo draws its clips with seed 1
PAIRS = (("TSM", "unshifted"), ("TSM", "online TSM"), ("online TSM", "unshifted"))


@dataclass(frozen=True, slots=True)
class Options:
    """One benchmark.

    Attributes:
      epochs: of every training; the demo has 18.
      num_seeds: trainings of every network, with seeds 1, 2 and so on.
      num_clips: to draw for training.
      num_held: to draw for measuring; 76 percent of them are used.
      workdir: folder that keeps everything; None means a temporary one.
    """

    epochs: int = 18
    num_seeds: int = 3
    num_clips: int = demo.NUM_CLIPS
    num_held: int = 1250
    workdir: Path | None = None

    def __post_init__(self) -> None:
        measuring.check_at_least_one(self, "epochs", "num_seeds")


@dataclass(frozen=True, slots=True)
class Measured:
    """The top-1 of one training's network, of so many clips new to it."""

    network: str
    seed: int
    num_clips: int
    top1: float


@dataclass(frozen=True, slots=True)
class _Data:
    """The data set to train on, its version, and the one to measure with."""

    trained_on: Path
    version: str
    unseen: Path


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; the last line of standard output is its result."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    parser = _parser()
    try:
        options = Options(**vars(parser.parse_args(argv)))
    except ValueError as error:
        parser.error(str(error))
    try:
        with contextlib.ExitStack() as stack:
            kept = options.workdir and options.workdir.resolve()
            folder = kept or stack.enter_context(measuring.workdir(None))
            folder.mkdir(parents=True, exist_ok=True)
            measured = _measure_all(options, folder)
    except (OSError, demo.DemoError) as error:
        logger.error("benchmark failed: %s", error)
        return 1
    result = summarise(measured)
    logger.info("%s", table(result))
    setting = {"epochs": options.epochs, "num_trained_on": options.num_clips}
    print(json.dumps(measuring.machine() | setting | result))  # noqa: T201
    return 0


def summarise(measured: Sequence[Measured]) -> dict[str, object]:
    """Returns each network's top-1 over the seeds, and the differences seed by seed."""
    seeds = sorted({one.seed for one in measured})
    by_run = {(one.network, one.seed): one.top1 for one in measured}
    by_network = {
        network: [by_run[network, seed] for seed in seeds] for network in demo.NETWORKS
    }
    differences = {
        f"{first} over {second}": [
            a - b for a, b in zip(by_network[first], by_network[second], strict=True)
        ]
        for first, second in PAIRS
    }
    return {
        "seeds": seeds,
        "num_measured_with": measured[0].num_clips,
        "top1": {name: _spread(values) for name, values in by_network.items()},
        "differences": {name: _spread(values) for name, values in differences.items()},
    }


def table(result: Mapping[str, object]) -> str:
    """Returns a result as lines of text for a person."""
    lines = [f"{'top-1':<28}   mean  least   most"]
    for part in ("top1", "differences"):
        spreads: Mapping[str, Mapping[str, float]] = result[part]  # type: ignore[assignment]
        lines += [
            f"{name:<28} {spread['mean']:6.3f} {spread['least']:6.3f} "
            f"{spread['most']:6.3f}"
            for name, spread in spreads.items()
        ]
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> dict[str, object]:
    return {
        "mean": round(statistics.fmean(values), 3),
        "least": round(min(values), 3),
        "most": round(max(values), 3),
        "by_seed": [round(value, 3) for value in values],
    }


def _measure_all(options: Options, folder: Path) -> list[Measured]:
    """Trains and measures every network, as many at a time as there are cores."""
    trained_on, version = _build(folder / "trained_on", options.num_clips, 1)
    unseen, _ = _build(folder / "held", options.num_held, HELD_DRAWN_WITH)
    data = _Data(trained_on, version, unseen)
    cores: queue.SimpleQueue[int] = queue.SimpleQueue()
    for core in os.sched_getaffinity(0):
        cores.put(core)

    def measure(run: tuple[int, str]) -> Measured:
        core = cores.get()
        try:
            return _measure(*run, options.epochs, data, folder, core)
        finally:
            cores.put(core)

    seeds = range(1, options.num_seeds + 1)
    runs = [(seed, network) for seed in seeds for network in demo.NETWORKS]
    with futures.ThreadPoolExecutor(cores.qsize()) as executor:
        return list(executor.map(measure, runs))


def _build(folder: Path, num_clips: int, seed: int) -> tuple[Path, str]:
    """Draws clips and builds a data set of them; returns it and its version."""
    source, dataset = folder / "source", folder / "dataset"
    demo.run_command(
        *("pipelines", "synthesize", "--light", "--output", source),
        *("--num_clips", num_clips, "--seed", seed),
    )
    built = demo.run_command(
        *("pipelines", "build", "--dataset", dataset),
        *("--clips", source / measuring.CLIPS),
        *("--annotations", source / "annotations"),
    )
    return dataset, built["version"]


def _measure(
    seed: int, network: str, epochs: int, data: _Data, folder: Path, core: int
) -> Measured:
    """Trains a network, unless that is done already, and measures it."""
    shift = demo.NETWORKS[network]
    words = [
        network.replace(" ", "-"),
        data.version,
        f"{epochs}-epochs",
        f"seed-{seed}",
    ]
    trained = folder / "-".join(words)
    log = trained.with_suffix(".log")
    process = demo.start_training(
        data.trained_on,
        trained,
        *("--epochs", str(epochs), "--seed", str(seed), *shift),
        log=log,
        cores=[core],
    )
    best = demo.finish_training(process, trained)
    evaluation = demo.start_command(
        *("eval", "--config_path", demo.CONFIG, "--dataset", data.unseen),
        *("--split", HELD_SPLIT, "--checkpoint", best, *shift),
        log=trained.with_suffix(".eval.log"),
        cores=[core],
    )
    answer = demo.result_of(evaluation)
    logger.info("%s, seed %d: top-1 %.3f", network, seed, answer["top1"])
    return Measured(network, seed, answer["num_clips"], answer["top1"])


def _parser() -> argparse.ArgumentParser:
    defaults = Options()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--epochs", type=int, default=defaults.epochs, help="of every training")
    add("--num_seeds", type=int, default=defaults.num_seeds, help="of every network")
    add("--num_clips", type=int, default=defaults.num_clips, help="drawn to train on")
    add("--num_held", type=int, default=defaults.num_held, help="drawn to measure with")
    add("--workdir", type=Path, help="keeps everything; a temporary one by default")
    return parser


if __name__ == "__main__":
    sys.exit(main())
