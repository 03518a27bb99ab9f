"""Options of `synthesize`, apart from the drawing so that they need no library."""

from dataclasses import dataclass
from pathlib import Path

from mindrecord_io.records import SPLITS

__all__ = ["SynthesizeOptions"]

_CLIPS_FOLDER = "20bn-something-something-v2"
_ANNOTATIONS_FOLDER = "annotations"


@dataclass(frozen=True, slots=True)
class SynthesizeOptions:
    """One package to draw; `num_workers` does not change a byte of it.

    Attributes:
      is_light: backgrounds have no grain, so that frames cost less.
    """

    output: Path
    num_clips: int = 400
    seed: int = 1
    num_workers: int = 2
    is_light: bool = False

    def __post_init__(self) -> None:
        if self.num_clips < len(SPLITS):
            raise ValueError(
                f"num_clips must be at least {len(SPLITS)}, one a split; "
                f"got {self.num_clips}"
            )
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, got {self.seed}")
        if self.num_workers < 1:
            raise ValueError(f"num_workers must be at least 1, got {self.num_workers}")

    @property
    def clips(self) -> Path:
        """The folder of the WebM files."""
        return self.output / _CLIPS_FOLDER

    @property
    def annotations(self) -> Path:
        """The folder of the JSON files."""
        return self.output / _ANNOTATIONS_FOLDER
