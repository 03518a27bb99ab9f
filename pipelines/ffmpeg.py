"""Finds the ffmpeg program."""

import functools
import shutil
import subprocess

__all__ = ["FfmpegNotFoundError", "choose", "ffmpeg_path", "has_decoder", "version"]

_chosen = ""


class FfmpegNotFoundError(RuntimeError):
    """There is no ffmpeg program on this machine."""


def choose(path: str) -> None:
    """Sets the program that this process uses; "" for the usual one."""
    global _chosen
    _chosen = path


def ffmpeg_path() -> str:
    """Returns the path of the ffmpeg program that this process uses.

    It is the one chosen, else imageio-ffmpeg's, whose version is pinned, so that all
    machines decode alike; the one on PATH only where that has none.

    Raises:
      FfmpegNotFoundError: there is none of them.
    """
    if _chosen:
        if found := shutil.which(_chosen):
            return found
        raise FfmpegNotFoundError(f"--ffmpeg {_chosen}: there is no such program")
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError) as cause:
        if on_path := shutil.which("ffmpeg"):
            return on_path
        raise FfmpegNotFoundError(
            "no ffmpeg from the imageio-ffmpeg package and none on PATH; run "
            f"`pip install imageio-ffmpeg`, or install ffmpeg ({cause})"
        ) from cause


def has_decoder(name: str) -> bool:
    """Returns whether the ffmpeg program was built with a decoder."""
    lines = _output(ffmpeg_path(), "-decoders").splitlines()
    return name in {words[1] for words in map(str.split, lines) if len(words) > 1}


def version() -> str:
    """Returns the version that the ffmpeg program states; "?" if it states none."""
    words = _output(ffmpeg_path(), "-version").split()
    return words[2] if words[:2] == ["ffmpeg", "version"] else "?"


@functools.lru_cache
def _output(program: str, flag: str) -> str:
    run = subprocess.run(
        [program, "-hide_banner", flag],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return run.stdout.decode("utf-8", "replace")
