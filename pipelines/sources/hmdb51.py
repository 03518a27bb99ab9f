"""Reads HMDB51's split files: `<class>_test_split1.txt`, lines of `<clip>.avi <use>`.

A use of 1 is training, 2 is test, 0 is neither. There are three divisions, which
`--fold` chooses from. Test clips have labels and are what others validate by: they are
of validation.
"""

from pathlib import Path

from pipelines.sources import text_lines
from pipelines.sources.annotations import AnnotationError, Annotations
from pipelines.sources.choices import Choices
from pipelines.sources.layouts import Layout
from pipelines.sources.listed_clips import ListedClips

__all__ = ["LAYOUT"]

_SPLITS = {"0": "", "1": "train", "2": "validation"}


def _is_layout_of(path: Path) -> bool:
    return path.is_dir() and any(path.glob("*_test_split[0-9].txt"))


def _read(folder: Path, choices: Choices) -> Annotations:
    ending = f"_test_split{choices.fold}.txt"
    clips = ListedClips(folder, choices.clips)
    for path in sorted(folder.glob(f"*{ending}")):
        label = path.name.removesuffix(ending)
        for line, place in text_lines.lines(path):
            *name, use = line.rsplit(None, 1)
            if not name or use not in _SPLITS:
                raise AnnotationError(
                    f"{place}: must be a clip and 0, 1 or 2, got {line!r:.80}"
                )
            clip_path = f"{label}/{name[0]}"
            if split := _SPLITS[use]:
                clips.add(split, label, place=place, path=clip_path)
            else:
                clips.set_aside(clip_path)
    return clips.annotations()


LAYOUT = Layout(
    annotations="HMDB51's `<class>_test_split1.txt`, ... (`--fold 1`, 2 or 3); test "
    "clips become validation clips",
    clips="`<class>/<clip>.avi`",
    is_layout_of=_is_layout_of,
    read=_read,
)
