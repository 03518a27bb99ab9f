"""Reads folders of `<split>/<class>/<clip>`, as Kinetics is kept.

Folders are all there is: their names are the labels and the splits.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from pipelines.sources import frame_folders
from pipelines.sources.annotations import AnnotationError, Annotations
from pipelines.sources.listed_clips import ListedClips, split_named

__all__ = ["is_layout_of", "read"]

_SPLIT_FOLDER = re.compile(r"(?:(?:videos|rawframes)_)?(?P<split>[a-z]+)(?:_\d+)?")
_CLIP_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"})


def is_layout_of(path: Path) -> bool:
    """Returns whether a path is a folder with folders of splits in it."""
    return path.is_dir() and any(_split_of(inner) for inner in path.iterdir())


def read(folder: Path) -> Annotations:
    """Reads `<split>/<class>/<clip>`; the folder is to be given as --clips too.

    Folders of splits may be named as mmaction2 and others name them: `val_256`,
    `videos_train`, `rawframes_train`. Clips of the test split may lie in its folder
    without a class. Where a folder has frames in it, its neighbours are clips as well,
    and are not opened. Hidden files and folders are not looked at.

    Raises:
      AnnotationError: a clip lies elsewhere, two have one id, or there is none.
    """
    clips = ListedClips(folder)
    for split_folder in sorted(folder.iterdir()):
        if split := _split_of(split_folder):
            for path in sorted(_clips_below(split_folder)):
                label = _label_of(path, split_folder, split)
                relative = path.relative_to(folder).as_posix()
                clips.add(split, label, place=str(path), path=relative)
    return clips.annotations()


def _clips_below(folder: Path) -> Iterator[Path]:
    """Yields the files and folders of frames that are clips, however deep."""
    with os.scandir(folder) as all_entries:
        entries = [e for e in all_entries if not e.name.startswith(".")]
    inner = [Path(e.path) for e in entries if e.is_dir(follow_symlinks=False)]
    if any(map(_is_frames_alone, inner)):
        yield from inner
    else:
        for path in inner:
            yield from _clips_below(path)
    for path in (Path(e.path) for e in entries):
        if path.suffix.lower() in _CLIP_SUFFIXES and path.is_file():
            yield path


def _is_frames_alone(folder: Path) -> bool:
    """Returns whether a folder has frames and neither folders nor clips in it."""
    if not frame_folders.holds_frames(folder):
        return False
    with os.scandir(folder) as entries:
        return not any(
            entry.is_dir() or Path(entry.name).suffix.lower() in _CLIP_SUFFIXES
            for entry in entries
            if not entry.name.startswith(".")
        )


def _label_of(path: Path, split_folder: Path, split: str) -> str:
    """Returns the class whose folder a clip is in, "" for a test clip in none."""
    inner = path.relative_to(split_folder).parts
    if len(inner) != 2 and (split != "test" or len(inner) > 2):
        raise AnnotationError(
            f"{path}: a clip must lie in a folder of its class, {split_folder.name}/"
            f"<class>/<clip>"
        )
    return inner[0] if len(inner) == 2 else ""


def _split_of(folder: Path) -> str:
    match = _SPLIT_FOLDER.fullmatch(folder.name)
    return split_named(match["split"]) if match and folder.is_dir() else ""
