"""Measures `pipelines relabel` between building anew and merely copying, in one run.

    build  `python -m pipelines build --num_workers N` into an empty folder
    one    `pipelines relabel` after the label of one clip has changed: what starting
           costs, and one shard
    all    `pipelines relabel` after a class was added that comes first: the label_id of
           every clip changes, so every shard is written again
    copy   `cp -r` of the shards and `sha256sum` of the copy, N at a time

The four take turns for a number of rounds, so that whatever else the machine does meets
all of them; times are medians, ratios are medians of the rounds' ratios. Clips are
drawn by `pipelines synthesize` and repeated under further ids by hard links; those
without labels (test) are left out. "work" counts from the first shard's start to the
last one's end, "whole" is the command, and "net" is all's work less one's: what is left
when starting no longer counts, as in a large data set. "cpu" is the same of the time of
the processors: every byte of a shard is forced to disk, of a copy none.
A table goes to standard error; the last line of standard output is one JSON object.
"""

import argparse
import json
import logging
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent import futures
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from infra.benchmarks import measuring
from mindrecord_io import records

__all__ = [
    "Measured",
    "Options",
    "Result",
    "main",
    "net_cpu_seconds",
    "net_seconds",
    "summarise",
    "table",
]

logger = logging.getLogger(__name__)

MIN_CLIPS = 10
WAYS = ("build", "one", "all", "copy")
KINDS = ("work", "net", "cpu")

_ANNOTATION = "something-something-v2-{}.json"
_NEW_CLASS = "Adding something in front of everything"


@dataclass(frozen=True, slots=True)
class Options:
    """One benchmark.

    Attributes:
      num_clips: to synthesize; one in eight has no label and is left out.
      num_workers: what to measure, one row of the table for each.
      jpeg_quality: of the frames: what relabelling costs depends on their bytes.
      workdir: folder for clips and data sets; None means a temporary one.
    """

    num_clips: int = 1200
    num_workers: tuple[int, ...] = (1, 2)
    num_rounds: int = 3
    jpeg_quality: int = records.DecodeSettings().jpeg_quality
    workdir: Path | None = None

    def __post_init__(self) -> None:
        if self.num_clips < MIN_CLIPS:
            raise ValueError(
                f"num_clips must be at least {MIN_CLIPS}: {self.num_clips}"
            )
        measuring.check_at_least_one(self, "num_workers", "num_rounds")


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of one way.

    Attributes:
      num_clips, num_bytes: of the version, or of what was copied.
      num_shards: written by this run.
      seconds: of the work itself; of "copy", the whole.
      whole_seconds: of the whole command.
      cpu_seconds: user and system time of all its processes.
    """

    num_clips: int
    num_bytes: int
    num_shards: int
    seconds: float
    whole_seconds: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Result:
    """The medians of all rounds with one number of workers."""

    num_workers: int
    num_clips: int
    num_bytes: int
    num_shards: int
    seconds: Mapping[str, float]
    whole_seconds: Mapping[str, float]
    net_seconds: float
    over_build: Mapping[str, float]
    over_copy: Mapping[str, float]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; the last line of standard output is its result."""
    return measuring.main(argv, _parser(), Options, _measure)


def net_seconds(run: Mapping[str, Measured]) -> float:
    """Returns what "all" would take if its first shard cost as much as the others.

    The time of "one" is that of starting and of one shard; what "all" takes longer is
    the time of its other shards.
    """
    return _net(run, lambda measured: measured.seconds)


def net_cpu_seconds(run: Mapping[str, Measured]) -> float:
    """Returns the same of the processors' time, which no disk is waited for in."""
    return _net(run, lambda measured: measured.cpu_seconds)


def summarise(num_workers: int, rounds: Sequence[Mapping[str, Measured]]) -> Result:
    """Returns the medians of rounds that each ran all the WAYS."""

    def median(figure: Callable[[Mapping[str, Measured]], float]) -> float:
        return round(statistics.median(map(figure, rounds)), 3)

    def medians(figure: Callable[[Measured], float]) -> dict[str, float]:
        return {
            way: round(statistics.median(figure(run[way]) for run in rounds), 3)
            for way in WAYS
        }

    def over(way: str) -> dict[str, float]:
        return {
            "work": median(lambda run: run["all"].seconds / run[way].seconds),
            "whole": median(
                lambda run: run["all"].whole_seconds / run[way].whole_seconds
            ),
            "net": median(lambda run: net_seconds(run) / run[way].seconds),
            "cpu": median(lambda run: net_cpu_seconds(run) / run[way].cpu_seconds),
        }

    done = rounds[0]["all"]
    return Result(
        num_workers=num_workers,
        num_clips=done.num_clips,
        num_bytes=done.num_bytes,
        num_shards=done.num_shards,
        seconds=medians(lambda run: run.seconds),
        whole_seconds=medians(lambda run: run.whole_seconds),
        net_seconds=median(net_seconds),
        over_build=over("build"),
        over_copy=over("copy"),
    )


def _net(run: Mapping[str, Measured], figure: Callable[[Measured], float]) -> float:
    others = run["all"].num_shards - run["one"].num_shards
    each = (figure(run["all"]) - figure(run["one"])) / max(others, 1)
    return max(each * run["all"].num_shards, 1e-3)


