"""What the tests of `eval` share: clips in files, and a data set built of some."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipelines import ffmpeg

REPOSITORY = Path(__file__).resolve().parents[2]


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


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory) -> SmallDataset:
    """48 clips of moving shapes, stored with a short side of 40 pixels."""
    made = SmallDataset(tmp_path_factory.mktemp("small"))
    package = made.folder / "package"
    run_command("pipelines", "synthesize", "--output", package, "--num_clips", "48")
    clips = next(package.rglob("*.webm")).parent
    annotations = next(package.rglob("*labels.json")).parent
    run_command(
        *("pipelines", "build", "--clips", clips, "--annotations", annotations),
        *("--dataset", made.dataset, "--short_side", "40", "--num_shards", "3"),
    )
    return made


def write_video(path, *, num_frames=12, size="64x48"):
    """A clip in which every frame is another picture."""
    source = f"testsrc=size={size}:rate=12:duration={num_frames / 12}"
    command = [ffmpeg.ffmpeg_path(), "-v", "error", "-y", "-f", "lavfi", "-i", source]
    kind = ["-c:v", "libvpx-vp9", "-pix_fmt", "yuv420p"]
    subprocess.run([*command, *kind, path], check=True)


def write_frames(folder, num_frames=6):
    folder.mkdir()
    picture = np.zeros((48, 64, 3), np.uint8)
    for number in range(1, num_frames + 1):
        picture[...] = 30 * number
        cv2.imwrite(str(folder / f"{number:05d}.jpg"), picture)


@pytest.fixture(scope="session")
def video_folder(tmp_path_factory):
    """Two videos, a folder of frames, and three files that are none."""
    made = tmp_path_factory.mktemp("videos")
    write_video(made / "a.webm")
    write_video(made / "c.mkv", num_frames=24)
    write_frames(made / "d")
    content = (made / "a.webm").read_bytes()
    (made / "b.webm").write_bytes(content[: len(content) // 2])
    (made / "e.webm").write_bytes(b"")
    (made / "f.mp4").write_text("<html>")
    return made
