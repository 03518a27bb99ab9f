"""What the benchmarks have in common: folders, clips, jobs and what they used.

A job's processes are watched while it runs, because many of them are killed at its end
and leave no account behind.
"""

import argparse
import datetime
import json
import logging
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from infra.benchmarks import repeat_clips

__all__ = [
    "CLIPS",
    "REPOSITORY",
    "build",
    "check_at_least_one",
    "children_cpu_seconds",
    "copy_clips",
    "draw_package",
    "machine",
    "main",
    "parser",
    "run_job",
    "workdir",
]

logger = logging.getLogger(__name__)

REPOSITORY = Path(__file__).resolve().parents[2]
CLIPS = "20bn-something-something-v2"
NUM_DISTINCT_CLIPS = 150

_POLL_SECONDS = 1.0  # ten times as often took 4 % of a core from what it measured
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_CHILD_START = "pipelines.building.child_start"  # runs the module that follows


class _Options(Protocol):
    @property
    def workdir(self) -> Path | None: ...


_AnyOptions = TypeVar("_AnyOptions", bound=_Options)


@dataclass(frozen=True, slots=True)
class Run:
    """One job.

    Attributes:
      answer: the last line of its output.
      seconds: of the whole command.
      cpu_seconds: user and system time of all its processes.
      peak_rss_mib: of the largest process that ran each module (`python -m MODULE`).
    """

    answer: dict[str, Any]
    seconds: float
    cpu_seconds: float
    peak_rss_mib: dict[str, float]


def main(
    argv: Sequence[str] | None,
    parser: argparse.ArgumentParser,
    make_options: Callable[..., _AnyOptions],
    measure: Callable[[_AnyOptions, Path], Mapping[str, object]],
) -> int:
    """Runs a benchmark and prints its result, with the machine's, as one JSON object.

    Args:
      make_options: makes a value of the flags; its ValueError is wrong usage.
      measure: returns the result; its folder is removed unless `options.keep` is set.

    Returns:
      0, or 1 if the benchmark failed.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    flags = vars(parser.parse_args(argv)).items()
    try:
        options = make_options(
            **{k: tuple(v) if isinstance(v, list) else v for k, v in flags}
        )
    except ValueError as error:
        parser.error(str(error))
    try:
        is_kept = getattr(options, "keep", False)
        with workdir(options.workdir, keep=is_kept) as folder:
            logger.info("working in %s", folder)
            result = measure(options, folder)
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        logger.error("benchmark failed: %s", error)
        return 1
    print(json.dumps({**machine(), **result}, default=str))  # noqa: T201
    return 0


def parser(description: str, defaults: object) -> argparse.ArgumentParser:
    """Returns a parser of the flags that benchmarks share.

    Args:
      defaults: has num_clips, num_workers and num_rounds.
    """
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    for name, text in (("clips", "clips to measure with"), ("rounds", "of each way")):
        default = getattr(defaults, f"num_{name}")
        add(f"--num_{name}", type=int, default=default, help=text)
    add(
        "--num_workers",
        type=int,
        nargs="+",
        default=list(getattr(defaults, "num_workers")),  # noqa: B009
        metavar="N",
        help="numbers of workers to measure, one after the other",
    )
    add("--workdir", type=Path, metavar="DIR", help="a temporary folder by default")
    return parser


def check_at_least_one(options: object, *names: str) -> None:
    """Checks numbers that an object has by these names.

    Raises:
      ValueError: one is below 1, or a tuple has such a number or none at all.
    """
    for name in names:
        value = getattr(options, name)
        if (min(value, default=0) if isinstance(value, tuple) else value) < 1:
            raise ValueError(f"{name} must be at least 1: {value}")


@contextmanager
def workdir(parent: Path | None, *, keep: bool = False) -> Iterator[Path]:
    """Makes a temporary folder, and removes it unless it is to be kept."""
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="benchmark-", dir=parent))
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder)


def draw_package(folder: Path, drawn: Path, num_clips: int) -> Path:
    """Returns a new package of so many clips; what is drawn for it stays in `drawn`."""
    num_distinct = min(num_clips, NUM_DISTINCT_CLIPS)
    source = drawn / f"clips-{num_distinct}"
    run_job("synthesize", output=source, num_clips=num_distinct)
    package = folder / "package"
    repeat_clips.repeat_clips(source, package, num_clips)
    return package


def build(package: Path, dataset: Path, **flags: object) -> Run:
    """Builds a data set of a package of `draw_package`."""
    return run_job(
        "build",
        clips=package / CLIPS,
        annotations=package / "annotations",
        dataset=dataset,
        **flags,
    )


def copy_clips(package: Path, num_copies: int) -> Path:
    """Returns a package beside this one that has every clip under so many ids.

    The files are hard links: a benchmark gets longer, and its start-up weighs less,
    without more clips to draw. With one copy it is the package itself.
    """
    if num_copies < 1:
        raise ValueError(f"num_copies must be at least 1: {num_copies}")
    if num_copies == 1:
        return package
    copied = package.with_name(f"{package.name}-{num_copies}-times")
    num_clips = num_copies * repeat_clips.count_clips(package)
    repeat_clips.repeat_clips(package, copied, num_clips)
    return copied


def run_job(job: str, **flags: object) -> Run:
    """Runs a command of `pipelines`.

    Raises:
      RuntimeError: it failed; the text is the end of its log.
    """
    words = [w for name, value in flags.items() for w in (f"--{name}", str(value))]
    begin = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines", job, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        text=True,
    )
    with _watched(process.pid) as used:
        output, log = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"pipelines {job} failed:\n{log[-2000:]}")
    return Run(
        answer=json.loads(output.splitlines()[-1]),
        seconds=time.monotonic() - begin,
        cpu_seconds=sum(used.cpu_seconds.values()),
        peak_rss_mib=used.peak_rss_mib,
    )


def machine() -> dict[str, object]:
    """Returns when and on what a benchmark runs."""
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(": ")[1] for line in cpuinfo if line[:10] == "model name"]
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": models[0] if models else platform.machine(),
        "num_cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }


def children_cpu_seconds() -> float:
    """Returns the time of the processors that children used who have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@dataclass(slots=True)
class _Used:
    cpu_seconds: dict[int, float] = field(default_factory=dict)  # by process
    peak_rss_mib: dict[str, float] = field(default_factory=dict)  # by module

    def note(self, pid: int) -> None:
        """Takes down what a process has used so far."""
        try:
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            status = Path(f"/proc/{pid}/status").read_text()
            times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return
        # proc(5): utime and stime are fields 14 and 15; two precede what is split.
        self.cpu_seconds[pid] = (int(times[11]) + int(times[12])) / _TICKS_PER_SECOND
        named = words[words.index("-m") + 1 :] if "-m" in words[:-1] else words
        name = named[1] if named[0] == _CHILD_START else named[0]
        high_water = [line for line in status.splitlines() if line[:6] == "VmHWM:"]
        if high_water:  # a process that is ending has none
            mib = int(high_water[0].split()[1]) / 1024
            self.peak_rss_mib[name] = max(mib, self.peak_rss_mib.get(name, 0.0))


@contextmanager
def _watched(pid: int) -> Iterator[_Used]:
    """Takes down what a process and its descendants use while the block runs."""
    used = _Used()
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_POLL_SECONDS):
            for member in _process_tree(pid):
                used.note(member)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield used
    finally:
        ended.set()
        watcher.join()


def _process_tree(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        for child in children:
            yield from _process_tree(int(child))
