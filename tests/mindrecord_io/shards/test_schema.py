import pytest

from mindrecord_io.shards import schema

PAGE = 32_768


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
    ("num_frames", "expected"), [(1, 32_696), (45, 32_344), (4_088, 0)]
)
def test_a_clip_may_fill_a_page_less_its_length_fields(num_frames, expected):
    # 32,768 - 64 - 8 for each frame
    assert schema.max_frames_num_bytes(PAGE, num_frames) == expected
