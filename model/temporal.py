"""Where a frame network mixes segments."""

from dataclasses import dataclass
from typing import Protocol

from mindspore import nn

__all__ = ["SHIFT_PLACES", "Shift", "Temporal"]

SHIFT_PLACES = ("blockres", "block", "none")
"""Before a block's first convolution, before the whole block, or nowhere (TSN)."""


class Shift(Protocol):
    """Wraps a cell, so that its input is shifted along time."""

    def __call__(self, net: nn.Cell, *, in_channels: int, num_segments: int) -> nn.Cell:
        """Returns `net` behind a shift of its (N*T, in_channels, H, W) input."""


@dataclass(frozen=True, slots=True)
class Temporal:
    """Where a frame network mixes its segments, and how.

    Attributes:
      shift: wraps a cell so that its input is shifted.
      shift_place: one of SHIFT_PLACES.
      num_segments: T of the clip-major (N*T, 3, H, W) input.
      has_pool: half the segments from the second stage on.
      has_non_local: non-local blocks in the second and the third stage.
    """

    shift: Shift
    shift_place: str
    num_segments: int
    has_pool: bool = False
    has_non_local: bool = False

    def __post_init__(self) -> None:
        if self.shift_place not in SHIFT_PLACES:
            raise ValueError(
                f"shift_place must be one of {SHIFT_PLACES}, got {self.shift_place!r}"
            )

    @property
    def num_pooled_segments(self) -> int:
        """The number of segments at the network's end."""
        return self.num_segments // 2 if self.has_pool else self.num_segments
