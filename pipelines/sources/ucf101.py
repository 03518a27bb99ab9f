"""Reads UCF101's split files: trainlist01.txt, testlist01.txt and classInd.txt.

There are three divisions, which `--fold` chooses from. The test lists have labels and
are what others validate by: their clips are of validation.
"""

import re
from pathlib import Path

from pipelines.sources import label_numbers, text_lines
from pipelines.sources.annotations import AnnotationError, Annotations
from pipelines.sources.choices import Choices
from pipelines.sources.layouts import Layout
from pipelines.sources.listed_clips import ListedClips

__all__ = ["LAYOUT"]

_CLASSES = "classInd.txt"
_CLASS = re.compile(r"(?P<number>[0-9]+)\s+(?P<name>\S.*)")
_CLIP = re.compile(r"(?P<path>(?P<folder>[^/]+)/.+?)(?:\s+(?P<number>[0-9]+))?")


def _is_layout_of(path: Path) -> bool:
    return (path / _CLASSES).is_file() or (path / "trainlist01.txt").is_file()


def _read(folder: Path, choices: Choices) -> Annotations:
    names = _class_names(folder / _CLASSES)
    clips = ListedClips(folder, choices.clips)
    for split, word in (("train", "train"), ("validation", "test")):
        path = folder / f"{word}list{choices.fold:02d}.txt"
        for line, place in text_lines.lines(path):
            clip = _CLIP.fullmatch(line)
            if clip is None:
                raise AnnotationError(
                    f"{place}: must be <class>/<clip>, and a number, got {line!r:.80}"
                )
            label, number = clip["folder"], clip["number"]
            if number and (label, label_numbers.number_of(number)) not in names:
                raise AnnotationError(
                    f"{place}: {_CLASSES} does not number {label!r:.80} {number:.80}"
                )
            clips.add(split, label, place=place, path=clip["path"])
    return clips.annotations([name for name, _ in names])


def _class_names(path: Path) -> list[tuple[str, int]]:
    """Returns the classes with their numbers, which begin at 1 without a gap."""
    names: list[tuple[str, int]] = []
    for line, place in text_lines.lines(path):
        row = _CLASS.fullmatch(line)
        if row is None or label_numbers.number_of(row["number"]) != len(names) + 1:
            raise AnnotationError(
                f"{place}: must be {len(names) + 1} and a class, got {line!r:.80}"
            )
        names.append((row["name"], len(names) + 1))
    return names


LAYOUT = Layout(
    annotations="UCF101's `trainlist01.txt`, `testlist01.txt` and `classInd.txt` "
    "(`--fold 1`, 2 or 3); test clips become validation clips",
    clips="`<class>/<clip>.avi`",
    is_layout_of=_is_layout_of,
    read=_read,
)
