import pytest

from mindrecord_io.shards import schema

LARGEST_ROW = 256 * 1024 * 1024


def test_columns_are_those_that_readers_of_the_format_know():
    assert schema.COLUMNS == (
        "clip_id",
        "label",
        "num_frames",
        "frame_sizes",
        "frames",
        "height",
        "width",
    )


def test_frames_is_the_last_of_the_variable_width_fields_in_a_row():
    blobs = [
        name
        for name, field in schema.MINDRECORD_SCHEMA.items()
        if field["type"] == "bytes" or "shape" in field
    ]
    assert max(blobs) == "frames"


@pytest.mark.parametrize(
    ("num_frames", "length_fields"), [(1, 72), (45, 424), (4_088, 32_768)]
)
def test_a_clip_may_fill_the_largest_row_less_its_length_fields(
    num_frames, length_fields
):
    # 64, and 8 for each frame
    expected = LARGEST_ROW - length_fields
    assert schema.max_frames_num_bytes(num_frames) == expected
