"""Reads where the frames of a Matroska or WebM file are, without decoding (RFC 9559).

Reports what codec libraries do not: how many frames the file really has, at which
times, whether it is cut off, and whether a second file is appended to the first.
"""

import fractions
import itertools
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipelines.decoding import ebml
from pipelines.decoding.ebml import CLUSTER, EBML, SEGMENT, VOID, EbmlError

__all__ = ["Structure", "read"]

_INFO, _TRACKS = 0x1549A966, 0x1654AE6B
_TIMESTAMP_SCALE, _DURATION = 0x2AD7B1, 0x4489
_TRACK, _NUMBER, _TYPE, _CODEC = 0xAE, 0xD7, 0x83, 0x86
_ENCODINGS, _VIDEO, _FRAME_NANOSECONDS = 0x6D80, 0xE0, 0x23E383
_ENCODING, _ENCRYPTION = 0x6240, 0x5035
_COLOUR, _MATRIX, _RANGE = 0x55B0, 0x55B1, 0x55B9
_CLUSTER_TIMESTAMP, _SIMPLE_BLOCK, _BLOCK_GROUP, _BLOCK = 0xE7, 0xA3, 0xA0, 0xA1

# What may stand in Video beside colour without changing a pixel: sizes, interlacing
# unknown, display sizes, Void, CRC-32. Cropping, rotation and alpha are not here.
_HARMLESS_IN_VIDEO = frozenset({0xB0, 0xBA, 0x9A, 0x54B0, 0x54BA, 0x54B2, VOID, 0xBF})
_VIDEO_TRACK = 1
_IN_ORDER_OF_TIME = ("V_VP8", "V_VP9", "V_AV1")  # others store frames as decoders need
_LACING = 0x06
_PLAIN_MATRICES = frozenset({2, 5, 6})  # unspecified and the two of BT.601
_PLAIN_RANGES = frozenset({0, 1})  # unspecified and limited
_MAX_FRAME_NANOSECONDS = 10**12
_MAX_RATE_DENOMINATOR = 1001  # of 30000/1001


@dataclass(slots=True)
class Structure:
    """The structure of a file, and its first video track.

    Attributes:
      codec: Matroska's codec id, "" if there is no video track.
      has_other_tracks: whether there are tracks beside the video's.
      is_ordinary: there is no cropping, rotation, alpha or other encoding, and the
        colours are of BT.601's matrix and limited range.
      is_encrypted: the track's frames are.
      duration_seconds: as the header claims, 0.0 if it does not.
      fps: the same.
      blocks: begin and end, in the file, of each frame of the video track.
      times_seconds: of each block.
      is_open_ended: the segment does not state its size, as in files written live.
      is_cut_off: an element goes on beyond the file's end.
      is_read_to_its_end: all elements could be read, so that all blocks are here.
      num_files: EBML headers; more than 1 where files were appended to each other.
      problem: the first thing wrong with the file, "" if nothing.
    """

    codec: str = ""
    has_other_tracks: bool = False
    is_ordinary: bool = True
    is_encrypted: bool = False
    duration_seconds: float = 0.0
    fps: float = 0.0
    blocks: list[tuple[int, int]] = field(default_factory=list)
    times_seconds: list[float] = field(default_factory=list)
    is_open_ended: bool = False
    is_cut_off: bool = False
    is_read_to_its_end: bool = True
    num_files: int = 0
    problem: str = ""


def read(content: bytes) -> Structure:
    """Returns a file's structure, as far as it can be read."""
    reader = _Reader(content)
    try:
        reader.read_file()
    except EbmlError as error:
        reader.structure.problem = reader.structure.problem or str(error)
        reader.structure.is_cut_off |= isinstance(error, ebml.EbmlEndError)
        reader.structure.is_read_to_its_end = False
    return reader.structure


