"""What one clip may cost: a value of its own, so that it needs no decoder's library."""

import dataclasses
import json
import signal
from dataclasses import dataclass

__all__ = [
    "LIMIT_REASONS",
    "OUTSIDE_SIGNALS",
    "UNSETTLED_REASONS",
    "DecodeLimits",
    "killed_from_outside",
]

LIMIT_REASONS = frozenset(
    {"decoder_crashed", "frame_too_large", "out_of_memory", "timeout", "too_long"}
)
"""Reasons to quarantine a clip that other limits, or a calmer machine, may lift."""

UNSETTLED_REASONS = frozenset({"changed", "decoder_killed", "no_ffmpeg", "unreadable"})
"""Reasons that say nothing of the clip: the shard cannot be made now."""

OUTSIDE_SIGNALS = frozenset(
    {signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGTERM}
)
"""Signals that no clip makes a decoder end by: someone, or the kernel, ends it."""


def killed_from_outside(signal_number: int) -> str:
    """Returns what to say of a decoder that one of OUTSIDE_SIGNALS ended."""
    return (
        f"its decoder was killed by {signal.Signals(signal_number).name} from outside; "
        f"if memory is short, use fewer --num_workers"
    )


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
