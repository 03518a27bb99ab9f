"""Finds the ffmpeg program."""

import shutil

__all__ = ["FfmpegNotFoundError", "ffmpeg_path"]


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
