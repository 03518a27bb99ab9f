"""Measures `pipelines build` between its ceiling and what it replaces, in one run.

    bare   decode_loop.py: OpenCV decodes and encodes in N processes, nothing is stored
    build  `python -m pipelines build --num_workers N` into an empty folder
    seed   seed_loop.py: one ffmpeg process a clip writes JPEG files, N at a time

The three take turns for a number of rounds, so that whatever else the machine does
meets all of them; rates are medians, ratios are medians of the rounds' ratios. Clips
are drawn by `pipelines synthesize` and repeated under further ids by hard links.
A table goes to standard error; the last line of standard output is one JSON object.
"""

import argparse
import json
import logging
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent import futures
from dataclasses import asdict, dataclass, field
from pathlib import Path

from infra.benchmarks import measuring

__all__ = ["Measured", "Options", "Result", "main", "summarise", "table"]

logger = logging.getLogger(__name__)

JPEG_QUALITY = 90
SEED_SHARE = 6  # the seed's way gets one clip of so many: it is that much slower

# As in clipmill's processes: else glibc returns every frame's memory to the kernel.
_ENVIRONMENT = {
    "PYTHONPATH": str(measuring.REPOSITORY),
    "MALLOC_MMAP_THRESHOLD_": "268435456",
    "MALLOC_TRIM_THRESHOLD_": "268435456",
}


@dataclass(frozen=True, slots=True)
class Options:
    """One benchmark.

    Attributes:
      num_workers: what to measure, one row of the table for each.
      workdir: folder for clips and data sets; None means a temporary one.
      keep: leaves the folder as it is at the end.
    """

    num_clips: int = 1200
    num_workers: tuple[int, ...] = (1, 2)
    num_rounds: int = 2
    workdir: Path | None = None
    keep: bool = False

    def __post_init__(self) -> None:
        if self.num_clips < SEED_SHARE:
            raise ValueError(f"num_clips must be at least 6: {self.num_clips}")
        measuring.check_at_least_one(self, "num_workers", "num_rounds")


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of one way.

    Attributes:
      seconds: of the work itself, without starting processes.
      whole_seconds: of the whole command.
      cpu_seconds: user and system time of all its processes.
      peak_rss_mib: the largest process of each kind, by name.
    """

    num_clips: int
    seconds: float
    whole_seconds: float
    cpu_seconds: float
    peak_rss_mib: Mapping[str, float] = field(default_factory=dict)

    @property
    def clips_per_second(self) -> float:
        """The rate of the work itself."""
        return self.num_clips / max(self.seconds, 1e-3)


@dataclass(frozen=True, slots=True)
class Result:
    """The medians of all rounds with one number of workers."""

    num_workers: int
    clips_per_second: Mapping[str, float]
    whole_clips_per_second: Mapping[str, float]
    cpu_ms_per_clip: Mapping[str, float]
    build_over_bare: float
    build_over_seed: float
    peak_rss_mib: Mapping[str, float]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; the last line of standard output is its result."""
    return measuring.main(argv, _parser(), Options, _measure)


def summarise(num_workers: int, rounds: Sequence[Mapping[str, Measured]]) -> Result:
    """Returns the medians of rounds that each ran "bare", "build" and "seed"."""

    def medians(figure: Callable[[Measured], float]) -> dict[str, float]:
        return {
            way: round(statistics.median(figure(run[way]) for run in rounds), 2)
            for way in ("bare", "build", "seed")
        }

    def over(way: str) -> float:
        ratios = [
            run["build"].clips_per_second / run[way].clips_per_second for run in rounds
        ]
        return round(statistics.median(ratios), 3)

    peaks: dict[str, float] = {}
    for run in rounds:
        for name, mib in run["build"].peak_rss_mib.items():
            peaks[name] = max(round(mib, 1), peaks.get(name, 0.0))
    return Result(
        num_workers=num_workers,
        clips_per_second=medians(lambda run: run.clips_per_second),
        whole_clips_per_second=medians(lambda run: run.num_clips / run.whole_seconds),
        cpu_ms_per_clip=medians(lambda run: 1000 * run.cpu_seconds / run.num_clips),
        build_over_bare=over("bare"),
        build_over_seed=over("seed"),
        peak_rss_mib=peaks,
    )


