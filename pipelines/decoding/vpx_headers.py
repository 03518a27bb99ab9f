"""Counts the visible frames of a VP8 or VP9 stream by its frame headers.

A decoder may decode a header with a wrong bit and log nothing, so the headers are
checked here. Sources: the VP9 bitstream specification, sections 6.2 and 7.2 and annex B
(of superframes), and RFC 6386, section 9.1.
"""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Frames", "read_vp8", "read_vp9"]

_MAX_HEADER_NUM_BYTES = 128
_SYNC = 0x498342
_RGB = 7
_PLAIN_COLOUR_SPACES = (0, 1, 3)  # unknown, BT.601, SMPTE 170M
_SEGMENT_FEATURES = ((8, True), (6, True), (2, False), (0, False))
_VP8_START_CODE = b"\x9d\x01\x2a"


@dataclass(slots=True)
class Frames:
    """The frame headers of one stream, taken together.

    Attributes:
      num_shown: frames that decoding must yield.
      is_plain: 8 bits, 4:2:0, BT.601, limited range, all frames of one size.
      has_other_sizes: not all frames have the first one's size.
      problem: the first thing wrong, "" if every header is sound.
    """

    num_shown: int = 0
    is_plain: bool = True
    has_other_sizes: bool = False
    problem: str = ""


class _HeaderError(ValueError):
    """A header is not as the specification requires."""


class _NotPlainError(ValueError):
    """A header is valid so far, but of a kind that is not read further here."""


class _OtherSizeError(_NotPlainError):
    """A frame has another size than the first one."""


def read_vp8(content: bytes, blocks: Iterable[tuple[int, int]]) -> Frames:
    """Reads the headers of VP8 frames, one in each block (begin, end)."""
    frames, size = Frames(), b""
    for begin, end in blocks:
        if end - begin < 3:
            frames.problem = frames.problem or f"the frame at byte {begin} is cut off"
            continue
        tag = int.from_bytes(content[begin : begin + 3], "little")
        frames.num_shown += tag >> 4 & 1
        if (tag >> 5) > end - begin - 3:
            frames.problem = frames.problem or f"the frame at byte {begin} is too short"
        if tag & 1:
            continue
        if content[begin + 3 : begin + 6] != _VP8_START_CODE:
            frames.problem = frames.problem or f"no key frame at byte {begin}"
        size = size or content[begin + 6 : begin + 10]
        if content[begin + 6 : begin + 10] != size:
            frames.is_plain, frames.has_other_sizes = False, True
    return frames


def read_vp9(content: bytes, blocks: Iterable[tuple[int, int]]) -> Frames:
    """Reads the headers of VP9 frames; each block is a frame or a superframe."""
    frames, reader = Frames(), _Vp9Reader()
    try:
        for begin, end in blocks:
            for at, stop in _frames_of_block(content, begin, end):
                try:
                    frames.num_shown += reader.read(content, at, stop)
                except _HeaderError as error:
                    raise _HeaderError(f"frame at byte {at}: {error}") from error
    except _HeaderError as error:
        frames.problem = str(error)
    except _NotPlainError as reason:
        frames.is_plain = False
        frames.has_other_sizes = isinstance(reason, _OtherSizeError)
    return frames


def _frames_of_block(content: bytes, begin: int, end: int) -> list[tuple[int, int]]:
    """Returns begin and end of each frame in a block."""
    if end <= begin:
        raise _HeaderError(f"the block at byte {begin} is empty")
    marker = content[end - 1]
    if marker & 0xE0 != 0xC0:
        return [(begin, end)]
    num_frames, num_size_bytes = (marker & 7) + 1, (marker >> 3 & 3) + 1
    index = end - 2 - num_frames * num_size_bytes
    if index < begin or content[index] != marker:
        return [(begin, end)]
    places, at = [], begin
    for position in range(num_frames):
        size_at = index + 1 + position * num_size_bytes
        size = int.from_bytes(content[size_at : size_at + num_size_bytes], "little")
        if not 0 < size <= index - at:
            raise _HeaderError(f"a frame of {size} bytes in the block at byte {begin}")
        places.append((at, at + size))
        at += size
    return places