def table(results: Sequence[Result]) -> str:
    """Returns the results as lines of text for a person."""
    lines = [
        "workers        seconds of work               all over build"
        "           all over copy",
        "         build    one    all   copy    net    work    net    cpu"
        "    work    net    cpu",
    ]
    for result in results:
        lines.append(
            f"{result.num_workers:7d} "
            + " ".join(f"{result.seconds[way]:6.2f}" for way in WAYS)
            + f" {result.net_seconds:6.2f}"
            + " "
            + "".join(f" {result.over_build[kind]:6.3f}" for kind in KINDS)
            + " "
            + "".join(f" {result.over_copy[kind]:6.2f}" for kind in KINDS)
        )
    for result in results:
        whole = ", ".join(f"{way} {result.whole_seconds[way]:.1f} s" for way in WAYS)
        lines.append(
            f"{result.num_workers} workers: {result.num_clips} clips, "
            f"{result.num_bytes / 1e6:.0f} MB in {result.num_shards} shards; "
            f"whole commands: {whole}"
        )
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    defaults = Options()
    parser = measuring.parser(
        "Measures `pipelines relabel` beside building anew and beside copying and "
        "hashing the shards.",
        defaults,
    )
    quality = defaults.jpeg_quality
    parser.add_argument("--jpeg_quality", type=int, default=quality, help="of frames")
    return parser


def _measure(options: Options, folder: Path) -> dict[str, object]:
    drawn = options.workdir or folder
    package = measuring.draw_package(folder, drawn, options.num_clips)
    _write_annotations(package)
    rounds: dict[int, list[dict[str, Measured]]] = {n: [] for n in options.num_workers}
    for index in range(options.num_rounds):
        for num_workers, runs in rounds.items():
            runs.append(_run_round(package, folder / "dataset", num_workers, options))
            seconds = {way: round(run.seconds, 2) for way, run in runs[-1].items()}
            logger.info("round %d, %d workers: %s", index + 1, num_workers, seconds)
    results = [summarise(n, runs) for n, runs in rounds.items()]
    logger.info("%s", table(results))
    return {
        "num_rounds": options.num_rounds,
        "jpeg_quality": options.jpeg_quality,
        "results": [asdict(result) for result in results],
    }


def _write_annotations(package: Path) -> None:
    """Writes three folders of annotations: the first, and those of `one` and `all`."""
    first = package / "annotations"
    (first / _ANNOTATION.format("test")).unlink()
    one = shutil.copytree(first, package / "one")
    every = shutil.copytree(first, package / "all")
    rows = _read(first, "train")
    other = next(row["template"] for row in rows if _differs(row, rows[0]))
    _write(one, "train", [{**rows[0], "template": other}, *rows[1:]])
    names = [_NEW_CLASS, *_read(first, "labels")]
    _write(every, "labels", {name: str(i) for i, name in enumerate(names)})


def _differs(row: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return bool(row["template"] != other["template"])


def _run_round(
    package: Path, dataset: Path, num_workers: int, options: Options
) -> dict[str, Measured]:
    shutil.rmtree(dataset, ignore_errors=True)
    flags = {"dataset": dataset, "num_workers": num_workers}
    clips, first = package / measuring.CLIPS, package / "annotations"
    return {
        "build": _run_job(
            "build",
            clips=clips,
            annotations=first,
            jpeg_quality=options.jpeg_quality,
            **flags,
        ),
        "one": _run_job("relabel", annotations=package / "one", **flags),
        "all": _run_job("relabel", annotations=package / "all", **flags),
        "copy": _run_copy(dataset, dataset.with_name("copy"), num_workers),
    }


def _run_job(job: str, **flags: object) -> Measured:
    run = measuring.run_job(job, **flags)
    answer = run.answer
    if job == "relabel" and answer["shards"]["decoded"]:
        raise RuntimeError(f"relabel decoded: {answer}")
    return Measured(
        num_clips=answer["num_clips"],
        num_bytes=answer["num_bytes"],
        num_shards=answer["shards"]["decoded"] + answer["shards"]["relabelled"],
        seconds=answer["num_clips"] / answer["clips_per_second"],
        whole_seconds=run.seconds,
        cpu_seconds=run.cpu_seconds,
    )


def _run_copy(dataset: Path, copy: Path, num_workers: int) -> Measured:
    """Copies the current version's shards and hashes the copies."""
    name = (dataset / "CURRENT").read_text().strip()
    manifest = json.loads((dataset / "versions" / name / "manifest.json").read_bytes())
    folders = [(dataset / entry["path"]).parent for entry in manifest["shards"]]
    shares = [folders[n::num_workers] for n in range(num_workers)]
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    cp, sha256sum = _program("cp"), _program("sha256sum")

    def run(share: Sequence[Path]) -> None:
        subprocess.run([cp, "-r", *share, copy], check=True)
        copied = [path for folder in share for path in (copy / folder.name).iterdir()]
        quiet = subprocess.DEVNULL
        subprocess.run([sha256sum, *copied], check=True, stdout=quiet)

    begin, cpu = time.monotonic(), measuring.children_cpu_seconds()
    with futures.ThreadPoolExecutor(num_workers) as executor:
        list(executor.map(run, filter(None, shares)))
    seconds = time.monotonic() - begin
    return Measured(
        num_clips=manifest["num_clips"],
        num_bytes=sum(path.stat().st_size for path in copy.glob("*/*")),
        num_shards=len(folders),
        seconds=seconds,
        whole_seconds=seconds,
        cpu_seconds=measuring.children_cpu_seconds() - cpu,
    )


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise RuntimeError(f"the benchmark needs the program {name}")
    return path


def _read(annotations: Path, role: str) -> Any:
    return json.loads((annotations / _ANNOTATION.format(role)).read_bytes())


def _write(annotations: Path, role: str, value: object) -> None:
    (annotations / _ANNOTATION.format(role)).write_text(json.dumps(value))


if __name__ == "__main__":
    sys.exit(main())
