"""Reads headers and decodes VP8 and VP9 with PyAV's libraries, in this process.

Frames are decoded from the blocks of a file that is in memory already: no library opens
the file or parses its container. This saves a tenth of OpenCV's time, which decodes the
first frame twice to find out what the stream is. The conversion to BGR is the one that
ffmpeg makes for a PNG of BT.601, as is OpenCV's.
"""

import itertools
from collections.abc import Iterator

import av
import av.error
import av.video.reformatter
import numpy as np
import numpy.typing as npt

from mindrecord_io.records import SourceFacts
from pipelines.decoding import clip_file, containers, decoder_log, mp4_boxes

__all__ = ["frames", "read_header"]

Frame = npt.NDArray[np.uint8]

# libvpx reports two thirds of the damage that can be seen in VP9, libavcodec's own
# decoder a tenth; their pixels and their cost are equal. For VP8 neither says a word.
_DECODERS = {"V_VP8": "vp8", "V_VP9": "libvpx-vp9"}
_PIXELS = "yuv420p"
_OPTIONS = {
    # Nothing in a file makes the library open another one, or a connection.
    "protocol_whitelist": "file",
    "format_whitelist": containers.FORMATS,
}
_MICROSECONDS = 1_000_000


def read_header(file: clip_file.ClipFile) -> SourceFacts:
    """Returns rate, number of frames and duration by the header; 0 where unknown.

    Raises:
      MemoryError: the process may not have as much as the header asks for.
    """
    if file.structure is not None:
        fps, seconds = file.structure.fps, file.structure.duration_seconds
        return SourceFacts(fps, _counted(fps * seconds), seconds)
    try:
        with (
            decoder_log.captured(),  # ffmpeg will say the same
            av.open(
                f"file:{file.path}", options=_OPTIONS, metadata_errors="replace"
            ) as container,
        ):
            return _claims(container, file.movie)
    except MemoryError:
        raise
    except av.error.FFmpegError:
        return SourceFacts()  # ffmpeg will report more


def frames(file: clip_file.ClipFile) -> Iterator[Frame]:
    """Yields a plain clip's frames in order of presentation, BGR (H, W, 3).

    They end early where the decoder refuses a block. What it conceals, it only logs
    (see decoder_log).

    Raises:
      MemoryError: the process may not have as much as a frame needs.
    """
    assert file.structure is not None
    # One thread: the cores are shared out among processes, and it costs less CPU.
    codec = av.CodecContext.create(_DECODERS[file.structure.codec], "r")
    assert isinstance(codec, av.VideoCodecContext)
    codec.thread_count = 1
    reformatter = av.video.reformatter.VideoReformatter()
    blocks = file.structure.blocks
    packets = (av.Packet(file.content[begin:end]) for begin, end in blocks)
    try:
        for packet in itertools.chain(packets, [None]):
            for frame in codec.decode(packet):
                if frame.format.name != _PIXELS:
                    return
                yield _bgr(reformatter.reformat(frame, format="bgr24", threads=1))
    except MemoryError:
        raise
    except av.error.FFmpegError:
        return


def _bgr(frame: av.VideoFrame) -> Frame:
    """Returns a frame's pixels without a copy; the array keeps them alive."""
    (plane,) = frame.planes
    shape = (frame.height, frame.width, 3)
    pixels = memoryview(plane)
    return np.ndarray(shape, np.uint8, pixels, strides=(plane.line_size, 3, 1))


def _claims(
    container: av.container.InputContainer, movie: mp4_boxes.Movie | None
) -> SourceFacts:
    """Returns rate, number of frames and, of an MP4's pictures alone, the duration.

    Elsewhere the ffmpeg program reports the duration.
    """
    if not container.streams.video:
        return SourceFacts()
    stream = container.streams.video[0]
    fps = float(stream.guessed_rate or stream.average_rate or 0)
    if movie is not None and movie.codec:
        return SourceFacts(fps, movie.num_frames, movie.duration_seconds)
    seconds = (container.duration or 0) / _MICROSECONDS
    return SourceFacts(fps, _counted(stream.frames or fps * seconds))


def _counted(num_frames: float) -> int:
    return int(num_frames + 0.5) if 0 < num_frames < 1 << 31 else 0
