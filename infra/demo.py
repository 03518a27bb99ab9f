"""The whole program at work on clips it draws itself: what `make demo` runs.

Draws clips, builds and verifies a data set, trains a small TSM and the same network
without its shift, measures both and prints a table. What an earlier run has finished
is used again.
"""

import argparse
import json
import logging
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

logger = logging.getLogger("demo")

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "infra" / "configs" / "demo_cpu.yaml"
NETWORKS = {
    "TSM": (),
    "the same without shift": ("--shift_place", "none"),
}


class DemoError(RuntimeError):
    """A command of the demo failed; its own words are on standard error."""


def run_command(*words: object) -> dict[str, Any]:
    """Runs one of the project's programs; returns the last line of its output."""
    command = [sys.executable, "-m", *map(str, words)]
    shown = " ".join(["python", *command[1:]])
    logger.info("$ %s", shown)
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise DemoError(f"exit status {done.returncode}: {shown}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def trained(workdir: Path, name: str, flags: Sequence[str], version: str) -> Path:
    """Trains a network unless that is done already; returns its best checkpoint."""
    folder = workdir / f"{name.split()[-1].lower()}-{version}"
    result_path = folder / "result.json"
    if result_path.exists():
        logger.info("%s: trained already, in %s", name, folder)
    else:
        result = run_command(
            *("train", "--config_path", CONFIG, "--dataset", workdir / "dataset"),
            *("--output", folder, *flags),
        )
        result_path.write_text(json.dumps(result))
    return Path(json.loads(result_path.read_text())["best_checkpoint"])


def demonstrate(workdir: Path, num_clips: int) -> list[tuple[str, str]]:
    """Runs every step; returns the rows of the closing table."""
    source, dataset = workdir / "source", workdir / "dataset"
    run_command(
        "pipelines", "synthesize", "--output", source, "--num_clips", str(num_clips)
    )
    built = run_command(
        *("pipelines", "build", "--dataset", dataset),
        *("--clips", source / "20bn-something-something-v2"),
        *("--annotations", source / "annotations"),
    )
    verified = run_command("pipelines", "verify", "--dataset", dataset)
    rows = [
        ("clips, frames", f"{built['num_clips']}, {built['num_frames']}"),
        ("shards", ", ".join(f"{n} {done}" for done, n in built["shards"].items())),
        ("build", f"{built['clips_per_second']} clips/s"),
        ("damaged shards", str(len(verified["damaged"]))),
    ]
    for name, flags in NETWORKS.items():
        checkpoint = trained(workdir, name, flags, built["version"])
        measured = run_command(
            *("eval", "--config_path", CONFIG, "--dataset", dataset),
            *("--checkpoint", checkpoint, *flags),
        )
        top1, top5 = measured["top1"], measured["top5"]
        rows.append((f"{name}: top-1, top-5", f"{top1:.3f}, {top5:.3f}"))
    return [
        *rows,
        ("clips", str(source)),
        ("data set", f"{dataset}, version {built['version']}"),
        ("networks", str(workdir)),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the demo and prints its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--workdir", type=Path, default=Path("demo"), help="for all")
    parser.add_argument("--num_clips", type=int, default=400, help="to draw")
    flags = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    begin = time.monotonic()
    try:
        rows = demonstrate(flags.workdir.resolve(), flags.num_clips)
    except DemoError as error:
        logger.error("the demo failed: %s", error)
        return 1
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")  # noqa: T201
    logger.info("%.0f s", time.monotonic() - begin)
    return 0


if __name__ == "__main__":
    sys.exit(main())
