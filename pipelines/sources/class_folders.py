"""Reads folders of `<split>/<class>/<clip>`, as Kinetics is kept.

Folders are all there is: their names are the labels and the splits.
"""

import logging
import re
from pathlib import Path

from mindrecord_io.commands import quantities
from pipelines.sources import clip_walk
from pipelines.sources.annotations import AnnotationError, Annotations, LayoutError
from pipelines.sources.choices import Choices
from pipelines.sources.layouts import Layout
from pipelines.sources.listed_clips import ListedClips, split_named

__all__ = ["LAYOUT", "split_of_folder"]

logger = logging.getLogger(__name__)

_SPLIT_FOLDER = re.compile(
    r"(?:(?:videos|rawframes)_)?(?P<split>[a-z]+)(?:_\d+)?", re.IGNORECASE
)


def split_of_folder(folder: Path) -> str:
    """Returns the split that a folder is of, by its name; "" if of none.

    Folders of splits may be named as mmaction2 and others name them: `val_256`,
    `videos_train`, `rawframes_train`.
    """
    match = _SPLIT_FOLDER.fullmatch(folder.name)
    return split_named(match["split"]) if match and folder.is_dir() else ""


def _is_layout_of(path: Path) -> bool:
    return path.is_dir() and any(split_of_folder(inner) for inner in path.iterdir())


def _read(folder: Path, choices: Choices) -> Annotations:
    """Reads `<split>/<class>/<clip>`; the folder is to be given as --clips too.

    Clips of the test split may lie in its folder without a class. What is a clip, see
    clip_walk.

    Raises:
      AnnotationError: a clip lies elsewhere, two have one id, or there is none.
    """
    clips = ListedClips(folder, choices.clips)
    others = []
    for split_folder in sorted(folder.iterdir()):
        if not (split := split_of_folder(split_folder)):
            if split_folder.is_dir() and not split_folder.name.startswith("."):
                others.append(split_folder.name)
            continue

        def leave_out(path: Path) -> None:
            clips.leave_out(path.relative_to(folder).as_posix())

        for path in clip_walk.clips_below(split_folder, leave_out, AnnotationError):
            label = _label_of(path, split_folder, split)
            relative = path.relative_to(folder).as_posix()
            clips.add(split, label, place=str(path), path=relative)
    if others:
        logger.warning(
            "%s: left out %s whose names are no splits (train, validation, test): %s",
            folder,
            quantities.count(len(others), "folder"),
            ", ".join(others[:5]),
        )
    return clips.annotations()


def _label_of(path: Path, split_folder: Path, split: str) -> str:
    """Returns the class whose folder a clip is in, "" for a test clip in none."""
    inner = path.relative_to(split_folder).parts
    if len(inner) != 2 and (split != "test" or len(inner) > 2):
        raise LayoutError(
            f"{path}: a clip must lie in a folder of its class, {split_folder.name}/"
            f"<class>/<clip>"
        )
    return inner[0] if len(inner) == 2 else ""


LAYOUT = Layout(
    annotations="a folder of `<split>/<class>/<clip>`, as Kinetics is kept (`train`, "
    "`val_256`, ...)",
    clips="the same folder",
    is_layout_of=_is_layout_of,
    read=_read,
)
