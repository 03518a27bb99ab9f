"""A layout of annotations: how it is recognised, described and read."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipelines.sources.annotations import Annotations
from pipelines.sources.choices import Choices

__all__ = ["Layout"]


@dataclass(frozen=True, slots=True)
class Layout:
    """A layout of annotations.

    Attributes:
      annotations, clips: what --annotations and --clips are, in Markdown.
      is_layout_of: returns whether a path is of this layout, by its names and, at most,
        by the beginning of a file.
      read: reads a path of this layout; raises AnnotationError.
      takes_split_by: whether it has no splits of its own.
    """

    annotations: str
    clips: str
    is_layout_of: Callable[[Path], bool]
    read: Callable[[Path, Choices], Annotations]
    takes_split_by: bool = False
