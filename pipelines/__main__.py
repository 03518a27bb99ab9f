"""`clipmill JOB`, which is `python -m pipelines JOB`: one name for every job."""

import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from mindrecord_io import interrupts
from mindrecord_io.commands import command_line, progress_bar, terminal

__all__ = ["main", "start"]

_JOBS = {
    "synthesize": "draw a stand-in for the licensed data set",
    "build": "turn clips and annotations into a published version",
    "relabel": "give the clips of a version other labels, without decoding",
    "verify": "check a version's shards byte by byte",
    "report": "write a page that shows what a version holds",
    "browse": "look at a version's clips in a browser, and at doubted labels",
    "suspects": "list the clips whose label a network doubts",
    "history": "list the versions and what changed from one to the next",
    "rollback": "publish an older version again",
    "prune": "remove old versions and the shards that only they need",
    "fingerprint": "print one hash of the pixels of a version's clips",
    "checksums": "list the SHA-256 of clips, for build --checksums",
}
"""The jobs of this package: modules of pipelines.jobs."""

_OTHER_JOBS = {
    "train": "train a network on a version",
    "eval": "measure a checkpoint on a split",
    "infer": "print the most probable labels of some clips",
    "export": "write a trained network for other programs",
    "import_weights": "make a checkpoint of published weights",
    "doctor": "print what this machine has, and what is missing for what",
    "launch": "run train or eval on several devices and hosts",
    "rank_table": "write the rank table of hosts with Ascend devices",
    "device": "score a split by an exported network, as on an Ascend 310",
    "zoo": "run a command line of the model zoo's TSM",
}
"""The jobs of the packages that are imported by name alone: `train`, and `eval`."""

_MODULES = {
    "launch": "eval.running.launch",
    "rank_table": "eval.running.rank_table",
    "device": "eval.device.__main__",
    "zoo": "eval.zoo.__main__",
}
"""Those of them that are no tool of `python -m eval`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Hands the flags to the job that is named first; returns its exit status."""
    words = sys.argv[1:] if argv is None else list(argv)
    job = words[0] if words else ""
    if job in _JOBS:
        return _run(job, words[1:])
    if job in _OTHER_JOBS:
        return _run_elsewhere(job, words[1:])
    if job == "--version":
        print(f"clipmill {_version()}")
        return 0
    is_help = job in ("-h", "--help")
    stream = sys.stdout if is_help else sys.stderr
    if job and not is_help:
        print(terminal.red(f"no job {job!r}; the jobs are:"), file=stream)
    else:
        print("usage: clipmill JOB [flags]; the jobs are:", file=stream)
    for name, text in (_JOBS | _OTHER_JOBS).items():
        print(f"  {name:<16}{text}", file=stream)
    print("`clipmill JOB --help` lists a job's flags.", file=stream)
    return 0 if is_help else 2


def start() -> int:
    """Runs the command of this process; signals end it with one line."""
    if len(sys.argv) > 1 and sys.argv[1] in _OTHER_JOBS:
        return command_line.start(main)
    return command_line.start(
        main,
        ": nothing half-done counts, run the same command again to finish",
        exit_at=interrupts.exit_at_signals,
    )


def _run(job: str, words: list[str]) -> int:
    # Each import waits until it is needed: a job loads its own libraries alone, and
    # none before --help and wrong flags are answered.
    from pipelines.jobs import parsers

    getattr(parsers, f"{job}_parser")().parse_known_args(words)
    progress_bar.phase("loading libraries")
    status: int = importlib.import_module(f"pipelines.jobs.{job}").main(words)
    return status


def _run_elsewhere(job: str, words: list[str]) -> int:
    for package in ("model", "eval", "train"):
        _load_own(package)
    if job == "doctor" and "--train" in words:
        self_test = importlib.import_module("train.__main__").self_test
        return int(self_test(words))
    if job == "train":
        module = importlib.import_module("train.__main__")
    elif job in _MODULES:
        module = importlib.import_module(_MODULES[job])
    else:
        module = importlib.import_module("eval.__main__")
        words = words if job == "eval" else [job, *words]
    status: int = module.main(words)
    return status


def _load_own(package: str) -> None:
    """Loads a package from beside this one, whatever else of its name there is.

    The names are usual: the current folder, if it is on Python's path, may well have a
    train.py, a model.py or an eval/ of its own.
    """
    beside = str(Path(__file__).resolve().parent.parent)
    spec = importlib.machinery.PathFinder.find_spec(package, [beside])
    if package in sys.modules or spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules[package] = module
    spec.loader.exec_module(module)


def _version() -> str:
    from importlib import metadata  # slow, and wanted here alone

    try:
        return metadata.version("clipmill")
    except metadata.PackageNotFoundError:
        return f"of {Path(__file__).resolve().parent.parent}, which is not installed"


if __name__ == "__main__":
    sys.exit(start())
