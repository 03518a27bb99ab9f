"""Measures how fast training is fed, beside other ways to feed it, in one run.

    bare       JPEG decoding alone of the sampled frames: simplejpeg in threads
    ours       reader.open_split: TSM's training batches, uint8
    folder     a folder of JPEG files a clip, PIL, float32: as MindSpore's TSM does it
    mindspore  MindSpore's C++ operators on the same JPEGs (a crop for every frame)
    tar        WebDataset: whole clips out of tar files
    mds        MosaicML Streaming: whole clips out of its shards
    webm       the clips themselves, decoded up to the last frame that is sampled

The same clips, the same frames and crops, one after the other and for several rounds,
so that whatever else the machine does meets all of them; figures are medians, ratios
are medians of the rounds' ratios. See feed_ways.py for what favours the others. The
libraries of tar and mds are in the extra `bench`, or where --peer_python has them; what
is not installed is left out and named. The last line of output is one JSON object.
"""

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.benchmarks import feed_ways, measuring

__all__ = ["Measured", "Options", "main", "ratios", "table", "total"]

logger = logging.getLogger(__name__)

_STORES = ("folder", "tar", "mds")
_LIBRARIES = {"tar": "webdataset", "mds": "streaming"}
_PROGRAMS = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Options:
    """One benchmark.

    Attributes:
      num_workers: what to measure, one table for each.
      num_epochs: passes over the clips in one measurement.
      peer_python: the interpreter that has the other libraries beside clipmill's.
      workdir: folder for clips and stores; None means a temporary one.
    """

    num_clips: int = 600
    num_workers: tuple[int, ...] = (1, 2)
    num_rounds: int = 3
    num_epochs: int = 5
    peer_python: str = sys.executable
    workdir: Path | None = None

    def __post_init__(self) -> None:
        names = ("num_clips", "num_workers", "num_rounds", "num_epochs")
        measuring.check_at_least_one(self, *names)


@dataclass(frozen=True, slots=True)
class Measured:
    """What the processes of one way did and used together."""

    num_clips: int
    seconds: float
    cpu_seconds: float
    num_bytes_read: int
    peak_rss_mib: float

    @property
    def clips_per_second(self) -> float:
        """The rate, without starting processes."""
        return self.num_clips / max(self.seconds, 1e-3)

    @property
    def cpu_ms_per_clip(self) -> float:
        """User and system time of all processes."""
        return 1000 * self.cpu_seconds / self.num_clips

    @property
    def kib_per_clip(self) -> float:
        """What was read from disk or page cache."""
        return self.num_bytes_read / 1024 / self.num_clips


