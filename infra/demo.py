"""The whole program at work on clips it draws itself: what `make demo` runs.

Draws clips, builds and verifies a data set, trains a small TSM and the same network
without its shift, measures both and prints a table. With --online, a third one whose
shift looks at past frames only is trained after them, which takes half as long again.
The finished parts of an earlier run are used again.
"""

import argparse
import contextlib
import json
import logging
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

logger = logging.getLogger("demo")

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "infra" / "configs" / "demo_cpu.yaml"
NUM_CLIPS = 600
NETWORKS = {
    "TSM": (),
    "unshifted": ("--shift_place", "none"),
    "online TSM": ("--shift_mode", "online"),
}
"""The flags that make each network what it is."""


class DemoError(RuntimeError):
    """A command of the demo failed; its own words are on standard error."""


def start_command(
    *words: object, log: Path | None = None, cores: Collection[int] = ()
) -> subprocess.Popen[bytes]:
    """Starts one of the project's programs.

    Its standard error goes here or to a file, its threads to all cores or to some.
    """
    command = [sys.executable, "-m", *map(str, words)]
    where = f"   (progress in {log})" if log else ""
    logger.info("$ %s%s", shlex.join(["python", *command[1:]]), where)
    with contextlib.ExitStack() as stack:
        errors = stack.enter_context(log.open("wb")) if log else None
        return subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=errors,
            preexec_fn=lambda: os.sched_setaffinity(0, cores) if cores else None,
        )


