"""Reads Kinetics' CSV files: `label,youtube_id,time_start,time_end,split`.

A clip is the file `<youtube_id>_<start>_<end>`, six digits each, as those who cut the
videos name it. Where there is no column `split`, the files' names have the splits.
"""

from collections.abc import Mapping
from pathlib import Path

from pipelines.sources import split_lists, table_rows
from pipelines.sources.annotations import AnnotationError, Annotations
from pipelines.sources.choices import Choices
from pipelines.sources.layouts import Layout
from pipelines.sources.listed_clips import ListedClips, id_of, split_named

__all__ = ["LAYOUT"]

_ID, _BEGIN, _END = "youtube_id", "time_start", "time_end"
_COLUMNS = (_ID, _BEGIN, _END)


def _is_list(path: Path) -> bool:
    return table_rows.is_table(path) and set(_COLUMNS) <= set(
        table_rows.header(path, _COLUMNS)
    )


def _is_layout_of(path: Path) -> bool:
    return split_lists.has_lists(path, _is_list) or _is_list(path)


def _read(path: Path, choices: Choices) -> Annotations:
    clips = ListedClips(path, choices.clips)
    lists = {"": path}
    if path.is_dir():
        lists = split_lists.by_split(path, _is_list)
    for split_of_file, table in lists.items():
        has_split = "split" in table_rows.header(table, _COLUMNS)
        # The official test list has no labels.
        required = [*_COLUMNS, *(["split"] if has_split else [])]
        if split_of_file != "test":
            required.append("label")
        for row, place in table_rows.rows(table, required, ("label",)):
            split = split_named(row["split"]) if has_split else split_of_file
            if not split:
                raise AnnotationError(
                    f"{place}: split must be train, validation or test; in the file's "
                    f"name or in a column"
                )
            name = f"{row[_ID]}_{_seconds(row, _BEGIN, place)}_"
            clip_id = id_of(f"{name}{_seconds(row, _END, place)}.mp4")
            clips.add(split, row.get("label", ""), place=place, clip_id=clip_id)
    return clips.annotations(is_deep=True)


def _seconds(row: Mapping[str, str], column: str, place: str) -> str:
    text = row[column]
    try:
        return f"{int(float(text)):06d}"
    except (ValueError, OverflowError) as cause:
        raise AnnotationError(
            f"{place}: {column} must be a number of seconds, got {text!r:.80}"
        ) from cause


LAYOUT = Layout(
    annotations="Kinetics' CSV files (`label`, `youtube_id`, `time_start`, `time_end`, "
    "`split`), one or a folder of them",
    clips="`<youtube_id>_000001_000011.mp4`, ..., in any folder",
    is_layout_of=_is_layout_of,
    read=_read,
)