class _Vp9Reader:
    """Reads uncompressed headers of profile 0, in order of decoding."""

    def __init__(self) -> None:
        self._size: tuple[int, int] | None = None
        self._bits = 0
        self._left = 0

    def read(self, content: bytes, begin: int, end: int) -> bool:
        """Reads one frame's header; returns whether the frame is shown."""
        head = content[begin : min(end, begin + _MAX_HEADER_NUM_BYTES)]
        self._bits, self._left = int.from_bytes(head, "big"), 8 * len(head)
        if self._next(2) != 2:
            raise _HeaderError("no frame marker")
        if self._next(2) != 0:
            raise _NotPlainError
        if self._next(1):  # show_existing_frame
            self._next(3)
            return True
        is_inter, is_shown, is_resilient = (
            self._next(1),
            self._next(1),
            self._next(1),
        )
        if is_inter:
            self._read_inter(is_shown, is_resilient)
        else:
            self._read_key()
        if not is_resilient:
            self._next(2)  # refresh_frame_context, frame_parallel_decoding_mode
        self._next(2)  # frame_context_idx
        self._read_loop_filter()
        self._read_quantization()
        self._read_segmentation()
        self._read_tiles()
        num_compressed = self._next(16)
        if self._next(self._left % 8):
            raise _HeaderError("the header's last bits are not zero")
        num_read = len(head) - self._left // 8
        if not 0 < num_compressed <= end - begin - num_read:
            raise _HeaderError(f"a compressed header of {num_compressed} bytes")
        return bool(is_shown)

    def _next(self, num_bits: int) -> int:
        """Returns the next bits as a number."""
        self._left -= num_bits
        if self._left < 0:
            raise _HeaderError("it ends within its header")
        return self._bits >> self._left & (1 << num_bits) - 1

    def _read_key(self) -> None:
        self._check_sync()
        colour_space = self._next(3)
        if colour_space == _RGB:
            raise _HeaderError("profile 0 has no RGB")
        if self._next(1) or colour_space not in _PLAIN_COLOUR_SPACES:
            raise _NotPlainError
        self._read_size()

    def _read_inter(self, is_shown: int, is_resilient: int) -> None:
        if self._size is None:
            raise _HeaderError("the first frame is no key frame")
        is_intra_only = 0 if is_shown else self._next(1)
        if not is_resilient:
            self._next(2)  # reset_frame_context
        if is_intra_only:
            self._check_sync()
            self._next(8)  # refresh_frame_flags
            self._read_size()
            return
        self._next(8 + 3 * 4)  # refresh_frame_flags; a reference and its sign, thrice
        if self._next(1) or self._next(1) or self._next(1):  # the size of a reference
            if self._next(1):  # render_and_frame_size_different
                self._next(32)
        else:
            self._read_size()
        self._next(1)  # allow_high_precision_mv
        if not self._next(1):  # is_filter_switchable
            self._next(2)

    def _check_sync(self) -> None:
        if self._next(24) != _SYNC:
            raise _HeaderError("no sync code")

    def _read_size(self) -> None:
        size = self._next(16) + 1, self._next(16) + 1
        if self._next(1):  # render_and_frame_size_different
            self._next(32)
        if self._size not in (None, size):
            raise _OtherSizeError
        self._size = size

    def _read_loop_filter(self) -> None:
        self._next(6 + 3)
        if self._next(1) and self._next(1):
            for _ in range(4 + 2):
                if self._next(1):
                    self._next(7)

    def _read_quantization(self) -> None:
        self._next(8)
        for _ in range(3):
            if self._next(1):
                self._next(5)

    def _read_segmentation(self) -> None:
        if not self._next(1):
            return
        if self._next(1):  # segmentation_update_map
            self._read_probabilities(7)
            if self._next(1):  # segmentation_temporal_update
                self._read_probabilities(3)
        if not self._next(1):  # segmentation_update_data
            return
        self._next(1)
        for _ in range(8):
            for num_bits, is_signed in _SEGMENT_FEATURES:
                if self._next(1):
                    self._next(num_bits + is_signed)

    def _read_probabilities(self, count: int) -> None:
        for _ in range(count):
            if self._next(1):
                self._next(8)

    def _read_tiles(self) -> None:
        assert self._size is not None
        num_blocks = (self._size[0] + 63) // 64  # superblocks of 64 pixels
        log2, highest = 0, 0
        while num_blocks >> (highest + 1) >= 4:
            highest += 1
        while 64 << log2 < num_blocks:
            log2 += 1
        while log2 < highest and self._next(1):
            log2 += 1
        if self._next(1):  # tile_rows_log2
            self._next(1)
