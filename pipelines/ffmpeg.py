"""Finds the ffmpeg program."""

import functools
import shutil
import subprocess

__all__ = ["FfmpegNotFoundError", "ffmpeg_path", "has_decoder"]


class FfmpegNotFoundError(RuntimeError):
    """There is no ffmpeg program on this machine."""


def ffmpeg_path() -> str:
    """Returns the path of an ffmpeg program: the one on PATH, else imageio-ffmpeg's.

    Raises:
      FfmpegNotFoundError: there is neither.
    """
    if on_path := shutil.which("ffmpeg"):
        return on_path
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError) as cause:
        raise FfmpegNotFoundError(
            "no ffmpeg on PATH and none from the imageio-ffmpeg package; install "
            f"ffmpeg, or run `pip install imageio-ffmpeg` ({cause})"
        ) from cause


def has_decoder(name: str) -> bool:
    """Returns whether the ffmpeg program was built with a decoder."""
    return name in _decoders(ffmpeg_path())


@functools.lru_cache
def _decoders(program: str) -> frozenset[str]:
    listing = subprocess.run(
        [program, "-hide_banner", "-decoders"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    ).stdout
    lines = [line.split() for line in listing.decode("utf-8", "replace").splitlines()]
    return frozenset(words[1] for words in lines if len(words) > 1)
