"""Reads Jester's lists: lines of `id;label`, in test of `id`; labels in a file."""

from pathlib import Path

from mindrecord_io.records import SPLITS
from pipelines.sources import text_lines
from pipelines.sources.annotations import Annotations
from pipelines.sources.choices import Choices
from pipelines.sources.layouts import Layout
from pipelines.sources.listed_clips import ListedClips

__all__ = ["LAYOUT"]

_PREFIX = "jester-v1-"


def _is_layout_of(path: Path) -> bool:
    return (path / f"{_PREFIX}labels.csv").exists()


def _read(folder: Path, choices: Choices) -> Annotations:
    names = [line for line, _ in text_lines.lines(folder / f"{_PREFIX}labels.csv")]
    clips = ListedClips(folder, choices.clips)
    for split in SPLITS:
        path = folder / f"{_PREFIX}{split}.csv"
        if split == "test" and not path.exists():
            continue
        for line, place in text_lines.lines(path):
            clip_id, _, label = line.partition(";")
            clips.add(split, label, place=place, clip_id=clip_id)
    return clips.annotations(names)


LAYOUT = Layout(
    annotations="Jester's `jester-v1-{labels,train,validation,test}.csv`",
    clips="`20bn-jester-v1/<id>/00001.jpg`, ...",
    is_layout_of=_is_layout_of,
    read=_read,
)
