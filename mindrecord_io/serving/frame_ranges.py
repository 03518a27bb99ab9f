"""Chooses which bytes of a clip to ask a store for, so that its sampled frames come.

Each frame could be a request of its own. Near ones are read as one range, with the
unwanted frames between them, where that is cheaper: a gap costs gap / bandwidth
seconds, a request latency / (requests in flight), so the gap at which both cost the
same is bandwidth * latency / (requests in flight). And however long a request takes,
at most a third more bytes are read than are wanted: stores charge for them.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["MergeRule", "merged_ranges"]

_MAX_READ_SHARE = 4 / 3


@dataclass(frozen=True, slots=True)
class MergeRule:
    """When two ranges of one clip are read as one.

    Attributes:
      max_gap_bytes: between them.
      max_read_share: bytes read of a clip over those of its sampled frames.
    """

    max_gap_bytes: int
    max_read_share: float = _MAX_READ_SHARE

    @classmethod
    def of(
        cls, latency_seconds: float, bytes_per_second: float, num_in_flight: int
    ) -> "MergeRule":
        """Returns the rule by which a gap costs no more time than a request."""
        return cls(int(bytes_per_second * latency_seconds / num_in_flight))


def merged_ranges(
    wanted: Sequence[tuple[int, int]], rule: MergeRule
) -> list[tuple[int, int]]:
    """Returns (begin, end) of the ranges to read: the smallest gaps are read first.

    Args:
      wanted: (begin, end) of each frame, in the order of the file, none twice.
    """
    num_bytes = sum(end - begin for begin, end in wanted)
    spare = int(num_bytes * (rule.max_read_share - 1.0))
    gaps = [after[0] - before[1] for before, after in itertools.pairwise(wanted)]
    is_read = [False] * len(gaps)
    for gap, i in sorted(zip(gaps, range(len(gaps)), strict=True)):
        if gap > spare or gap > rule.max_gap_bytes:
            break
        is_read[i] = True
        spare -= gap
    ranges = [wanted[0]]
    for joins, (begin, end) in zip(is_read, wanted[1:], strict=True):
        if joins:
            ranges[-1] = (ranges[-1][0], end)
        else:
            ranges.append((begin, end))
    return ranges