def table(results: Sequence[Result]) -> str:
    """Returns the results as lines of text for a person."""
    lines = [
        "workers          clips/s                CPU ms a clip        build over",
        "            bare  build   seed      bare  build   seed      bare   seed",
    ]
    for result in results:
        rates, cpu = result.clips_per_second, result.cpu_ms_per_clip
        lines.append(
            f"{result.num_workers:7d}  "
            + " ".join(f"{rates[way]:6.1f}" for way in rates)
            + "   "
            + " ".join(f"{cpu[way]:6.1f}" for way in cpu)
            + f"    {result.build_over_bare:6.3f} {result.build_over_seed:6.2f}"
        )
    for result in results:
        peaks = ", ".join(
            f"{k} {v:.0f}" for k, v in sorted(result.peak_rss_mib.items())
        )
        whole = result.whole_clips_per_second["build"]
        lines.append(
            f"{result.num_workers} workers: {whole:.1f} clips/s with start and end; "
            f"peak resident MiB a process: {peaks}"
        )
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = measuring.parser(
        "Measures `pipelines build` beside a bare decoding loop and beside one ffmpeg "
        "process a clip.",
        Options(),
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave clips and data sets in the workdir"
    )
    return parser


def _measure(options: Options, folder: Path) -> dict[str, object]:
    drawn = options.workdir or folder
    package = measuring.draw_package(folder, drawn, options.num_clips)
    clips = sorted((package / measuring.CLIPS).iterdir())
    rounds: dict[int, list[dict[str, Measured]]] = {n: [] for n in options.num_workers}
    for index in range(options.num_rounds):
        for num_workers, runs in rounds.items():
            run = {
                "bare": _run_bare(clips, num_workers),
                "build": _run_build(package, folder / "dataset", num_workers),
                "seed": _run_seed(clips[::SEED_SHARE], folder / "frames", num_workers),
            }
            runs.append(run)
            rates = {way: round(m.clips_per_second, 1) for way, m in run.items()}
            logger.info("round %d, %d workers: %s", index + 1, num_workers, rates)
    results = [summarise(n, runs) for n, runs in rounds.items()]
    logger.info("%s", table(results))
    return {
        "num_clips": options.num_clips,
        "num_rounds": options.num_rounds,
        "results": [asdict(result) for result in results],
    }


def _run_bare(clips: Sequence[Path], num_workers: int) -> Measured:
    words = ["decode_loop.py", str(JPEG_QUALITY)]
    return _run_loops(words, [clips[n::num_workers] for n in range(num_workers)])


def _run_seed(clips: Sequence[Path], frames: Path, num_workers: int) -> Measured:
    shutil.rmtree(frames, ignore_errors=True)
    return _run_loops(["seed_loop.py", str(frames), str(num_workers)], [clips])


def _run_loops(words: Sequence[str], shares: Sequence[Sequence[Path]]) -> Measured:
    """Runs one process of a script of this folder for every share of the clips."""
    script = Path(__file__).with_name(words[0])
    begin, cpu = time.monotonic(), measuring.children_cpu_seconds()

    def run(share: Sequence[Path]) -> dict[str, float]:
        done = subprocess.run(
            [sys.executable, script, *words[1:]],
            input="\n".join(map(str, share)),
            stdout=subprocess.PIPE,
            env={**os.environ, **_ENVIRONMENT},
            text=True,
            check=True,
        )
        times: dict[str, float] = json.loads(done.stdout)
        return times

    with futures.ThreadPoolExecutor(len(shares)) as executor:
        times = list(executor.map(run, shares))
    first = min(of_one["begin_seconds"] for of_one in times)
    last = max(of_one["end_seconds"] for of_one in times)
    return Measured(
        num_clips=sum(map(len, shares)),
        seconds=last - first,
        whole_seconds=time.monotonic() - begin,
        cpu_seconds=measuring.children_cpu_seconds() - cpu,
    )


def _run_build(package: Path, dataset: Path, num_workers: int) -> Measured:
    shutil.rmtree(dataset, ignore_errors=True)
    run = measuring.build(
        package, dataset, jpeg_quality=JPEG_QUALITY, num_workers=num_workers
    )
    num_clips = run.answer["num_clips"]
    return Measured(
        num_clips=num_clips,
        seconds=num_clips / run.answer["clips_per_second"],
        whole_seconds=run.seconds,
        cpu_seconds=run.cpu_seconds,
        peak_rss_mib=run.peak_rss_mib,
    )


if __name__ == "__main__":
    sys.exit(main())
