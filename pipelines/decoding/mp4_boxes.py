"""Reads what an MP4 or MOV file states of its first video track, without decoding.

libavformat states the duration of the longest track, and of a fragmented file the
frames of its first part alone; here the pictures are counted wherever they are listed.
Sources: ISO/IEC 14496-12 (boxes, fragments) and 23001-7 (encryption).
"""

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Movie", "read"]

_CONTAINERS = frozenset(
    {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"mvex", b"moof", b"traf"}
)
_MAX_NUM_BOXES = 1_000_000
_MAX_DEPTH = 8
_ENCRYPTED = b"encv"
_DURATION_IN_HEADER, _DURATION_IN_RUN = 0x8, 0x100
_BEFORE_DURATION = ((0x1, 8), (0x2, 4))  # in tfhd: base data offset, description
_BEFORE_SAMPLES = (0x1, 0x4)  # in trun: data offset, first sample's flags
_PER_SAMPLE = (0x100, 0x200, 0x400, 0x800)  # duration, size, flags, time offset


@dataclass(slots=True)
class Movie:
    """The first video track of a file.

    Attributes:
      has_header: there is a moov box with tracks in it.
      codec: the sample entry's four characters, "" if there is no video track.
      num_frames: samples listed in the header and in all fragments.
      duration_seconds: of the track's samples, 0.0 where unknown.
      is_encrypted: the track's frames are.
      is_fragmented: more frames may be in fragments, of which each is listed where it
        stands: a file that ends between two of them misses nothing that it states.
      is_cut_off: a box goes on beyond the file's end.
    """

    has_header: bool = False
    codec: str = ""
    num_frames: int = 0
    duration_seconds: float = 0.0
    is_encrypted: bool = False
    is_fragmented: bool = False
    is_cut_off: bool = False


@dataclass(slots=True)
class _Track:
    """One track of the header, while it is read."""

    number: int = -1
    kind: bytes = b""
    entry: bytes = b""
    num_samples: int = 0
    timescale: int = 0
    duration: int = 0
    default_duration: int = 0


def read(content: bytes) -> Movie:
    """Returns what a file states, as far as it can be read."""
    reader = _Reader(content)
    reader.read_all(0, len(content))
    return reader.movie()


class _Reader:
    """Reads the boxes of one file, once and in order."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._movie = Movie()
        self._tracks: list[_Track] = []
        self._defaults: dict[int, int] = {}  # durations of samples, by track number
        self._run: _Track | None = None  # of the fragment that is being read
        self._num_boxes = 0

    def movie(self) -> Movie:
        """Returns what was read."""
        movie, track = self._movie, self._video()
        movie.has_header = bool(self._tracks)
        if track is not None:
            movie.codec = track.entry.decode("latin-1")
            movie.is_encrypted = track.entry == _ENCRYPTED
            movie.num_frames = track.num_samples
            if track.timescale:
                movie.duration_seconds = track.duration / track.timescale
        return movie

    def read_all(self, begin: int, end: int, depth: int = 0) -> None:
        """Reads the boxes in a range, and those in them."""
        for kind, at, stop in self._boxes(begin, end):
            if kind == b"trak":
                self._tracks.append(_Track())
            if kind in (b"mvex", b"moof"):
                self._movie.is_fragmented = True
            if kind in _CONTAINERS and depth < _MAX_DEPTH:
                self.read_all(at, stop, depth + 1)
            elif kind in _FIELDS:
                body = self._content[at:stop]
                if len(body) >= _FIELDS[kind]:
                    self._read_fields(kind, body)

    def _boxes(self, begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
        """Yields the kind, begin and end of each box's body."""
        at = begin
        while at + 8 <= end and self._num_boxes < _MAX_NUM_BOXES:
            self._num_boxes += 1
            size, head = _number(self._content, at), 8
            kind = self._content[at + 4 : at + 8]
            if size == 1:
                size, head = _number(self._content, at + 8, 8), 16
            stop = at + size if size else end
            if stop < at + head:
                return  # no box
            if stop > end:
                self._movie.is_cut_off |= end == len(self._content)
                stop = end
            yield kind, at + head, stop
            at = stop

    def _read_fields(self, kind: bytes, body: bytes) -> None:
        track = self._tracks[-1] if self._tracks else None
        is_long = body[0] == 1  # version 1 has times of 8 bytes
        if kind == b"trex":
            self._defaults[_number(body, 4)] = _number(body, 12)
        elif kind == b"tfhd":
            self._read_fragment_header(body)
        elif kind == b"trun":
            self._read_run(body)
        elif track is None:
            return
        elif kind == b"tkhd":
            track.number = _number(body, 20 if is_long else 12)
        elif kind == b"hdlr":
            track.kind = track.kind or body[8:12]
        elif kind == b"mdhd":
            track.timescale = _number(body, 20 if is_long else 12)
            track.duration = _number(body, 24, 8) if is_long else _number(body, 16)
            track.duration %= (1 << 64) - 1 if is_long else (1 << 32) - 1  # unknown
        elif kind == b"stsd":
            track.entry = body[12:16]
        else:  # stsz, stz2
            track.num_samples = _number(body, 8)

    def _read_fragment_header(self, body: bytes) -> None:
        flags, number, at = _number(body, 0) & 0xFFFFFF, _number(body, 4), 8
        video = self._video()
        self._run = video if video is not None and video.number == number else None
        if self._run is None:
            return
        self._run.default_duration = self._defaults.get(number, 0)
        at += sum(num_bytes for flag, num_bytes in _BEFORE_DURATION if flags & flag)
        if flags & _DURATION_IN_HEADER:
            self._run.default_duration = _number(body, at)

    def _read_run(self, body: bytes) -> None:
        """Adds the samples of a run to the video track, if they are its own."""
        track = self._run
        if track is None:
            return
        flags, num_samples = _number(body, 0) & 0xFFFFFF, _number(body, 4)
        begin = 8 + 4 * sum(bool(flags & flag) for flag in _BEFORE_SAMPLES)
        step = 4 * sum(bool(flags & flag) for flag in _PER_SAMPLE)
        if step:  # a run that is damaged cannot list more than it has room for
            num_samples = min(num_samples, (len(body) - begin) // step)
        num_samples = max(0, min(num_samples, len(self._content)))
        track.num_samples += num_samples
        if flags & _DURATION_IN_RUN:
            ends = range(begin, begin + num_samples * step, step)
            track.duration += sum(_number(body, at) for at in ends)
        else:
            track.duration += num_samples * track.default_duration

    def _video(self) -> _Track | None:
        return next((track for track in self._tracks if track.kind == b"vide"), None)


_FIELDS = {  # the least size of their bodies
    b"tkhd": 24,
    b"hdlr": 12,
    b"mdhd": 20,
    b"stsd": 16,
    b"stsz": 12,
    b"stz2": 12,
    b"trex": 16,
    b"tfhd": 8,
    b"trun": 8,
}


def _number(content: bytes, at: int, num_bytes: int = 4) -> int:
    return int.from_bytes(content[at : at + num_bytes], "big")
