"""What flags choose of how annotations are read; needs no library."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["COLUMNS", "Choices"]

COLUMNS = ("path", "label", "split", "clip_id")
"""The columns of a table of clips."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What flags choose of how annotations are read.

    Attributes:
      clips: the folder of clips, below which absolute paths must lead; None where the
        clips are not looked at, or are not on this machine.
      columns: a table's own names of COLUMNS, where they are others.
      split_by: a share of the clips, or the path of a list (see splitting); "" where
        the annotations have splits of their own.
      split_seed: of the draw of the share.
      fold: which of several divisions into splits, counted from 1.
    """

    clips: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    split_by: str = ""
    split_seed: int = 1
    fold: int = 1

    def __post_init__(self) -> None:
        unknown = sorted(set(self.columns) - set(COLUMNS))
        if unknown:
            raise ValueError(
                f"--columns must name some of {', '.join(COLUMNS)}, got {unknown[0]!r}"
            )
