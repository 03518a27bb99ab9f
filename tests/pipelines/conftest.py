"""What the tests of this folder share: small clips, annotations, the command line.

This process imports Apache Beam and never MindSpore, which runs only in processes that
the tests start. Tests of other folders import MindSpore into this process, perhaps
after Beam: that works if protobuf is pure Python, which is set here before anything
loads it. The commands under test run without that setting.
"""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from pipelines import ffmpeg
from pipelines.synthetic import webm_writer
from tests import pages_in_chromium

_PROTOBUF = "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"
os.environ.setdefault(_PROTOBUF, "python")

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
LABELS = ("Moving something left", "Moving something right", "Rest")
SPLITS = {
    "train": {"101": 0, "102": 1, "103": 2, "104": 0, "105": 1},
    "validation": {"201": 2, "202": 0},
    "test": {"301": 0},
}
NUM_FRAMES = {"101": 6, "102": 3, "103": 5, "104": 4, "105": 4}  # the others: 3

# Loaded by every Python process that finds it on its path: the decoding processes of a
# whole build get the misbehaviours that way, without a switch in the program.
_PLANT = """\
import sys

if "pipelines.building.decoder_child" in sys.orig_argv:
    import misbehaving_child
if "pipelines.building.shard_child" in sys.orig_argv:
    from pipelines import quarantine

    quarantine.WALL_FACTOR = 1  # clips that only wait are not waited for
"""


@dataclasses.dataclass(frozen=True)
class Package:
    """A folder with clips/ and annotations/."""

    folder: Path

    @property
    def clips(self) -> Path:
        return self.folder / "clips"

    @property
    def annotations(self) -> Path:
        return self.folder / "annotations"

    def clip(self, clip_id: str) -> Path:
        return self.clips / f"{clip_id}.webm"

    def annotate(self, splits: Mapping[str, Mapping[str, int]]) -> None:
        """Writes the JSON files for label_ids by clip_id, by split."""
        self.annotations.mkdir(exist_ok=True)
        files = {"labels": {name: str(i) for i, name in enumerate(LABELS)}}
        for split, label_ids in splits.items():
            files[split] = [
                {"id": clip_id, "template": LABELS[label_id]}
                for clip_id, label_id in label_ids.items()
            ]
        for name, content in files.items():
            (self.annotations / f"{name}.json").write_text(json.dumps(content))


def write_grey_clip(
    path: Path, levels: Iterable[int], *, width: int = 64, height: int = 48
) -> None:
    """Writes a VP9 clip whose frame k is flat grey of level levels[k]."""
    webm_writer.write_webm(
        (np.full((height, width, 3), level, np.uint8) for level in levels),
        path,
        video=webm_writer.Video(width, height, fps=12),
        ffmpeg=ffmpeg.ffmpeg_path(),
    )


def grey_levels(clip_id: str) -> list[int]:
    """The grey level of each frame of a clip of the package."""
    start = 20 + int(clip_id) % 7
    return [start + 30 * k for k in range(NUM_FRAMES.get(clip_id, 3))]


def run_ffmpeg(*arguments: str | Path) -> None:
    command = [ffmpeg.ffmpeg_path(), "-hide_banner", "-loglevel", "error", "-y"]
    subprocess.run([*command, *map(str, arguments)], check=True)


def command_environment(python_path: Sequence[Path] = ()) -> dict[str, str]:
    """The environment of a user's shell, with these folders on Python's path."""
    ours = {name: value for name, value in os.environ.items() if name != _PROTOBUF}
    path = os.pathsep.join(map(str, [*python_path, REPOSITORY]))
    return ours | {"PYTHONPATH": path}


def start_command(
    *words: str | Path | int, python_path: Sequence[Path] = ()
) -> subprocess.Popen[str]:
    """Starts `python -m pipelines WORDS` as a user would."""
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=command_environment(python_path),
    )


def run_command(
    *words: str | Path | int, python_path: Sequence[Path] = ()
) -> subprocess.CompletedProcess[str]:
    """Runs `python -m pipelines WORDS` as a user would; returns what it said."""
    with start_command(*words, python_path=python_path) as process:
        output, errors = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def run_python(*words: str) -> subprocess.CompletedProcess[str]:
    """Runs `python WORDS` with this project on its path."""
    return subprocess.run(
        [sys.executable, *words],
        env=command_environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def child_pids(pid: int) -> set[int]:
    """The processes that descend from a process, zombies too."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    found, generation = set(), {pid}
    while generation:
        generation = {
            child for child, parent in parents.items() if parent in generation
        }
        found |= generation
    return found


def is_alive(pid: int) -> bool:
    """Tells whether a process runs; one that ended and awaits its parent does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def wait_until(is_true: Callable[[], bool], what: str, max_seconds: float = 60) -> None:
    deadline = time.monotonic() + max_seconds
    while not is_true():
        assert time.monotonic() < deadline, f"still not after {max_seconds} s: {what}"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def tools():
    """This module: `tools.run_command(...)`, `tools.write_grey_clip(...)`, ..."""
    return sys.modules[__name__]


@pytest.fixture(scope="session")
def package(tmp_path_factory) -> Package:
    """Eight good clips and their annotations; only to be read, or copied."""
    made = Package(tmp_path_factory.mktemp("package"))
    made.clips.mkdir()
    made.annotate(SPLITS)
    for clip_id in (clip_id for clips in SPLITS.values() for clip_id in clips):
        write_grey_clip(made.clip(clip_id), grey_levels(clip_id))
    return made


@pytest.fixture
def package_copy(package, tmp_path) -> Package:
    """The package, to be changed."""
    return Package(Path(shutil.copytree(package.folder, tmp_path / "package")))


@pytest.fixture(scope="session")
def plant(tmp_path_factory) -> list[Path]:
    """Folders that make the decoding of a command's clips misbehave by clip id.

    See misbehaving_child; to be given as `python_path`.
    """
    folder = tmp_path_factory.mktemp("plant")
    (folder / "sitecustomize.py").write_text(_PLANT)
    return [folder, HERE]


@pytest.fixture(scope="module")
def chromium():
    """A headless Chromium, Debian's own; while it runs, asyncio.run cannot."""
    with pages_in_chromium.launched() as browser:
        yield browser


@pytest.fixture
def open_page(chromium):
    """Opens pages that log no error and request nothing off the machine."""
    with pages_in_chromium.opener(chromium) as start:
        yield start


@pytest.fixture
def children_path(monkeypatch) -> None:
    """Lets child processes of this process run the modules of this folder."""
    monkeypatch.syspath_prepend(str(HERE))