Round = Mapping[str, Measured]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; the last line of standard output is its result."""
    return measuring.main(argv, _parser(), Options, _measure)


def total(parts: Sequence[Measured]) -> Measured:
    """Returns what processes that worked side by side did together."""
    return Measured(
        num_clips=sum(part.num_clips for part in parts),
        seconds=max(part.seconds for part in parts),
        cpu_seconds=sum(part.cpu_seconds for part in parts),
        num_bytes_read=sum(part.num_bytes_read for part in parts),
        peak_rss_mib=sum(part.peak_rss_mib for part in parts),
    )


def ratios(rounds: Sequence[Round]) -> dict[str, dict[str, float]]:
    """Returns by way how many times faster ours is: by the clock, and by CPU time."""
    over = {}
    for way in (way for way in rounds[0] if way != "ours"):
        pairs = [(run["ours"], run[way]) for run in rounds]
        by_clock = [a.clips_per_second / b.clips_per_second for a, b in pairs]
        by_cpu = [b.cpu_ms_per_clip / a.cpu_ms_per_clip for a, b in pairs]
        over[way] = {"clips_per_second": _median(by_clock), "cpu": _median(by_cpu)}
    return over


def table(rounds: Sequence[Round]) -> str:
    """Returns the medians as lines of text for a person."""
    over = ratios(rounds)
    lines = [
        "way        clips/s  CPU ms/clip  KiB/clip  RSS MiB  ours over it: clips/s  CPU"
    ]
    for way in rounds[0]:
        runs = [run[way] for run in rounds]
        rate = _median([run.clips_per_second for run in runs])
        cpu = _median([run.cpu_ms_per_clip for run in runs])
        kib = _median([run.kib_per_clip for run in runs])
        rss = _median([run.peak_rss_mib for run in runs])
        line = f"{way:9s} {rate:8.1f} {cpu:12.2f} {kib:9.0f} {rss:8.0f}"
        if way in over:
            by_clock, by_cpu = over[way].values()
            line += f" {by_clock:21.2f} {by_cpu:5.2f}"
        lines.append(line)
    return "\n".join(lines)


def _median(figures: Sequence[float]) -> float:
    return round(statistics.median(figures), 3)


def _measure(options: Options, folder: Path) -> dict[str, object]:
    drawn = options.workdir or folder
    package = measuring.draw_package(folder, drawn, options.num_clips)
    dataset = folder / "dataset"
    measuring.build(package, dataset)
    missing = [way for way in _LIBRARIES if not _is_installed(options, way)]
    for way in missing:
        logger.warning("%s: %s is not installed", way, _LIBRARIES[way])
    for way in (way for way in _STORES if way not in missing):
        words = ["feed_stores.py", way, str(dataset), str(folder / way)]
        subprocess.run(
            [_python(options, way), _PROGRAMS / words[0], *words[1:]],
            check=True,
            env=_environment(),
            stdout=subprocess.DEVNULL,
        )
    stores = {way: folder / way for way in _STORES}
    stores |= {"webm": package / measuring.CLIPS}
    ways = [way for way in feed_ways.WAYS if way not in missing]
    rounds: dict[int, list[Round]] = {n: [] for n in options.num_workers}
    for index in range(options.num_rounds):
        for num_workers, measured in rounds.items():
            run = {
                way: _run(options, way, dataset, stores.get(way, folder), num_workers)
                for way in ways
            }
            measured.append(run)
            rates = {way: round(m.clips_per_second, 1) for way, m in run.items()}
            logger.info("round %d, %d workers: %s", index + 1, num_workers, rates)
    return _report(missing, rounds)


def _report(missing: list[str], rounds: dict[int, list[Round]]) -> dict[str, object]:
    report: dict[str, object] = {"not_installed": missing}
    for num_workers, measured in rounds.items():
        logger.info("%d workers\n%s", num_workers, table(measured))
        report[f"workers_{num_workers}"] = {
            "rounds": [{w: asdict(m) for w, m in run.items()} for run in measured],
            "ours_over": ratios(measured),
        }
    return report


def _run(
    options: Options, way: str, dataset: Path, store: Path, num_workers: int
) -> Measured:
    """Runs one way in as many processes as it needs, which begin at once."""
    num_processes = 1 if way in feed_ways.THREADED else num_workers
    command = [_python(options, way), str(_PROGRAMS / "feed_ways.py"), way]
    command += [str(dataset), str(store), str(num_workers)]
    processes = [
        subprocess.Popen(
            [*command, str(worker), str(options.num_epochs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=_environment(),
        )
        for worker in range(num_processes)
    ]
    try:
        for process in processes:
            _read_until(process, "ready")
        for process in processes:
            assert process.stdin is not None  # it is a pipe
            process.stdin.write("go\n")
            process.stdin.flush()
        parts = [json.loads(_read_until(process, "{")) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    return total([Measured(**part) for part in parts])


def _read_until(process: subprocess.Popen[str], begin: str) -> str:
    assert process.stdout is not None  # it is a pipe
    for line in process.stdout:
        if line.startswith(begin):
            return line
    raise RuntimeError(f"{process.args!r} ended without a result")


def _python(options: Options, way: str) -> str:
    return options.peer_python if way in _LIBRARIES else sys.executable


def _is_installed(options: Options, way: str) -> bool:
    done = subprocess.run(
        [_python(options, way), "-c", f"import {_LIBRARIES[way]}"],
        check=False,
        capture_output=True,
    )
    return done.returncode == 0


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(measuring.REPOSITORY)}


def _parser() -> argparse.ArgumentParser:
    defaults = Options()
    parser = measuring.parser(
        "Measures how fast training is fed, beside other ways to feed it.", defaults
    )
    add = parser.add_argument
    add("--num_epochs", type=int, default=defaults.num_epochs, help="passes a turn")
    add(
        "--peer_python",
        default=defaults.peer_python,
        metavar="FILE",
        help="interpreter that has webdataset and streaming, and what clipmill needs",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
