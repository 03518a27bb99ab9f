"""Reads lists of `path label`, as TSM, mmaction2 and PySlowFast have them.

    abseiling/a.mp4 0          path and label_id (mmaction2, PySlowFast)
    abseiling/a 250 0          path, number of frames, label_id (TSM, mmaction2)
    101 6 0                    the same with ids, as this program writes it

Columns are separated by spaces, tabs, commas or semicolons, and may be quoted. The
lists of a folder have the splits in their names (`train_videofolder.txt`, `val.csv`,
...). A file of the classes' names, one a line by label_id, may be beside them. The
labels of test lists are not read.
"""

import re
from pathlib import Path, PurePosixPath

from pipelines.sources import (
    clip_walk,
    label_numbers,
    split_lists,
    splitting,
    text_lines,
)
from pipelines.sources.annotations import AnnotationError, Annotations, LayoutError
from pipelines.sources.choices import Choices
from pipelines.sources.class_folders import split_of_folder
from pipelines.sources.layouts import Layout
from pipelines.sources.listed_clips import ListedClips, id_of

__all__ = ["LAYOUT"]

_SUFFIXES = (".txt", ".csv", ".tsv", ".list", ".lst")
_LINE = re.compile(
    r"""(?P<quote>"?)(?P<path>[^\s"].*?)(?P=quote)
    (?:[\s,;]+(?P<num_frames>"?[0-9]+"?))?
    [\s,;]+"?(?P<label>-?[0-9]+)(?:\.0*)?"?""",
    re.VERBOSE,
)
_NUMBERED_NAME = re.compile(r"(?P<number>[0-9]+)[\s,;]+(?P<name>\S.*)")
_NAMES = ("category.txt", "classes.txt", "class_names.txt", "labels.txt")
_NAMES_PATTERN = "label_map*.txt"  # mmaction2's


def _is_list(path: Path) -> bool:
    return (
        path.suffix.lower() in _SUFFIXES
        and not path.is_dir()
        and _LINE.fullmatch(text_lines.first_line(path)) is not None
    )


def _is_layout_of(path: Path) -> bool:
    return split_lists.has_lists(path, _is_list) or _is_list(path)


def _read(path: Path, choices: Choices) -> Annotations:
    folder = path if path.is_dir() else path.parent
    if path.is_dir():
        if choices.split_by:
            raise AnnotationError(
                f"{path}: its lists have splits, so --split_by cannot be given"
            )
        lists = split_lists.by_split(path, _is_list)
    elif choices.split_by:
        lists = {"": path}
    else:
        raise LayoutError(
            f"{path}: a list of paths and labels, without splits: give the folder "
            f"that has lists for train and validation, or --split_by"
        )
    names = _label_names(folder)
    clips = ListedClips(path, choices.clips)
    have_ids = _are_ids(next(iter(lists.values())))
    for split, listed in lists.items():
        _add_list(clips, listed, split, choices, names=names, have_ids=have_ids)
    return clips.annotations(names, is_deep=have_ids)


def _add_list(
    clips: ListedClips,
    path: Path,
    split_of_list: str,
    choices: Choices,
    *,
    names: list[str] | None,
    have_ids: bool,
) -> None:
    prefix = _prefix(path, split_of_list, choices)
    splitter = None
    if not split_of_list:
        splitter = splitting.splitter(choices.split_by, choices.split_seed)
    for line, place in text_lines.lines(path):
        row = _LINE.fullmatch(line)
        if row is None:
            raise AnnotationError(
                f"{place}: must be a path, perhaps a number of frames, and a label's "
                f"number, got {line!r:.80}"
            )
        clip_id = row["path"] if have_ids else id_of(row["path"])
        clip_path = "" if have_ids else f"{prefix}{row['path']}"
        split = split_of_list
        if splitter is not None:
            split = splitter.split_of(clip_path, clip_id)
        if not split:
            clips.set_aside(clip_path or clip_id)
            continue
        label = row["label"]
        if names is not None and split != "test":
            label = _named(label, names, place)
        clips.add(split, label, place=place, path=clip_path, clip_id=clip_id)
    if splitter is not None:
        splitter.check_used()


def _are_ids(path: Path) -> bool:
    """Returns whether a list has ids: its first path has no folder and no suffix."""
    row = _LINE.fullmatch(text_lines.first_line(path))
    first = PurePosixPath(row["path"]) if row else PurePosixPath()
    return len(first.parts) == 1 and first.suffix not in clip_walk.CLIP_SUFFIXES


def _prefix(path: Path, split: str, choices: Choices) -> str:
    """Returns the split's folder of clips ("videos_train/") if paths begin in it."""
    row = _LINE.fullmatch(text_lines.first_line(path))
    if choices.clips is None or row is None or not choices.clips.is_dir():
        return ""
    if row["path"].startswith("/") or (choices.clips / row["path"]).exists():
        return ""
    for folder in sorted(choices.clips.iterdir()):
        if split_of_folder(folder) == split and (folder / row["path"]).exists():
            return f"{folder.name}/"
    return ""


def _label_names(folder: Path) -> list[str] | None:
    """Returns label texts by label_id, None where no file has them.

    Raises:
      AnnotationError: several files have them.
    """
    paths = [folder / name for name in _NAMES if (folder / name).is_file()]
    paths += sorted(folder.glob(_NAMES_PATTERN))
    if len(paths) > 1:
        raise AnnotationError(
            f"{folder}: {paths[0].name} and {paths[1].name} both name classes: leave "
            f"only one in the folder"
        )
    if not paths:
        return None
    lines = [line for line, _ in text_lines.lines(paths[0])]
    rows = [_NUMBERED_NAME.fullmatch(line) for line in lines]
    numbers = [label_numbers.number_of(row["number"]) for row in rows if row]
    if numbers == list(range(len(lines))):
        return [row["name"] for row in rows if row]
    return lines


def _named(label: str, names: list[str], place: str) -> str:
    label_id = label_numbers.number_of(label)
    if not 0 <= label_id < len(names):
        raise AnnotationError(
            f"{place}: label {label:.80} is none of the {len(names)} that are named"
        )
    return names[label_id]


LAYOUT = Layout(
    annotations="lists of `path label` or `path num_frames label` for each split, as "
    "TSM, mmaction2 and PySlowFast have them, or as `labels/` of a version; beside "
    "them, if wanted, `category.txt` or `label_map.txt`; one list with `--split_by`",
    clips="the files or folders of frames at those paths, also below `videos_train`, "
    "...; of ids, files of these names in any folder",
    is_layout_of=_is_layout_of,
    read=_read,
    takes_split_by=True,
)
