"""What a clip's header claims: rate, number of frames, duration."""

import av
import av.error

from pipelines.decoding import clip_file, containers, verdicts

__all__ = ["read"]

_OPTIONS = {
    # Nothing in a file makes the library open another one, or a connection.
    "protocol_whitelist": "file",
    "format_whitelist": containers.FORMATS,
}
_MICROSECONDS = 1_000_000


def read(file: clip_file.ClipFile) -> verdicts.Header:
    """Returns the header's claims; what cannot be opened has none.

    Raises:
      MemoryError: the process may not have as much as the header asks for.
    """
    if file.structure is not None:
        fps, seconds = file.structure.fps, file.structure.duration_seconds
        return verdicts.Header(fps, _counted(fps * seconds), seconds)
    try:
        with av.open(
            f"file:{file.path}", options=_OPTIONS, metadata_errors="replace"
        ) as container:
            return _claims(container)
    except MemoryError:
        raise
    except av.error.FFmpegError:
        return verdicts.Header()  # ffmpeg may say more


def _claims(container: av.container.InputContainer) -> verdicts.Header:
    """Returns rate and number of frames; of these containers ffmpeg tells the rest."""
    if not container.streams.video:
        return verdicts.Header()
    stream = container.streams.video[0]
    fps = float(stream.guessed_rate or stream.average_rate or 0)
    seconds = (container.duration or 0) / _MICROSECONDS
    return verdicts.Header(fps, _counted(stream.frames or fps * seconds))


def _counted(num_frames: float) -> int:
    return int(num_frames + 0.5) if 0 < num_frames < 1 << 31 else 0
