import cv2
import numpy as np
import pytest
import simplejpeg

from mindrecord_io.shards import jpeg_regions

FAST = {"fastdct": True, "fastupsample": True}


def stack(jpegs, grid, rectangle):
    (whole,) = jpeg_regions.stacks(jpegs, grid, rectangle, len(jpegs))
    return whole


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


@pytest.mark.parametrize("num_frames", [1, 3])
@pytest.mark.parametrize(
    ("rectangle", "expected"),
    [
        ((0, 0, 100, 190), (0, 0, 112, 190)),  # all of it
        ((16, 48, 16, 48), (16, 48, 16, 48)),  # one cell
        ((17, 50, 1, 1), (16, 48, 16, 48)),
        ((15, 47, 2, 2), (0, 0, 32, 96)),  # where four cells meet
        ((90, 150, 10, 40), (80, 144, 32, 46)),  # the frame ends within the cells
    ],
)
def test_a_stack_is_exactly_that_part_of_each_frame(rectangle, expected, num_frames):
    pictures = [np.roll(picture(100, 190), 31 * i, axis=1) for i in range(num_frames)]
    jpegs = [encode(pixels, 3) for pixels in pictures]
    grid = jpeg_regions.read_grid(jpegs[0])
    part = stack(jpegs, grid, rectangle)
    assert (part.top, part.left, part.height, part.width) == expected
    found = simplejpeg.decode_jpeg(part.jpeg, **FAST)
    assert found.shape == (num_frames * part.height, part.width, 3)
    for jpeg, pixels in zip(jpegs, np.split(found, num_frames), strict=True):
        whole = simplejpeg.decode_jpeg(jpeg, **FAST)
        whole = whole[part.top : part.top + part.height]
        columns = slice(part.left, part.left + part.width)
        np.testing.assert_array_equal(pixels[: len(whole)], whole[:, columns])


def test_a_stack_has_whole_rows_where_a_cell_is_a_row():
    jpeg = encode(picture(100, 200), jpeg_regions.restart_interval(200))
    part = stack([jpeg], jpeg_regions.read_grid(jpeg), (40, 50, 10, 10))
    assert (part.top, part.left, part.height, part.width) == (32, 0, 32, 200)


@pytest.mark.parametrize("num_frames", [1, 2])
def test_a_stack_numbers_the_markers_anew(num_frames):
    jpeg = encode(picture(160, 96), 3)  # 10 rows of 2 cells
    grid = jpeg_regions.read_grid(jpeg)
    part = stack([jpeg] * num_frames, grid, (32, 48, 128, 48))  # 8 cells
    data = part.jpeg[len(grid.header) :]
    markers = [data[i + 1] for i in range(len(data)) if data[i] == 0xFF and data[i + 1]]
    eight = [0xD0, 0xD1, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7]
    assert markers == [*(eight * num_frames)[:-1], 0xD9]


def test_what_looks_like_a_marker_in_the_header_is_none():
    jpeg = encode(picture(100, 190), 3)
    comment = b"\xff\xfe\x00\x06\xff\xd3\xff\xd4"
    with_comment = jpeg[:2] + comment + jpeg[2:]
    grid = jpeg_regions.read_grid(with_comment)
    part = stack([with_comment] * 2, grid, (0, 0, 100, 190))
    whole = simplejpeg.decode_jpeg(jpeg, **FAST)
    found = simplejpeg.decode_jpeg(part.jpeg, **FAST)
    for pixels in np.split(found, 2):
        np.testing.assert_array_equal(pixels[:100], whole)


def test_a_stack_is_no_higher_than_a_jpeg_may_be():
    jpeg = encode(picture(240, 427), 3)
    grid = jpeg_regions.read_grid(jpeg)
    parts = jpeg_regions.stacks([jpeg] * 300, grid, (0, 0, 240, 20), 1000)
    assert [part.num_frames for part in parts] == [272, 28]  # 65,500 / 240
    shapes = [simplejpeg.decode_jpeg(part.jpeg, **FAST).shape for part in parts]
    assert shapes == [(272 * 240, 48, 3), (28 * 240, 48, 3)]


def test_stacks_are_those_of_their_frames():
    jpegs = [encode(np.roll(picture(100, 190), 31 * i, axis=1), 3) for i in range(5)]
    grid, rectangle = jpeg_regions.read_grid(jpegs[0]), (17, 50, 30, 60)
    parts = jpeg_regions.stacks(jpegs, grid, rectangle, 2)
    alone = [stack(jpegs[i : i + 2], grid, rectangle) for i in (0, 2, 4)]
    assert parts == alone


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda j: j[:-300], "restart intervals, expected 10 x 2"),
        (lambda j: j[: len(j) // 2], "restart intervals, expected 10 x 2"),
        (lambda j: j[:-1] + b"\x00", "has no end of the image"),
    ],
)
def test_a_jpeg_that_lacks_cells_or_its_end_is_refused(damage, expected):
    jpeg = encode(picture(160, 96), 3)
    grid = jpeg_regions.read_grid(jpeg)
    with pytest.raises(ValueError, match=expected):
        stack([jpeg, damage(jpeg)], grid, (0, 0, 16, 16))
