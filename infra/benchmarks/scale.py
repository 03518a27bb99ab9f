"""Measures a build on a Flink cluster of this machine with one slot and with two.

`python -m infra.benchmarks.scale` starts clusters (infra/flink), builds the same clips
with each parallelism in turn, round after round, so that whatever else the machine does
meets both, and ends them. Clips a second count from the first shard's start to the last
one's end. The last line of standard output is one JSON object.

A slot is measured as clusters give it out, with a core of its own: with one slot the
cluster, its workers and the job's driver share one core, with two they share two.
With --share_cores a single slot may use both: then Java, hashing and reading back
find an idle core beside its decoder, and two slots have less to gain.
"""

import argparse
import contextlib
import json
import logging
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.benchmarks import measuring
from infra.flink import cluster

__all__ = ["main", "summarise"]

logger = logging.getLogger(__name__)

PARALLELISMS = (1, 2)
SHARDS_PER_SLOT = 8  # with fewer, the last one's end is too much a matter of luck


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; the last line of standard output is its result."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    parser = _parser()
    flags = parser.parse_args(argv)
    try:
        measuring.check_at_least_one(flags, "num_clips", "num_copies", "num_rounds")
    except ValueError as error:
        parser.error(str(error))
    try:
        _first_cores(max(PARALLELISMS))  # or nothing need be drawn
        with measuring.workdir(flags.workdir) as folder:
            drawn = measuring.draw_package(folder, folder, flags.num_clips)
            package = measuring.copy_clips(drawn, flags.num_copies)
            rates = _measure(flags, package, folder)
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        logger.error("benchmark failed: %s", error)
        return 1
    num_clips = flags.num_clips * flags.num_copies
    setting = {"num_clips": num_clips, "share_cores": flags.share_cores}
    result = measuring.machine() | setting | summarise(rates)
    print(json.dumps(result))  # noqa: T201
    return 0


def summarise(rates: Mapping[int, Sequence[float]]) -> dict[str, object]:
    """Returns median rates by parallelism, and the median of the rounds' ratios."""
    fewest, most = min(rates), max(rates)
    ratios = [b / a for a, b in zip(rates[fewest], rates[most], strict=True)]
    return {
        "clips_per_second": {
            str(slots): round(statistics.median(of_rounds), 1)
            for slots, of_rounds in rates.items()
        },
        "ratio": round(statistics.median(ratios), 2),
    }


def _measure(
    flags: argparse.Namespace, package: Path, folder: Path
) -> dict[int, list[float]]:
    rates: dict[int, list[float]] = {slots: [] for slots in PARALLELISMS}
    for number in range(1, flags.num_rounds + 1):
        for slots, of_rounds in rates.items():
            num_cores = max(PARALLELISMS) if flags.share_cores else slots
            with _confined(num_cores), _cluster(folder / "flink") as running:
                rate = _build(running.flags(slots), package, folder / "made")
            of_rounds.append(rate)
            logger.info("round %d, %d slots: %.1f clips/s", number, slots, rate)
            shutil.rmtree(folder / "made")
    return rates


@contextlib.contextmanager
def _confined(num_cores: int) -> Iterator[None]:
    """Keeps what the block starts on the first cores that this process may use."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, _first_cores(num_cores))
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _first_cores(num_cores: int) -> list[int]:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < num_cores:
        raise RuntimeError(f"{num_cores} slots need a core each: {len(cores)} here")
    return cores[:num_cores]


@contextlib.contextmanager
def _cluster(folder: Path) -> Iterator[cluster.Cluster]:
    """Starts a cluster with two TaskManagers, and ends it."""
    running = cluster.up(cluster.Options(folder))
    try:
        yield running
    finally:
        cluster.down(folder)
        shutil.rmtree(folder)


def _build(beam_flags: Sequence[str], package: Path, dataset: Path) -> float:
    words = ["--clips", package / measuring.CLIPS, "--dataset", dataset]
    words += ["--annotations", package / "annotations"]
    words += ["--num_shards", SHARDS_PER_SLOT * max(PARALLELISMS), *beam_flags]
    done = subprocess.run(
        [sys.executable, "-m", "pipelines", "build", *map(str, words)],
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(measuring.REPOSITORY)},
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"pipelines build failed:\n{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return float(answer["clips_per_second"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--num_clips", type=int, default=150, help="clips to draw")
    parser.add_argument(
        "--num_copies",
        type=int,
        default=24,
        help="ids of each: with few, starting Java and MindSpore is what is measured",
    )
    parser.add_argument("--num_rounds", type=int, default=2)
    parser.add_argument(
        "--share_cores", action="store_true", help="let one slot use two cores"
    )
    parser.add_argument("--workdir", type=Path, help="a temporary folder by default")
    return parser


if __name__ == "__main__":
    sys.exit(main())
