"""Some drawn clips and a data set that the commands make of them."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class SmallDataset:
    """Some drawn clips and the data set of their frames."""

    folder: Path

    @property
    def dataset(self) -> Path:
        return self.folder / "dataset"

    def clip_path(self, clip_id: str) -> Path:
        (path,) = self.folder.rglob(f"{clip_id}.webm")
        return path


def run_command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs `python -m WORDS` to its end."""
    done = subprocess.run(
        [sys.executable, "-m", *map(str, words)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def make(folder: Path) -> SmallDataset:
    """Draws 48 clips and stores them with a short side of 40 pixels."""
    made = SmallDataset(folder)
    package = made.folder / "package"
    run_command("pipelines", "synthesize", "--output", package, "--num_clips", "48")
    clips = next(package.rglob("*.webm")).parent
    annotations = next(package.rglob("*labels.json")).parent
    run_command(
        *("pipelines", "build", "--clips", clips, "--annotations", annotations),
        *("--dataset", made.dataset, "--short_side", "40", "--num_shards", "3"),
    )
    return made
