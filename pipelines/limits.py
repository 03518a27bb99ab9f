"""What one clip may cost: a value of its own, so that it needs no decoder's library."""

import dataclasses
import json
from dataclasses import dataclass

__all__ = ["LIMIT_REASONS", "UNSETTLED_REASONS", "DecodeLimits"]

LIMIT_REASONS = frozenset(
    {"decoder_crashed", "frame_too_large", "out_of_memory", "timeout", "too_long"}
)
"""Reasons to quarantine a clip that other limits, or a calmer machine, may lift."""

UNSETTLED_REASONS = frozenset({"changed", "unreadable"})
"""Reasons that say nothing of the clip: the shard cannot be made now."""


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """The limits of one clip; a clip that breaks one is quarantined.

    Attributes:
      max_seconds: wall time, in whole seconds.
      max_frames: frames of a clip.
      max_pixels: width times height of a frame.
      max_memory_mib: data segment of the decoding process.
    """

    max_seconds: int = 60
    max_frames: int = 5000
    max_pixels: int = 3840 * 2160
    max_memory_mib: int = 2048

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1: {getattr(self, name)}")

    @property
    def text(self) -> str:
        """The limits as one line, to be stored and compared."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)
