"""Chooses the frames of a clip: one from each of T equal segments.

Segment i of a clip of F frames is the half-open range [i*F//T, (i+1)*F//T) of 0-based
frame indices, or its first frame alone where that range is empty. So the segments
cover every frame, and a clip of fewer frames than segments repeats them evenly.

This is the sparse sampling of TSN (arXiv:1608.00859, sec. 3.1) as TSM uses it, with two
differences. TSM's code cuts segments of F//T whole frames from the front, so that the
last F % T frames of a clip are never trained on, and it gives clips of F <= T frames
frame 0 T times; here, as in mmaction2's `keep_tail_frames` and its test sampling, the
segments span the clip and short clips are spread over what they have.

Dense sampling is I3D's as TSM's code has it: T frames of a window of 64, equally apart,
going on from the clip's beginning where the clip is shorter.

RANDOM and FIXED name the ways to sample, for training and for evaluation. Evaluation
may look at a clip several times: the frames of all times come end to end.
"""

import itertools

import numpy as np
import numpy.typing as npt

from mindrecord_io.serving.clip_random import ClipRandom

__all__ = [
    "FIXED",
    "RANDOM",
    "centre_segment_indices",
    "dense_indices",
    "random_dense_indices",
    "random_segment_indices",
    "ten_dense_indices",
    "twice_segment_indices",
]

_DENSE_WINDOW = 64
_NUM_DENSE_TIMES = 10


def centre_segment_indices(num_frames: int, num_segments: int) -> npt.NDArray[np.int64]:
    """Returns the frame at the centre of each segment: 48 frames, 8: 3, 9, ..., 45.

    Exactly floor((2i + 1) * F / 2T), where TSM and mmaction2 round the same quotient in
    floating point.
    """
    _check(num_frames, num_segments)
    odd = np.arange(1, 2 * num_segments, 2, dtype=np.int64)
    return odd * num_frames // (2 * num_segments)


def random_segment_indices(
    num_frames: int, num_segments: int, rng: ClipRandom
) -> npt.NDArray[np.int64]:
    """Returns one uniformly drawn frame of each segment, in order."""
    _check(num_frames, num_segments)
    bounds = [i * num_frames // num_segments for i in range(num_segments + 1)]
    drawn = [
        begin + rng.below(max(1, end - begin))
        for begin, end in itertools.pairwise(bounds)
    ]
    return np.array(drawn, np.int64)


def twice_segment_indices(num_frames: int, num_segments: int) -> npt.NDArray[np.int64]:
    """Returns the centres of the segments, then their first frames.

    TSM's `twice_sample`: 48 frames, 8 segments: 3, 9, ..., 45, then 0, 6, ..., 42.
    """
    centres = centre_segment_indices(num_frames, num_segments)
    starts = np.arange(num_segments, dtype=np.int64) * num_frames // num_segments
    return np.concatenate([centres, starts])


def dense_indices(
    num_frames: int, num_segments: int, begin: int
) -> npt.NDArray[np.int64]:
    """Returns T frames from `begin` on, 64 // T apart, beginning anew at the end."""
    _check(num_frames, num_segments)
    if num_segments > _DENSE_WINDOW:
        raise ValueError(
            f"dense sampling takes at most {_DENSE_WINDOW} frames, got {num_segments}"
        )
    step = _DENSE_WINDOW // num_segments
    return (begin + step * np.arange(num_segments, dtype=np.int64)) % num_frames


def random_dense_indices(
    num_frames: int, num_segments: int, rng: ClipRandom
) -> npt.NDArray[np.int64]:
    """Returns dense frames of a window of 64 that is drawn uniformly.

    TSM's code never draws the last window; here every one is as likely.
    """
    _check(num_frames, num_segments)
    begin = rng.below(max(1, 1 + num_frames - _DENSE_WINDOW))
    return dense_indices(num_frames, num_segments, begin)


def ten_dense_indices(num_frames: int, num_segments: int) -> npt.NDArray[np.int64]:
    """Returns dense frames of ten windows, spread evenly from the first to the last."""
    last = max(0, num_frames - _DENSE_WINDOW)
    begins = [last * i // (_NUM_DENSE_TIMES - 1) for i in range(_NUM_DENSE_TIMES)]
    times = [dense_indices(num_frames, num_segments, begin) for begin in begins]
    return np.concatenate(times)


RANDOM = {"segments": random_segment_indices, "dense": random_dense_indices}
"""By name: (num_frames, num_segments, rng) to T frames."""

FIXED = {
    "centre": (1, centre_segment_indices),
    "twice": (2, twice_segment_indices),
    "dense": (_NUM_DENSE_TIMES, ten_dense_indices),
}
"""By name: how many times, and (num_frames, num_segments) to times * T frames."""


def _check(num_frames: int, num_segments: int) -> None:
    if num_frames < 1 or num_segments < 1:
        raise ValueError(
            f"a clip needs at least 1 frame and 1 segment, got {num_frames} frames "
            f"and {num_segments} segments"
        )
