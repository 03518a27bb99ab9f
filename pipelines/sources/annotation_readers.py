"""Reads annotations in any supported layout; LAYOUTS has one line for each.

What the path is or holds decides the layout; no flag names it. A clip is a file or, in
every layout, a folder of frames.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from mindrecord_io.storage import files
from pipelines.sources import (
    class_folders,
    clip_walk,
    diving48,
    hmdb51,
    jester,
    kinetics,
    label_numbers,
    path_lists,
    something_something,
    table_files,
    ucf101,
    unsplit_folders,
)
from pipelines.sources.annotations import AnnotationError, Annotations, LayoutError
from pipelines.sources.choices import Choices
from pipelines.sources.layouts import Layout

__all__ = ["LAYOUTS", "layouts_table", "read"]

logger = logging.getLogger(__name__)

LAYOUTS: tuple[Layout, ...] = (
    something_something.LAYOUT,
    jester.LAYOUT,
    kinetics.LAYOUT,
    diving48.LAYOUT,
    ucf101.LAYOUT,
    hmdb51.LAYOUT,
    path_lists.LAYOUT,
    table_files.LAYOUT,
    class_folders.LAYOUT,
    unsplit_folders.LAYOUT,
)
"""The layouts of annotations; the first that a path is of reads it."""

_NUM_NAMED = 5
_NUM_LOOKED_INTO = 20  # of what may be a folder of all clips


def read(path: Path, choices: Choices | None = None) -> Annotations:
    """Reads annotations; what the path is or holds decides how.

    Raises:
      AnnotationError: they cannot be used; the message says what, where and why.
    """
    choices = choices or Choices()
    layout = _layout_of(path)
    if layout is None:
        if not path.exists():
            raise AnnotationError(
                f"{path}: cannot list the folder of annotations: No such file or "
                "directory"
            )
        raise AnnotationError(_nothing_accepted(path))
    if choices.split_by and not layout.takes_split_by:
        raise AnnotationError(
            f"{path}: its clips have splits, so --split_by cannot be given"
        )
    try:
        annotations = layout.read(path, choices)
    except LayoutError as error:
        raise AnnotationError(f"{error}. {_accepted()}") from error
    _warn_of_classes(path, annotations)
    return annotations


def layouts_table() -> str:
    """Returns LAYOUTS as a table in Markdown, for the documentation."""
    lines = ["| `--annotations` | clips, in `--clips` |", "|---|---|"]
    lines += [f"| {layout.annotations} | {layout.clips} |" for layout in LAYOUTS]
    return "\n".join(lines)


def _layout_of(path: Path) -> Layout | None:
    try:
        return next((some for some in LAYOUTS if some.is_layout_of(path)), None)
    except OSError as cause:
        raise AnnotationError(
            f"{path}: cannot list the folder of annotations: {cause.strerror}"
        ) from cause


def _nothing_accepted(path: Path) -> str:
    return (
        f"{path}: no annotations that clipmill reads: {_contents(path)}. {_accepted()}"
    )


def _accepted() -> str:
    rows = (f"  - {some.annotations}; clips: {some.clips}" for some in LAYOUTS)
    return "--annotations may be:\n" + "\n".join(rows).replace("`", "")


def _contents(path: Path) -> str:
    """Returns what a path is or holds, with the usual mistake behind it."""
    if not path.is_dir():
        return f"it is a file named {path.suffix or 'without a suffix'}"
    names = sorted(p.name for p in path.iterdir() if not p.name.startswith("."))
    for name in names[:_NUM_LOOKED_INTO]:
        if (path / name).is_dir() and _layout_of(path / name) is not None:
            return f"did you mean its subfolder {path / name}?"
    shown = ", ".join(map(files.printable, names[:_NUM_NAMED]))
    if any(Path(name).suffix.lower() in clip_walk.CLIP_SUFFIXES for name in names):
        return f"it has clips in it ({shown}): are --clips and --annotations swapped?"
    more = ", ..." if len(names) > _NUM_NAMED else ""
    return f"it has {shown}{more} in it" if names else "it is empty"


def _warn_of_classes(path: Path, annotations: Annotations) -> None:
    names = annotations.label_map.names
    for group in label_numbers.spellings(names)[:_NUM_NAMED]:
        logger.warning(
            "%s: labels %s differ by spelling alone and are classes of their own",
            path,
            " and ".join(map(repr, group)),
        )
    untrained = sorted(
        annotations.label_ids["validation"] - annotations.label_ids["train"]
    )
    if untrained:
        logger.warning(
            "%s: %d classes have validation clips and not one training clip: %s",
            path,
            len(untrained),
            _listed([names[label_id] for label_id in untrained]),
        )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:_NUM_NAMED]))
    return f"{shown}, ..." if len(names) > _NUM_NAMED else shown
