"""What can be said of a clip's file before anything is decoded."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from mindrecord_io import records
from pipelines.decoding import containers, matroska, matroska_elements, vpx_headers
from pipelines.quarantine import ClipError

__all__ = ["ClipFile", "read_clip_file"]

_NUM_SHOWN_BYTES = 12
_FRAME_READERS = {"V_VP8": vpx_headers.read_vp8, "V_VP9": vpx_headers.read_vp9}


@dataclass(frozen=True, slots=True)
class ClipFile:
    """A file that has the beginning of a container that is decoded.

    Attributes:
      structure: None where the container is none of Matroska's.
      frames: what the headers of its VP8 or VP9 frames say; None for other codecs.
      content: its bytes.
    """

    path: Path
    structure: matroska.Structure | None
    frames: vpx_headers.Frames | None
    content: bytes = field(default=b"", repr=False)

    @property
    def doubt(self) -> str:
        """What is wrong with the file already, "" if nothing."""
        if self.structure is None:
            return ""
        return self.structure.problem or (self.frames.problem if self.frames else "")

    @property
    def is_plain(self) -> bool:
        """Whether its frames are known to be of 8 bits, 4:2:0, BT.601, limited range.

        It is known of VP8 and VP9 in Matroska or WebM; others may be just as plain.
        """
        return (
            self.structure is not None
            and self.structure.is_ordinary
            and self.frames is not None
            and self.frames.is_plain
        )

    @property
    def num_frames(self) -> int:
        """The frames that the file holds, 0 where only decoding would tell."""
        if self.structure is None:
            return 0
        if self.frames is not None and self.frames.is_plain and not self.doubt:
            return self.frames.num_shown
        return len(self.structure.blocks)

    @property
    def has_exact_count(self) -> bool:
        """Whether `num_frames` is what decoding must give, to the frame."""
        return self.frames is not None and not self.doubt


def read_clip_file(path: Path, planned: records.Fingerprint) -> ClipFile:
    """Reads and looks at a file.

    Raises:
      ClipError: it cannot be read, is empty, is not the planned one, is no container
        that is decoded, or is several.
    """
    content = _read(path, planned)
    kind = containers.kind(content)
    if not kind:
        raise _not_video(path, content)
    if kind != containers.MATROSKA:
        return ClipFile(path, None, None, content)
    structure = matroska.read(content)
    structure.is_ordinary &= not matroska_elements.oddity(content)
    if structure.num_files > 1:
        detail = f"{path}: {structure.num_files} files one behind the other"
        raise ClipError("concatenated", detail)
    read_frames = _FRAME_READERS.get(structure.codec)
    frames = read_frames(content, structure.blocks) if read_frames else None
    return ClipFile(path, structure, frames, content)


def _read(path: Path, planned: records.Fingerprint) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as cause:
        raise ClipError("unreadable", f"{path}: {cause.strerror}") from cause
    if not content:
        raise ClipError("empty", f"{path} has no bytes")
    if hashlib.sha256(content).hexdigest() != planned.sha256:
        raise ClipError(
            "changed", f"{path} changed since the build began ({len(content)} bytes)"
        )
    return content


def _not_video(path: Path, content: bytes) -> ClipError:
    accepted = f"{path} is not WebM, MKV, MP4, MOV or AVI"
    if foreign := containers.foreign_kind(content):
        return ClipError("wrong_container", f"{accepted}, but {foreign}")
    start = content[:_NUM_SHOWN_BYTES].hex(" ")
    return ClipError("not_video", f"{accepted}: begins {start}")
