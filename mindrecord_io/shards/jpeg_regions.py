"""Cuts a rectangle out of JPEGs without decoding them, along their restart markers.

A baseline JPEG that is written with a restart interval of k MCUs (k dividing the MCUs
of a row) is a grid of cells that can be decoded independently (ITU-T T.81, sec. F.2.1
and E.1.4). The cells under a rectangle, with the size in the header changed and the
markers numbered anew, are a JPEG again, and its pixels are exactly those that the whole
frame has there (as long as chroma is upsampled within its block: libjpeg's fast
upsampling). A training crop needs a quarter to a half of a frame; the rest costs
nothing. The frames of a clip have one header, so their cells go into one tall JPEG, and
one call decodes them all. JPEGs without such markers are not cut.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "START_OF_SCAN",
    "RestartGrid",
    "header_segments",
    "read_grid",
    "restart_interval",
    "stacks",
]

Int64s = npt.NDArray[np.int64]

START_OF_SCAN = 0xDA

_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_FILLING = 0xFF
_WITHOUT_LENGTH = frozenset({0x00, 0x01, *range(0xD0, 0xDA)})
_SOF0, _DRI = 0xC0, 0xDD
_OTHER_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC0, 0xC4, 0xC8, 0xCC}
_RST0 = 0xD0  # to 0xD7, in turn
_MAX_HEIGHT = 65_500  # of a JPEG

_MCU_PX = 16  # of 4:2:0, which is what OpenCV and simplejpeg write by default
_MIN_INTERVAL = 3  # 48 px: 3 % more bytes; smaller cells cost more than they spare
_MAX_INTERVAL = 9


@dataclass(frozen=True, slots=True)
class RestartGrid:
    """Where the cells of a JPEG are.

    Attributes:
      header: everything before the compressed data.
      size_at: where in the header height and width are, two bytes each, big endian.
      cell_height, cell_width: in pixels; cells at the right and bottom may be cut off.
    """

    header: bytes
    size_at: int
    height: int
    width: int
    cell_height: int
    cell_width: int

    @property
    def num_rows(self) -> int:
        """The number of rows of cells."""
        return -(-self.height // self.cell_height)

    @property
    def num_columns(self) -> int:
        """The number of cells in a row."""
        return -(-self.width // self.cell_width)


@dataclass(frozen=True, slots=True)
class Stack:
    """One JPEG of the same rectangle of several frames, one below the other.

    Attributes:
      num_frames: in it.
      top, left: where in the frame the rectangle begins.
      height, width: of one frame's rectangle. It may reach beyond the frame's lower
        edge, with pixels of no meaning there.
    """

    jpeg: bytearray
    num_frames: int
    top: int
    left: int
    height: int
    width: int


def restart_interval(width_px: int) -> int:
    """Returns the interval, in MCUs, with which to write 4:2:0 JPEGs of this width.

    It divides the MCUs of a row, as `stacks` needs. Where no cell of 48 to 144 px does,
    a cell is a whole row.
    """
    num_mcus = -(-width_px // _MCU_PX)
    fitting = range(_MIN_INTERVAL, min(_MAX_INTERVAL, num_mcus) + 1)
    return next((k for k in fitting if num_mcus % k == 0), num_mcus)


def header_segments(jpeg: bytes) -> Iterator[tuple[int, int, int]]:
    """Yields the marker, body's begin and body's end of each header segment.

    The last is START_OF_SCAN; without it the header is cut off or is none. A body's end
    may lie beyond the file's.
    """
    if not jpeg.startswith(_SOI):
        return
    position = len(_SOI)
    while position + 4 <= len(jpeg) and jpeg[position] == 0xFF:
        marker = jpeg[position + 1]
        if marker == _FILLING:
            position += 1
            continue
        if marker in _WITHOUT_LENGTH:  # none belongs into a header: what follows is
            return  # read in two ways, and may say two sizes
        end = position + 2 + int.from_bytes(jpeg[position + 2 : position + 4], "big")
        yield marker, position + 4, end
        if marker == START_OF_SCAN:
            return
        position = end


def read_grid(jpeg: bytes) -> RestartGrid | None:
    """Reads the header of a JPEG; None if it has no cells or is not understood."""
    size_at, mcu, interval = 0, (0, 0), 0
    for marker, begin, end in header_segments(jpeg):
        body = jpeg[begin:end]
        if marker in _OTHER_FRAMES:
            return None  # progressive, lossless, arithmetic: other data altogether
        if marker == _SOF0 and len(body) >= 6:
            size_at, mcu = begin + 1, _mcu_px(body)
        elif marker == _DRI:
            interval = int.from_bytes(body, "big")
        elif marker == START_OF_SCAN and body:
            return _grid(jpeg[:end], size_at, mcu, interval, num_in_scan=body[0])
    return None


def stacks(
    jpegs: Sequence[bytes],
    grid: RestartGrid,
    rectangle: tuple[int, int, int, int],
    max_num_frames: int,
) -> list[Stack]:
    """Returns JPEGs of the cells under a rectangle of all frames, in order.

    Args:
      jpegs: that begin with the header of `grid`.
      rectangle: (top, left, height, width) in pixels, inside the frame.
      max_num_frames: in one stack; no more than a JPEG can hold are in any.

    Raises:
      ValueError: a JPEG has not as many cells as its header says, or no end.
    """
    content = b"".join(jpegs)
    edges, view = _edges(content, jpegs, grid), memoryview(content)
    rows = _MAX_HEIGHT // (grid.num_rows * grid.cell_height)
    step = max(1, min(max_num_frames, rows))
    parts = range(0, len(jpegs), step)
    return [_stack(view, edges[i : i + step], grid, rectangle) for i in parts]


def _stack(
    content: memoryview,
    edges: Int64s,
    grid: RestartGrid,
    rectangle: tuple[int, int, int, int],
) -> Stack:
    top, left, height, width = rectangle
    rows = slice(top // grid.cell_height, -(-(top + height) // grid.cell_height))
    columns = slice(left // grid.cell_width, -(-(left + width) // grid.cell_width))
    cut_height = (rows.stop - rows.start) * grid.cell_height
    cut_left = columns.start * grid.cell_width
    cut_width = min(columns.stop * grid.cell_width, grid.width) - cut_left
    # Cells side by side are taken in one piece, with the marker behind each of them.
    shape = (len(edges), grid.num_rows, grid.num_columns)
    markers = edges[:, 1:].reshape(shape)[:, rows, columns]
    firsts = edges[:, :-1].reshape(shape)[:, rows, columns.start] + 2
    ends = markers[..., -1] + 2
    bounds = zip(firsts.ravel().tolist(), ends.ravel().tolist(), strict=True)
    header = _resized_header(grid, len(edges) * cut_height, cut_width)
    jpeg = bytearray().join((header, *[content[begin:end] for begin, end in bounds]))
    moves = len(header) + np.cumsum(ends - firsts) - ends.ravel()
    _number(jpeg, (markers + moves.reshape(ends.shape)[..., None]).ravel())
    cut_top = rows.start * grid.cell_height
    return Stack(jpeg, len(edges), cut_top, cut_left, cut_height, cut_width)


def _edges(content: bytes, jpegs: Sequence[bytes], grid: RestartGrid) -> Int64s:
    """Returns where in JPEGs end to end the cells lie: (jpegs, cells + 1).

    Cell i is between the markers at i and i + 1, each of two bytes; the end of the
    header stands for the first marker, that of the image for the last.
    """
    num_restarts = grid.num_rows * grid.num_columns - 1
    ends = np.cumsum([len(jpeg) for jpeg in jpegs])
    edges = np.empty((len(jpegs), num_restarts + 2), np.int64)
    edges[0, 0], edges[1:, 0] = 0, ends[:-1]
    edges[:, 0] += len(grid.header) - 2
    edges[:, -1] = ends - len(_EOI)
    octets = np.frombuffer(content, np.uint8)
    restarts = np.flatnonzero(octets[:-1] == 0xFF)
    restarts = restarts[octets[restarts + 1] & 0xF8 == _RST0]
    if len(restarts) != len(jpegs) * num_restarts:
        restarts = _in_scans(restarts, edges[:, 0], ends, grid)
    edges[:, 1:-1] = restarts.reshape(len(jpegs), num_restarts)
    if not (edges[:, 1:] > edges[:, :-1]).all():
        _in_scans(restarts, edges[:, 0], ends, grid)
    if not all(jpeg.endswith(_EOI) for jpeg in jpegs):
        raise ValueError("has no end of the image after its last restart interval")
    return edges


def _in_scans(
    restarts: Int64s, begins: Int64s, ends: Int64s, grid: RestartGrid
) -> Int64s:
    """Returns those markers that are not in headers, each JPEG having its number."""
    num_restarts = grid.num_rows * grid.num_columns - 1
    firsts, lasts = np.searchsorted(restarts, begins), np.searchsorted(restarts, ends)
    is_wrong = lasts - firsts != num_restarts
    if is_wrong.any():
        wrong = int(np.argmax(is_wrong))
        raise ValueError(
            f"has {lasts[wrong] - firsts[wrong] + 1} restart intervals, expected "
            f"{grid.num_rows} x {grid.num_columns}"
        )
    in_scans: Int64s = restarts[np.concatenate([*map(np.arange, firsts, lasts)])]
    return in_scans


def _number(jpeg: bytearray, markers: Int64s) -> None:
    """Numbers the markers after cells in turn, and makes the last the image's end."""
    octets = np.frombuffer(jpeg, np.uint8)
    octets[markers + 1] = _RST0 + np.arange(len(markers), dtype=np.uint8) % 8
    octets[-1] = _EOI[1]


def _resized_header(grid: RestartGrid, height: int, width: int) -> bytes:
    size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return grid.header[: grid.size_at] + size + grid.header[grid.size_at + 4 :]


def _mcu_px(frame: bytes) -> tuple[int, int]:
    """Returns the (height, width) of an MCU from the body of a frame header."""
    samplings = frame[7::3]  # of each component: horizontal, vertical, 4 bits each
    highest = max((s & 15 for s in samplings), default=0)
    return 8 * highest, 8 * max((s >> 4 for s in samplings), default=0)


def _grid(
    header: bytes,
    size_at: int,
    mcu: tuple[int, int],
    interval: int,
    *,
    num_in_scan: int,
) -> RestartGrid | None:
    # One component in the scan of a file means other MCUs than the sampling says, and
    # a grey picture or one of several scans: neither is what decoding writes.
    if not size_at or not interval or num_in_scan != 3 or 0 in mcu:
        return None
    height = int.from_bytes(header[size_at : size_at + 2], "big")
    width = int.from_bytes(header[size_at + 2 : size_at + 4], "big")
    num_mcus = -(-width // mcu[1])
    if not height or not width or num_mcus % interval:
        return None
    return RestartGrid(header, size_at, height, width, mcu[0], interval * mcu[1])
