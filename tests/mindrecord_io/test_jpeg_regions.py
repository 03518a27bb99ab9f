import cv2
import numpy as np
import pytest
import simplejpeg

from mindrecord_io import jpeg_regions

FAST = {"fastdct": True, "fastupsample": True}


def picture(height, width, channels=3):
    rng = np.random.default_rng(height * width)
    small = rng.integers(0, 256, (8, 8, channels), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def encode(pixels, interval=0, *more):
    is_encoded, jpeg = cv2.imencode(
        ".jpg", pixels, [cv2.IMWRITE_JPEG_RST_INTERVAL, interval, *more]
    )
    assert is_encoded
    return jpeg.tobytes()


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (427, 3),  # 27 MCUs
        (320, 4),  # 20
        (240, 3),  # 15
        (400, 5),  # 25
        (112, 7),  # 7
        (455, 29),  # 29 is prime: whole rows
        (352, 22),  # 2 x 11: cells of 2 are too small, of 11 too large
        (32, 2),
        (1, 1),
    ],
)
def test_restart_interval_divides_the_row(width, expected):
    assert jpeg_regions.restart_interval(width) == expected


def test_read_grid_finds_the_cells():
    grid = jpeg_regions.read_grid(encode(picture(240, 427), 9))
    assert (grid.height, grid.width) == (240, 427)
    assert (grid.cell_height, grid.cell_width) == (16, 144)
    assert (grid.num_rows, grid.num_columns) == (15, 3)


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420, (16, 32)),
        (cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422, (8, 32)),
        (cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440, (16, 16)),
        (cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444, (8, 16)),
    ],
)
def test_read_grid_knows_every_chroma_sampling(sampling, expected):
    jpeg = encode(picture(40, 64), 2, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling)
    grid = jpeg_regions.read_grid(jpeg)
    assert (grid.cell_height, grid.cell_width) == expected


@pytest.mark.parametrize(
    "jpeg",
    [
        b"",
        b"\xff\xd8",
        b"no JPEG at all",
        encode(picture(48, 64)),  # no restart markers
        encode(picture(48, 64), 3),  # 3 do not divide 4
        encode(picture(48, 64), 2, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        encode(picture(48, 64, 1), 2),  # grey
        encode(picture(48, 64), 2)[:60],
    ],
)
def test_read_grid_leaves_what_it_cannot_cut(jpeg):
    assert jpeg_regions.read_grid(jpeg) is None


@pytest.mark.parametrize(
    ("rectangle", "expected"),
    [
        ((0, 0, 100, 190), (0, 0, 100, 190)),  # all of it
        ((16, 48, 16, 48), (16, 48, 16, 48)),  # one cell
        ((17, 50, 1, 1), (16, 48, 16, 48)),
        ((15, 47, 2, 2), (0, 0, 32, 96)),  # where four cells meet
        ((90, 150, 10, 40), (80, 144, 20, 46)),  # cells cut off right and below
    ],
)
def test_cut_is_exactly_that_part_of_the_frame(rectangle, expected):
    jpeg = encode(picture(100, 190), 3)
    part = jpeg_regions.cut(jpeg, jpeg_regions.read_grid(jpeg), rectangle)
    assert (part.top, part.left, part.height, part.width) == expected
    rows = slice(part.top, part.top + part.height)
    columns = slice(part.left, part.left + part.width)
    whole = simplejpeg.decode_jpeg(jpeg, **FAST)
    found = simplejpeg.decode_jpeg(part.jpeg, **FAST)
    np.testing.assert_array_equal(found, whole[rows, columns])


def test_cut_keeps_whole_rows_where_a_cell_is_a_row():
    jpeg = encode(picture(100, 200), jpeg_regions.restart_interval(200))
    part = jpeg_regions.cut(jpeg, jpeg_regions.read_grid(jpeg), (40, 50, 10, 10))
    assert (part.top, part.left, part.height, part.width) == (32, 0, 32, 200)


def test_cut_numbers_the_markers_anew():
    jpeg = encode(picture(160, 96), 3)  # 10 rows of 2 cells
    grid = jpeg_regions.read_grid(jpeg)
    part = jpeg_regions.cut(jpeg, grid, (32, 48, 128, 48))  # 8 cells: 7 markers
    data = part.jpeg[len(grid.header) :]
    markers = [data[i + 1] for i in range(len(data)) if data[i] == 0xFF and data[i + 1]]
    assert markers == [0xD0, 0xD1, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD9]


@pytest.mark.parametrize("damage", [lambda j: j[:-300], lambda j: j[:-1] + b"\x00"])
def test_cut_refuses_a_jpeg_that_lacks_cells_or_its_end(damage):
    jpeg = encode(picture(160, 96), 3)
    grid = jpeg_regions.read_grid(jpeg)
    with pytest.raises(ValueError, match="restart intervals, expected 10 x 2"):
        jpeg_regions.cut(damage(jpeg), grid, (0, 0, 16, 16))
