"""Reads a clip's file and checks its container and frame headers, without decoding."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from mindrecord_io import records
from mindrecord_io.storage import files
from pipelines.decoding import (
    containers,
    matroska,
    matroska_elements,
    mp4_boxes,
    vpx_headers,
)
from pipelines.quarantine import ClipError

__all__ = ["ClipFile", "read_clip_file"]

_NUM_SHOWN_BYTES = 12
_FRAME_READERS = {"V_VP8": vpx_headers.read_vp8, "V_VP9": vpx_headers.read_vp9}


@dataclass(frozen=True, slots=True)
class ClipFile:
    """A file in a container that can be decoded, and what its headers state.

    Attributes:
      structure: of a Matroska or WebM file; None for other containers.
      frames: by the headers of VP8 or VP9 frames; None for other codecs.
      content: the file's bytes.
      movie: of an MP4 or MOV file; None for other containers.
    """

    path: Path
    structure: matroska.Structure | None
    frames: vpx_headers.Frames | None
    content: bytes = field(default=b"", repr=False)
    movie: mp4_boxes.Movie | None = None

    @property
    def problem(self) -> str:
        """The first thing wrong with container or frame headers, "" if nothing."""
        if self.structure is None:
            return ""
        return self.structure.problem or (self.frames.problem if self.frames else "")

    @property
    def is_only_a_header(self) -> bool:
        """Whether a whole header of a video is there, and no frame behind it.

        Players are sent such a part of a file before the others (an init segment).
        """
        if self.structure is not None:
            is_whole = not (self.structure.problem or self.structure.is_cut_off)
            return is_whole and bool(self.structure.codec) and not self.num_frames
        movie = self.movie
        if movie is None or not movie.is_fragmented or movie.is_cut_off:
            return False
        return bool(movie.codec) and not movie.num_frames

    @property
    def is_plain(self) -> bool:
        """Whether all headers state 8 bits, 4:2:0, BT.601, limited range.

        Only headers of VP8 and VP9 in Matroska or WebM are read; False for the rest.
        """
        return (
            self.structure is not None
            and self.structure.is_ordinary
            and self.frames is not None
            and self.frames.is_plain
        )

    @property
    def num_frames(self) -> int:
        """The number of frames in the file, 0 where only decoding can count them."""
        if self.structure is None:
            return 0
        if self.frames is not None and self.frames.is_plain and not self.problem:
            return self.frames.num_shown
        return len(self.structure.blocks)


def read_clip_file(path: Path, planned: records.Fingerprint) -> ClipFile:
    """Reads a file and the headers in it.

    Raises:
      ClipError: the file cannot be read, is empty, changed since it was planned, is in
        no supported container, or consists of several files.
    """
    content = _read(path, planned)
    kind = containers.kind(content)
    if not kind:
        raise _not_video(path, content)
    if kind != containers.MATROSKA:
        movie = mp4_boxes.read(content) if kind == containers.MP4 else None
        if movie is not None and movie.is_encrypted:
            raise _encrypted(path, f"its sample entry is {movie.codec}")
        return ClipFile(path, None, None, content, movie)
    structure = matroska.read(content)
    structure.is_ordinary &= not matroska_elements.oddity(content)
    if structure.num_files > 1:
        detail = f"{path}: {structure.num_files} files one behind the other"
        raise ClipError("concatenated", detail)
    if structure.is_encrypted:
        raise _encrypted(path, "its ContentEncodings have a ContentEncryption")
    read_frames = _FRAME_READERS.get(structure.codec)
    frames = read_frames(content, structure.blocks) if read_frames else None
    return ClipFile(path, structure, frames, content)


def _read(path: Path, planned: records.Fingerprint) -> bytes:
    try:
        with files.open_regular(path) as file:
            content = file.read()
    except OSError as cause:
        raise ClipError("unreadable", f"{path}: {cause.strerror}") from cause
    if not content:
        raise ClipError("empty", f"{path} has no bytes")
    if hashlib.sha256(content).hexdigest() != planned.sha256:
        raise ClipError(
            "changed", f"{path} changed since the build began ({len(content)} bytes)"
        )
    return content


def _encrypted(path: Path, sign: str) -> ClipError:
    return ClipError("encrypted", f"{path}: the frames are encrypted: {sign}")


def _not_video(path: Path, content: bytes) -> ClipError:
    accepted = f"{path} is not WebM, MKV, MP4, MOV or AVI"
    if foreign := containers.foreign_kind(content):
        return ClipError("wrong_container", f"{accepted}, but {foreign}")
    if picture := containers.picture_kind(content):
        return ClipError("not_video", f"{accepted}, but one {picture}")
    start = content[:_NUM_SHOWN_BYTES].hex(" ")
    return ClipError("not_video", f"{accepted}: begins {start}")
