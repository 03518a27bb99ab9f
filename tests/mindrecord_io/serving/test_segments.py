import numpy as np
import pytest

from mindrecord_io.serving import clip_random, segments


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
    actual = segments.centre_segment_indices(num_frames, num_segments)
    assert actual.tolist() == expected


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
    rng = clip_random.ClipRandom(0, 0, "7")
    draws = [
        segments.random_segment_indices(num_frames, num_segments, rng).tolist()
        for _ in range(300)
    ]
    for i, drawn in enumerate(zip(*draws, strict=True)):
        assert set(drawn) == set(range(begins[i], ends[i]))


def test_random_segment_indices_follow_the_generator():
    def draw(seed):
        rng = clip_random.ClipRandom(seed, 0, "7")
        return segments.random_segment_indices(60, 8, rng).tolist()

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


@pytest.mark.parametrize("num_frames", range(1, 171))
def test_indices_are_in_range_and_in_order(num_frames):
    rng = clip_random.ClipRandom(num_frames, 0, "7")
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
            num_frames, num_segments, clip_random.ClipRandom(0, 0, "7")
        )


@pytest.mark.parametrize(
    ("num_frames", "num_segments", "expected"),
    [
        (48, 8, [3, 9, 15, 21, 27, 33, 39, 45, 0, 6, 12, 18, 24, 30, 36, 42]),
        (45, 4, [5, 16, 28, 39, 0, 11, 22, 33]),
        (3, 4, [0, 1, 1, 2, 0, 0, 1, 2]),
        (1, 2, [0, 0, 0, 0]),
    ],
)
def test_twice_segment_indices(num_frames, num_segments, expected):
    actual = segments.twice_segment_indices(num_frames, num_segments)
    assert actual.tolist() == expected


@pytest.mark.parametrize(
    ("num_frames", "num_segments", "begin", "expected"),
    [
        (100, 8, 36, [36, 44, 52, 60, 68, 76, 84, 92]),
        (64, 8, 0, [0, 8, 16, 24, 32, 40, 48, 56]),
        (45, 8, 0, [0, 8, 16, 24, 32, 40, 3, 11]),  # 48 and 56 begin anew
        (80, 16, 3, [3 + 4 * i for i in range(16)]),
        (5, 3, 0, [0, 1, 2]),  # 0, 21, 42
    ],
)
def test_dense_indices(num_frames, num_segments, begin, expected):
    actual = segments.dense_indices(num_frames, num_segments, begin)
    assert actual.tolist() == expected


@pytest.mark.parametrize(
    ("num_frames", "begins"),
    [(64, {0}), (10, {0}), (67, {0, 1, 2, 3})],
)
def test_random_dense_indices_draw_every_window(num_frames, begins):
    rng = clip_random.ClipRandom(1, 0, "7")
    actual = [segments.random_dense_indices(num_frames, 8, rng) for _ in range(200)]
    assert {int(indices[0]) for indices in actual} == begins
    for indices in actual:
        expected = segments.dense_indices(num_frames, 8, int(indices[0]))
        assert indices.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("num_frames", "begins"),
    [
        (73, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (68, [0, 0, 0, 1, 1, 2, 2, 3, 3, 4]),  # of 4 i / 9
        (64, [0] * 10),
        (20, [0] * 10),
    ],
)
def test_ten_dense_indices_spread_the_windows(num_frames, begins):
    actual = segments.ten_dense_indices(num_frames, 8).reshape(10, 8)
    expected = [segments.dense_indices(num_frames, 8, begin) for begin in begins]
    assert actual.tolist() == np.array(expected).tolist()


def test_dense_sampling_has_no_more_frames_than_its_window():
    with pytest.raises(ValueError, match="takes at most 64 frames, got 65"):
        segments.dense_indices(100, 65, 0)


@pytest.mark.parametrize("num_segments", [1, 3, 16])
def test_ways_to_sample_give_as_many_frames_as_they_promise(num_segments):
    rng = clip_random.ClipRandom(1, 0, "7")
    for sample in segments.RANDOM.values():
        assert sample(20, num_segments, rng).shape == (num_segments,)
    for num_times, sample in segments.FIXED.values():
        actual = sample(20, num_segments)
        assert actual.shape == (num_times * num_segments,)
        assert actual.min() >= 0
        assert actual.max() < 20
