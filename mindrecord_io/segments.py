"""Which frames of a clip a network sees: one from each of T equal segments.

Segment i of a clip of F frames is the half-open range [i*F//T, (i+1)*F//T) of 0-based
frame indices, or its first frame alone where that range is empty. So the segments
cover every frame, and a clip of fewer frames than segments repeats them evenly.

This is the sparse sampling of TSN (arXiv:1608.00859, sec. 3.1) as TSM uses it, with two
differences. TSM's code cuts segments of F//T whole frames from the front, so that the
last F % T frames of a clip are never trained on, and it gives clips of F <= T frames
frame 0 T times; here, as in mmaction2's `keep_tail_frames` and its test sampling, the
segments span the clip and short clips are spread over what they have.
"""

import numpy as np
import numpy.typing as npt

__all__ = ["centre_segment_indices", "random_segment_indices"]


def centre_segment_indices(num_frames: int, num_segments: int) -> npt.NDArray[np.int64]:
    """Returns the frame at the centre of each segment: 48 frames, 8: 3, 9, ..., 45.

    Exactly floor((2i + 1) * F / 2T), where TSM and mmaction2 round the same quotient in
    floating point.
    """
    _check(num_frames, num_segments)
    odd = np.arange(1, 2 * num_segments, 2, dtype=np.int64)
    return odd * num_frames // (2 * num_segments)


def random_segment_indices(
    num_frames: int, num_segments: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Returns one uniformly drawn frame of each segment, in order."""
    _check(num_frames, num_segments)
    bounds = np.arange(num_segments + 1, dtype=np.int64) * num_frames // num_segments
    widths = np.maximum(bounds[1:] - bounds[:-1], 1)
    return bounds[:-1] + rng.integers(0, widths)


def _check(num_frames: int, num_segments: int) -> None:
    if num_frames < 1 or num_segments < 1:
        raise ValueError(
            f"a clip needs at least 1 frame and 1 segment, got {num_frames} frames "
            f"and {num_segments} segments"
        )