class _Reader:
    """Reads the elements of one file, once and in order."""

    def __init__(self, content: bytes) -> None:
        self.structure = Structure()
        self._content = content
        self._scale_seconds = 1e-3
        self._duration_units = 0.0
        self._video_number = -1
        self._cluster_time = 0

    def read_file(self) -> None:
        """Reads all top elements; raises EbmlError at what cannot be read."""
        structure = self.structure
        for identity, begin, end in self._children(0, len(self._content)):
            if identity == EBML:
                structure.num_files += 1
            elif identity == SEGMENT and structure.num_files == 1:
                self._read_segment(begin, end)
            elif identity not in (SEGMENT, VOID):
                self._note(f"element {identity:X} at byte {begin} is in no segment")
        if structure.codec in _IN_ORDER_OF_TIME:
            self._note_backward_times()

    def _note_backward_times(self) -> None:
        for before, after in itertools.pairwise(self.structure.times_seconds):
            if after < before:
                self._note(f"a frame at {after:.3f} s follows one at {before:.3f} s")
                return

    def _read_segment(self, begin: int, end: int) -> None:
        for identity, at, stop in self._children(begin, end):
            if identity == CLUSTER:
                for child in self._children(at, stop):
                    self._read_in_cluster(*child)
            elif identity == _INFO:
                self._read_info(at, stop)
            elif identity == _TRACKS:
                self._read_tracks(at, stop)
            elif identity == EBML:  # an open segment includes all that follows
                self.structure.num_files += 1
            else:
                self._read_in_cluster(identity, at, stop)

    def _read_info(self, begin: int, end: int) -> None:
        for identity, at, stop in self._children(begin, end):
            if identity == _TIMESTAMP_SCALE:
                self._scale_seconds = self._number(at, stop) * 1e-9
            elif identity == _DURATION:
                self._duration_units = self._float(at, stop)
        duration_seconds = self._duration_units * self._scale_seconds
        self.structure.duration_seconds = duration_seconds

    def _read_tracks(self, begin: int, end: int) -> None:
        for identity, at, stop in self._children(begin, end):
            if identity == _TRACK:
                self._read_track(at, stop)

    def _read_track(self, begin: int, end: int) -> None:
        structure = self.structure
        children = {i: (at, stop) for i, at, stop in self._children(begin, end)}
        if _TYPE not in children or _NUMBER not in children:
            self._note(f"the track at byte {begin} has no type or no number")
            return
        if self._number(*children[_TYPE]) != _VIDEO_TRACK or structure.codec:
            structure.has_other_tracks = True
            return
        self._video_number = self._number(*children[_NUMBER])
        at, stop = children.get(_CODEC, (0, 0))
        codec = self._content[at:stop].rstrip(b"\0")
        structure.codec = codec.decode("ascii", "replace") or "?"
        if _ENCODINGS in children:
            structure.is_ordinary = False
            structure.is_encrypted = self._has_encryption(*children[_ENCODINGS])
        if _FRAME_NANOSECONDS in children:
            structure.fps = _rate(self._number(*children[_FRAME_NANOSECONDS]))
        if _VIDEO in children:
            self._read_video(*children[_VIDEO])

    def _has_encryption(self, begin: int, end: int) -> bool:
        return any(
            part == _ENCRYPTION
            for identity, at, stop in self._children(begin, end)
            if identity == _ENCODING
            for part, _, _ in self._children(at, stop)
        )

    def _read_video(self, begin: int, end: int) -> None:
        structure = self.structure
        for identity, at, stop in self._children(begin, end):
            if identity == _COLOUR:
                structure.is_ordinary &= self._is_plain_colour(at, stop)
            elif identity not in _HARMLESS_IN_VIDEO:
                structure.is_ordinary = False

    def _is_plain_colour(self, begin: int, end: int) -> bool:
        for identity, at, stop in self._children(begin, end):
            if identity == _MATRIX and self._number(at, stop) not in _PLAIN_MATRICES:
                return False
            if identity == _RANGE and self._number(at, stop) not in _PLAIN_RANGES:
                return False
        return True

    def _read_in_cluster(self, identity: int, begin: int, end: int) -> None:
        if identity == _SIMPLE_BLOCK:
            self._read_block(begin, end)
        elif identity == _CLUSTER_TIMESTAMP:
            self._cluster_time = self._number(begin, end)
        elif identity == _BLOCK_GROUP:
            for inner, at, stop in self._children(begin, end):
                if inner == _BLOCK:
                    self._read_block(at, stop)

    def _read_block(self, begin: int, end: int) -> None:
        structure = self.structure
        number, at = ebml.read_number(self._content, begin)
        if at + 3 > end:
            raise EbmlError(f"the block at byte {begin} is cut off")
        if number != self._video_number:
            if not structure.has_other_tracks:
                self._note(f"the block at byte {begin} is of no track: {number}")
            return
        if self._content[at + 2] & _LACING:
            structure.is_ordinary = False
        time = int.from_bytes(self._content[at : at + 2], "big", signed=True)
        time_seconds = (self._cluster_time + time) * self._scale_seconds
        structure.blocks.append((at + 3, end))
        structure.times_seconds.append(time_seconds)

    def _children(self, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Yields id, begin and end of each element's body."""
        for element in ebml.elements(self._content, begin, end):
            if element.is_open and element.identity == SEGMENT:
                self.structure.is_open_ended = True
            if element.end > end:
                self._note_overflow(element, end)
            yield element.identity, element.begin, min(element.end, end)

    def _number(self, begin: int, end: int) -> int:
        return ebml.read_unsigned(self._content, begin, end)

    def _float(self, begin: int, end: int) -> float:
        kinds = {4: ">f", 8: ">d"}
        if end - begin not in kinds:
            return 0.0
        value: float = struct.unpack(kinds[end - begin], self._content[begin:end])[0]
        return value if math.isfinite(value) and value > 0 else 0.0

    def _note(self, problem: str) -> None:
        self.structure.problem = self.structure.problem or problem

    def _note_overflow(self, element: ebml.Element, end: int) -> None:
        is_segment = element.identity == SEGMENT
        if end == len(self._content) and (is_segment or self.structure.is_open_ended):
            self.structure.is_cut_off = True
            self._note(f"the file has {end} bytes, its parts reach to {element.end}")
        else:
            where = f"element {element.identity:X} at byte {element.start}"
            self._note(f"{where} ends beyond its parent")


def _rate(frame_nanoseconds: int) -> float:
    """Returns the rate that is meant by whole nanoseconds: 12 by 83,333,333."""
    if not 0 < frame_nanoseconds <= _MAX_FRAME_NANOSECONDS:
        return 0.0
    rate = fractions.Fraction(10**9, frame_nanoseconds)
    return float(rate.limit_denominator(_MAX_RATE_DENOMINATOR))
