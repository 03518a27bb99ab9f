"""Finds the lists of a folder that has one file for each split."""

import re
from collections.abc import Callable
from pathlib import Path

from pipelines.sources.annotations import AnnotationError
from pipelines.sources.listed_clips import split_named

__all__ = ["by_split", "has_lists"]

_WORDS = re.compile(r"[a-z]+")


def has_lists(folder: Path, is_list: Callable[[Path], bool]) -> bool:
    """Returns whether a folder has a list of training clips."""
    return folder.is_dir() and any(map(is_list, _candidates(folder).get("train", ())))


def by_split(folder: Path, is_list: Callable[[Path], bool]) -> dict[str, Path]:
    """Returns the list of each split, which has the split in its name.

    Raises:
      AnnotationError: two files are lists of one split.
    """
    found = {}
    for split, paths in _candidates(folder).items():
        lists = [path for path in paths if is_list(path)]
        if len(lists) > 1:
            raise AnnotationError(
                f"{folder}: {lists[0].name} and {lists[1].name} both list {split} "
                f"clips: leave only one in the folder"
            )
        if lists:
            found[split] = lists[0]
    return found


def _candidates(folder: Path) -> dict[str, list[Path]]:
    candidates: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        names = map(split_named, _WORDS.findall(path.stem.lower()))
        splits = {split for split in names if split}
        if len(splits) == 1 and not path.name.startswith(".") and path.is_file():
            candidates.setdefault(splits.pop(), []).append(path)
    return candidates
