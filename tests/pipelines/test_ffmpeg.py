import subprocess
import sys
import types
from pathlib import Path

import pytest

from pipelines import ffmpeg


def _program(folder: Path) -> Path:
    program = folder / "ffmpeg"
    program.write_text("#!/bin/sh\necho 'ffmpeg version 1.2 of ours'\n")
    program.chmod(0o755)
    return program


def _package(get_ffmpeg_exe) -> types.ModuleType:
    package = types.ModuleType("imageio_ffmpeg")
    package.get_ffmpeg_exe = get_ffmpeg_exe
    return package


def test_ffmpeg_path_prefers_the_pinned_program_to_the_one_on_path(
    monkeypatch, tmp_path: Path
):
    _program(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    pinned = _package(lambda: "/somewhere/ffmpeg")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", pinned)

    assert ffmpeg.ffmpeg_path() == "/somewhere/ffmpeg"


def test_ffmpeg_path_falls_back_to_the_program_on_path(monkeypatch, tmp_path: Path):
    program = _program(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    none = _package(_raises_runtime_error)
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", none)

    assert ffmpeg.ffmpeg_path() == str(program)


def test_a_program_that_is_chosen_is_used(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(ffmpeg, "_chosen", "")
    ffmpeg.choose(str(_program(tmp_path)))

    assert ffmpeg.ffmpeg_path() == str(tmp_path / "ffmpeg")
    assert ffmpeg.version() == "1.2"


def test_a_program_that_is_chosen_and_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setattr(ffmpeg, "_chosen", "")
    ffmpeg.choose("/nowhere/ffmpeg")

    with pytest.raises(ffmpeg.FfmpegNotFoundError, match="--ffmpeg /nowhere/ffmpeg"):
        ffmpeg.ffmpeg_path()


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
