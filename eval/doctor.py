"""`clipmill doctor`: what this machine has, and what is missing for what."""

import logging
import os
import platform
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from eval.running import devices, parsers
from mindrecord_io.commands import command_line, log_lines

__all__ = ["Examined", "examine", "main"]

logger = logging.getLogger(__name__)

_NEEDED_BY = {
    "mindspore": "train, eval, infer, export, and to prove what build writes",
    "apache-beam": "build, relabel, verify",
    "av": "build",
    "opencv-python-headless": "build, train, eval",
    "simplejpeg": "train, eval",
    "pyarrow": "every job",
    "PyYAML": "train, eval",
    "tqdm": "every job",
    "tensorboardX": "train",
    "safetensors": "weights in .safetensors files",
    "torch": "weights in .pth files",
}
"""Installed packages, and what cannot be done without each."""

_OPTIONAL = ("torch",)
_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Examined:
    """What `doctor` prints last.

    Attributes:
      packages: version of each, None where it is not installed.
      devices: as text, "CPU, 2 x NVIDIA GPU".
      ffmpeg: the program's path; None without one.
      free_gib: on the disk of the current folder.
      missing: each package or program that is not there, and what needs it.
    """

    python: str
    packages: dict[str, str | None]
    num_processors: int
    devices: str
    ffmpeg: str | None
    free_gib: float
    missing: dict[str, str]


def main(argv: Sequence[str] | None = None) -> int:
    """Prints what there is; returns 1 if something is missing that jobs need."""
    parser = parsers.doctor_parser()
    if parser.parse_args(argv).train:
        parser.error("--train is for `clipmill doctor`, not for python -m eval")
    return command_line.run("doctor", examine, _finish)


def examine(folder: Path = Path()) -> Examined:
    """Returns what this machine has; imports none of it."""
    packages = {name: _version(name) for name in _NEEDED_BY}
    ffmpeg = _ffmpeg_path()
    missing = {n: text for n, text in _NEEDED_BY.items() if packages[n] is None}
    if ffmpeg is None:
        missing["ffmpeg"] = "synthesize"
    return Examined(
        python=f"{platform.python_version()} at {sys.executable}",
        packages=packages,
        num_processors=os.cpu_count() or 1,
        devices=devices.describe_machine(),
        ffmpeg=ffmpeg,
        free_gib=round(shutil.disk_usage(folder).free / _GIB, 1),
        missing=missing,
    )


def _finish(examined: Examined) -> int:
    lines = [f"python: {examined.python}"]
    lines += [f"{n}: {v}" for n, v in examined.packages.items() if v]
    lines += [
        f"devices: {examined.devices}, {examined.num_processors} processors",
        f"a GPU needs {devices.needed('GPU')}, an Ascend {devices.needed('Ascend')}",
        f"ffmpeg: {examined.ffmpeg}",
        f"free disk here: {examined.free_gib} GiB",
    ]
    for line in lines:
        logger.info("%s", line, extra=log_lines.IN_SUMMARY)
    for name, text in examined.missing.items():
        level = logging.INFO if name in _OPTIONAL else logging.ERROR
        logger.log(level, "missing: %s, for %s", name, text)
    return int(bool(examined.missing.keys() - set(_OPTIONAL)))


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _ffmpeg_path() -> str | None:
    on_path = shutil.which("ffmpeg")
    spec = None if on_path else util.find_spec("imageio_ffmpeg")
    if spec is None or not spec.submodule_search_locations:
        return on_path
    folder = Path(next(iter(spec.submodule_search_locations))) / "binaries"
    return next((str(path) for path in folder.glob("ffmpeg-*")), None)