def result_of(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Waits for a program; returns the last line of its output."""
    output, _ = process.communicate()
    if process.returncode != 0:
        words = shlex.join(map(str, process.args[1:]))  # type: ignore[index]
        raise DemoError(f"exit status {process.returncode}: python {words}")
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


def run_command(*words: object) -> dict[str, Any]:
    """Runs one of the project's programs; returns the last line of its output."""
    return result_of(start_command(*words))


def start_training(
    dataset: Path,
    folder: Path,
    *flags: str,
    log: Path | None = None,
    cores: Collection[int] = (),
) -> subprocess.Popen[bytes] | None:
    """Trains a network, or goes on with a training that was interrupted.

    Returns: the program; None where the network is trained already.
    """
    if result_path(folder).exists():
        logger.info("trained already: %s", folder)
        return None
    is_begun = any((folder / "checkpoints").glob("step-*"))
    if not is_begun:
        shutil.rmtree(folder, ignore_errors=True)
    return start_command(
        *("train", "--config_path", CONFIG, "--dataset", dataset),
        *("--output", folder, *flags, *(("--resume",) if is_begun else ())),
        log=log,
        cores=cores,
    )


def finish_training(process: subprocess.Popen[bytes] | None, folder: Path) -> Path:
    """Waits for a training; returns its best checkpoint."""
    if process is not None:
        result_path(folder).write_text(json.dumps(result_of(process)))
    return Path(json.loads(result_path(folder).read_text())["best_checkpoint"])


def result_path(folder: Path) -> Path:
    """Returns where the demo keeps what a training printed."""
    return folder / "result.json"


def train_both(
    dataset: Path, workdir: Path, version: str, seed: int
) -> dict[str, Path]:
    """Trains with and without shift, side by side; returns the best checkpoints.

    Each gets half of the cores: where both have all, they wait for each other's threads
    and take twice as long.
    """
    cores, other_cores = halves_of_cores()
    tsm = workdir / f"tsm-{version}-seed{seed}"
    unshifted = workdir / f"unshifted-{version}-seed{seed}"
    log = workdir / "unshifted.log"
    flags = (*NETWORKS["unshifted"], "--seed", str(seed))
    beside = start_training(dataset, unshifted, *flags, log=log, cores=other_cores)
    try:
        shown = start_training(dataset, tsm, "--seed", str(seed), cores=cores)
        shifted = finish_training(shown, tsm)
        return {"TSM": shifted, "unshifted": finish_training(beside, unshifted)}
    finally:
        if beside is not None:
            beside.kill()


def halves_of_cores() -> tuple[list[int], list[int]]:
    """Returns the cores of this process in two halves; the second may be empty."""
    cores = sorted(os.sched_getaffinity(0))
    half = len(cores) // 2
    return cores[half:], cores[:half]


def train_online(
    dataset: Path, workdir: Path, version: str, seed: int
) -> dict[str, Path]:
    """Trains with the shift that looks at past frames only."""
    folder = workdir / f"online-{version}-seed{seed}"
    flags = (*NETWORKS["online TSM"], "--seed", str(seed))
    process = start_training(dataset, folder, *flags)
    return {"online TSM": finish_training(process, folder)}


def measure(dataset: Path, checkpoints: Mapping[str, Path]) -> list[tuple[str, str]]:
    """Scores networks by name, side by side; returns rows of the closing table."""
    halves = halves_of_cores()
    started = {
        name: start_command(
            *("eval", "--dataset", dataset, "--checkpoint", path),
            log=path.parent / "eval.log",
            cores=halves[number % 2],
        )
        for number, (name, path) in enumerate(checkpoints.items())
    }
    results = {name: result_of(process) for name, process in started.items()}
    return [
        (f"{name}: top-1, top-5", f"{result['top1']:.3f}, {result['top5']:.3f}")
        for name, result in results.items()
    ]


def demonstrate(
    workdir: Path, num_clips: int, *, has_online: bool, seed: int
) -> list[tuple[str, str]]:
    """Runs every step; returns the rows of the closing table."""
    source, dataset = workdir / "source", workdir / "dataset"
    words = ("--output", source, "--num_clips", num_clips, "--light")
    run_command("pipelines", "synthesize", *words)
    built = run_command(
        *("pipelines", "build", "--dataset", dataset),
        *("--clips", source / "20bn-something-something-v2"),
        *("--annotations", source / "annotations"),
    )
    verified = run_command("pipelines", "verify", "--dataset", dataset)
    report = run_command("pipelines", "report", "--dataset", dataset)["report"]
    checkpoints = train_both(dataset, workdir, built["version"], seed)
    if has_online:
        checkpoints |= train_online(dataset, workdir, built["version"], seed)
    return [
        ("clips, frames", f"{built['num_clips']}, {built['num_frames']}"),
        ("shards", ", ".join(f"{n} {done}" for done, n in built["shards"].items())),
        ("build", _speed(built)),
        ("damaged shards", str(len(verified["damaged"]))),
        *measure(dataset, checkpoints),
        ("clips in", _shown(source)),
        ("data set in", f"{_shown(dataset)}, version {built['version']}"),
        ("report in", _shown(report)),
        ("networks in", ", ".join(_shown(p.parent) for p in checkpoints.values())),
    ]


def commands_to_try(workdir: Path, seed: int) -> list[str]:
    """Returns two commands that use what the demo has made."""
    dataset = workdir / "dataset"
    version = (dataset / "CURRENT").read_text().strip()
    listed = dataset / "versions" / version / "labels" / "val_videofolder.txt"
    program = _shown(Path(sys.executable).with_name("clipmill"))
    return [
        f"{program} {words}"
        for words in (
            f"infer --dataset {_shown(dataset)} "
            f"--checkpoint {_shown(workdir / f'tsm-{version}-seed{seed}')} "
            f"--clip_id {listed.read_text().split()[0]}",
            f"eval --dataset {_shown(dataset)} "
            f"--checkpoint {_shown(workdir / f'unshifted-{version}-seed{seed}')} "
            f"--report {_shown(workdir / 'confused.json')}",
        )
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the demo and prints its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--workdir", type=Path, default=Path("demo"), help="for all")
    parser.add_argument("--num_clips", type=int, default=NUM_CLIPS, help="to draw")
    parser.add_argument(
        "--online", action="store_true", help="train with the online shift too"
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="of the weights, the order and the crops"
    )
    flags = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    begin = time.monotonic()
    logger.info(
        "drawing %d clips, building a data set of them, training with and without "
        "shift: about three minutes on two cores",
        flags.num_clips,
    )
    workdir = flags.workdir.resolve()
    try:
        rows = demonstrate(
            *(workdir, flags.num_clips), has_online=flags.online, seed=flags.seed
        )
    except DemoError as error:
        logger.error("the demo failed: %s", error)
        return 1
    rows.append(("seconds", f"{time.monotonic() - begin:.0f}"))
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")  # noqa: T201
    logger.info(
        "\nto try next:\n  %s", "\n  ".join(commands_to_try(workdir, flags.seed))
    )
    return 0


def _shown(path: Path | str) -> str:
    """Returns a path as seen from the current folder, where it is below that."""
    # Not resolved: the Python of a virtual environment is a link.
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _speed(built: dict[str, Any]) -> str:
    """Returns the build's clips per second, where it had any clips to decode."""
    if not built["shards"]["decoded"]:
        return "nothing was left to build"
    return f"{built['clips_per_second']} clips/s"


if __name__ == "__main__":
    sys.exit(main())
