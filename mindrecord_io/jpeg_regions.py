"""Cuts a rectangle out of a JPEG without decoding it, along its restart markers.

A baseline JPEG that is written with a restart interval of k MCUs (k dividing the MCUs
of a row) is a grid of cells that can be decoded independently (ITU-T T.81, sec. F.2.1
and E.1.4). The cells under a rectangle, with the size in the header changed and the
markers numbered anew, are a JPEG again, and its pixels are exactly those that the whole
frame has there (as long as chroma is upsampled within its block: libjpeg's fast
upsampling). A training crop needs a quarter to a half of a frame; the rest costs
nothing. JPEGs without such markers are not cut, and everything works as before.
"""

import re
from dataclasses import dataclass

__all__ = ["Cutting", "RestartGrid", "cut", "read_grid", "restart_interval"]

_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_SOF0, _DRI, _SOS = 0xC0, 0xDD, 0xDA
_OTHER_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC0, 0xC4, 0xC8, 0xCC}
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_MARKERS = tuple(bytes((0xFF, 0xD0 + i)) for i in range(8))

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
class Cutting:
    """A JPEG of a part of a frame, and the rectangle of the frame that it shows."""

    jpeg: bytes
    top: int
    left: int
    height: int
    width: int


def restart_interval(width_px: int) -> int:
    """Returns the interval, in MCUs, with which to write 4:2:0 JPEGs of this width.

    It divides the MCUs of a row, as `cut` needs. Where no cell of 48 to 144 px does, a
    cell is a whole row.
    """
    num_mcus = -(-width_px // _MCU_PX)
    fitting = range(_MIN_INTERVAL, min(_MAX_INTERVAL, num_mcus) + 1)
    return next((k for k in fitting if num_mcus % k == 0), num_mcus)


def read_grid(jpeg: bytes) -> RestartGrid | None:
    """Reads the header of a JPEG; None if it has no cells or is not understood."""
    if not jpeg.startswith(_SOI):
        return None
    size_at, mcu, interval, position = 0, (0, 0), 0, len(_SOI)
    while position + 4 <= len(jpeg) and jpeg[position] == 0xFF:
        marker = jpeg[position + 1]
        length = int.from_bytes(jpeg[position + 2 : position + 4], "big")
        body = jpeg[position + 4 : position + 2 + length]
        if marker in _OTHER_FRAMES:
            return None  # progressive, lossless, arithmetic: other data altogether
        if marker == _SOF0 and len(body) >= 6:
            size_at, mcu = position + 5, _mcu_px(body)
        elif marker == _DRI:
            interval = int.from_bytes(body, "big")
        elif marker == _SOS:
            header = jpeg[: position + 2 + length]
            return _grid(header, size_at, mcu, interval, num_in_scan=body[0])
        position += 2 + length
    return None


def cut(
    jpeg: bytes, grid: RestartGrid, rectangle: tuple[int, int, int, int]
) -> Cutting:
    """Returns a JPEG of the cells under a rectangle.

    Args:
      rectangle: (top, left, height, width) in pixels, inside the frame.

    Raises:
      ValueError: the JPEG has not as many cells as its header says, or no end.
    """
    top, left, height, width = rectangle
    cells = _RESTART.split(jpeg[len(grid.header) :])
    if len(cells) != grid.num_rows * grid.num_columns or not jpeg.endswith(_EOI):
        raise ValueError(
            f"has {len(cells)} restart intervals, expected {grid.num_rows} x "
            f"{grid.num_columns} and then the end of the image"
        )
    cells[-1] = cells[-1][: -len(_EOI)]
    rows = range(top // grid.cell_height, -(-(top + height) // grid.cell_height))
    begin, end = left // grid.cell_width, -(-(left + width) // grid.cell_width)
    cut_top, cut_left = rows.start * grid.cell_height, begin * grid.cell_width
    cut_height = min(rows.stop * grid.cell_height, grid.height) - cut_top
    cut_width = min(end * grid.cell_width, grid.width) - cut_left
    chosen: list[bytes] = []
    for row in rows:
        first = row * grid.num_columns
        chosen += cells[first + begin : first + end]
    parts = [b""] * (2 * len(chosen))
    parts[::2] = chosen
    parts[1::2] = (_MARKERS * (len(chosen) // 8 + 1))[: len(chosen)]
    parts[-1] = _EOI
    header = _resized_header(grid, cut_height, cut_width)
    return Cutting(b"".join((header, *parts)), cut_top, cut_left, cut_height, cut_width)


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
