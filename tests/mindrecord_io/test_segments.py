import numpy as np
import pytest

from mindrecord_io import segments


@pytest.mark.parametrize(
    ("num_frames", "num_segments", "expected"),
    [
        (48, 8, [3, 9, 15, 21, 27, 33, 39, 45]),
        # Segments of 5.625 frames: 2.8, 8.4, 14.06, 19.7, 25.3, 30.9, 36.6, 42.2.
        (45, 8, [2, 8, 14, 19, 25, 30, 36, 42]),
        (8, 8, [0, 1, 2, 3, 4, 5, 6, 7]),
        (9, 8, [0, 1, 2, 3, 5, 6, 7, 8]),
        (16, 8, [1, 3, 5, 7, 9, 11, 13, 15]),
        (4, 8, [0, 0, 1, 1, 2, 2, 3, 3]),
        (3, 8, [0, 0, 0, 1, 1, 2, 2, 2]),
        (1, 8, [0, 0, 0, 0, 0, 0, 0, 0]),
        (10, 3, [1, 5, 8]),
        (7, 1, [3]),
    ],
)
def test_centre_segment_indices(num_frames, num_segments, expected):
    found = segments.centre_segment_indices(num_frames, num_segments)
    assert found.tolist() == expected


@pytest.mark.parametrize(
    ("num_frames", "num_segments", "begins", "ends"),
    [
        (48, 8, [0, 6, 12, 18, 24, 30, 36, 42], [6, 12, 18, 24, 30, 36, 42, 48]),
        (45, 8, [0, 5, 11, 16, 22, 28, 33, 39], [5, 11, 16, 22, 28, 33, 39, 45]),
        (8, 8, [0, 1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 7, 8]),
        (3, 8, [0, 0, 0, 1, 1, 1, 2, 2], [1, 1, 1, 2, 2, 2, 3, 3]),
        (1, 8, [0] * 8, [1] * 8),
    ],
)
def test_random_segment_indices_draw_every_frame_of_their_segment(
    num_frames, num_segments, begins, ends
):
    rng = np.random.default_rng(0)
    draws = [
        segments.random_segment_indices(num_frames, num_segments, rng).tolist()
        for _ in range(300)
    ]
    for i, drawn in enumerate(zip(*draws, strict=True)):
        assert set(drawn) == set(range(begins[i], ends[i]))


def test_random_segment_indices_follow_the_generator():
    def draw(seed):
        rng = np.random.default_rng(seed)
        return segments.random_segment_indices(60, 8, rng).tolist()

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


@pytest.mark.parametrize("num_frames", range(1, 171))
def test_indices_are_in_range_and_in_order(num_frames):
    rng = np.random.default_rng(num_frames)
    for indices in (
        segments.centre_segment_indices(num_frames, 8),
        segments.random_segment_indices(num_frames, 8, rng),
    ):
        assert indices.min() >= 0
        assert indices.max() < num_frames
        assert (np.diff(indices) >= 0).all()


@pytest.mark.parametrize(("num_frames", "num_segments"), [(0, 8), (5, 0), (-1, 1)])
def test_indices_need_frames_and_segments(num_frames, num_segments):
    expected = (
        f"a clip needs at least 1 frame and 1 segment, got {num_frames} frames "
        f"and {num_segments} segments"
    )
    with pytest.raises(ValueError, match=expected):
        segments.centre_segment_indices(num_frames, num_segments)
    with pytest.raises(ValueError, match=expected):
        segments.random_segment_indices(
            num_frames, num_segments, np.random.default_rng(0)
        )
