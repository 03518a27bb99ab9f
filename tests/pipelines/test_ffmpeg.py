import subprocess
import sys
import types
from pathlib import Path

import pytest

from pipelines import ffmpeg


def test_ffmpeg_path_prefers_the_program_on_path(monkeypatch, tmp_path: Path):
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert ffmpeg.ffmpeg_path() == str(program)


def test_ffmpeg_path_falls_back_to_imageio_ffmpeg(monkeypatch):
    package = types.ModuleType("imageio_ffmpeg")
    package.get_ffmpeg_exe = lambda: "/somewhere/ffmpeg"
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", package)

    assert ffmpeg.ffmpeg_path() == "/somewhere/ffmpeg"


def _raises_runtime_error() -> str:
    raise RuntimeError("No ffmpeg exe could be found.")


@pytest.mark.parametrize("is_installed", [True, False])
def test_ffmpeg_path_says_how_to_get_one(monkeypatch, is_installed: bool):
    package = types.ModuleType("imageio_ffmpeg")
    package.get_ffmpeg_exe = _raises_runtime_error
    monkeypatch.setenv("PATH", "")
    # None in sys.modules makes the import fail.
    monkeypatch.setitem(
        sys.modules, "imageio_ffmpeg", package if is_installed else None
    )

    with pytest.raises(
        ffmpeg.FfmpegNotFoundError, match="pip install imageio-ffmpeg"
    ) as caught:
        ffmpeg.ffmpeg_path()

    assert isinstance(caught.value.__cause__, RuntimeError | ImportError)


def test_ffmpeg_path_names_a_program_that_encodes_vp9():
    listing = subprocess.run(
        [ffmpeg.ffmpeg_path(), "-hide_banner", "-encoders"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "libvpx-vp9" in listing.stdout
