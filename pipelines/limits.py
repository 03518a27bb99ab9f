"""What one clip may cost: a value of its own, so that it needs no decoder's library."""

from dataclasses import dataclass

__all__ = ["DecodeLimits"]


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
