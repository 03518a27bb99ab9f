"""Reads tables of clips, with a header: one file, or a folder of one for each split.

Columns are `path`, below the folder of clips, or `clip_id`; `label`, a text or a
number; and `split`, which a folder's files have in their names and `--split_by`
replaces. Test clips' labels are not read. Other columns are ignored.
"""

from pathlib import Path

from pipelines.sources import split_lists, splitting, table_rows
from pipelines.sources.annotations import AnnotationError, Annotations
from pipelines.sources.choices import COLUMNS, Choices
from pipelines.sources.layouts import Layout
from pipelines.sources.listed_clips import ListedClips, id_of, split_named

__all__ = ["LAYOUT", "read"]


def read(path: Path, choices: Choices) -> Annotations:
    """Reads a table, or a folder of tables for train, validation and test.

    Raises:
      AnnotationError: a table or one of its rows cannot be used.
    """
    clips = ListedClips(path, choices.clips)
    if path.is_dir():
        tables = split_lists.by_split(path, table_rows.is_table)
        places = [(table, split) for split, table in tables.items()]
    else:
        places = [(path, "")]
    has_paths = [_add_table(clips, table, choices, split) for table, split in places]
    return clips.annotations(is_deep=not any(has_paths))


def _add_table(
    clips: ListedClips, path: Path, choices: Choices, split_of_file: str
) -> bool:
    """Adds a table's clips; returns whether it has their paths."""
    names = {column: choices.columns.get(column, column) for column in COLUMNS}
    columns = table_rows.header(path, names.values())
    has_paths = names["path"] in columns or names["clip_id"] not in columns
    required = [names["path" if has_paths else "clip_id"]]
    if split_of_file != "test":  # whose labels are not read
        required.append(names["label"])
    if choices.split_by and (split_of_file or names["split"] in columns):
        raise AnnotationError(
            f"{path}: its clips have splits, so --split_by cannot be given"
        )
    if not choices.split_by and not split_of_file:
        required.append(names["split"])
    splitter = None
    if choices.split_by:
        splitter = splitting.splitter(choices.split_by, choices.split_seed)
    for row, place in table_rows.rows(path, required, (names["clip_id"],)):
        clip_path = row[names["path"]] if has_paths else ""
        clip_id = row.get(names["clip_id"], "")
        if not (clip_path or clip_id):
            raise AnnotationError(f"{place}: no path")
        if splitter is not None:
            split = splitter.split_of(clip_path, clip_id or id_of(clip_path))
        else:
            split = split_of_file or _checked(row[names["split"]], place)
        if split:
            label = row.get(names["label"], "")
            clips.add(split, label, place=place, path=clip_path, clip_id=clip_id)
        else:
            clips.set_aside(clip_path or clip_id)
    if splitter is not None:
        splitter.check_used()
    return has_paths


def _checked(name: str, place: str) -> str:
    split = split_named(name)
    if not split:
        raise AnnotationError(
            f"{place}: split must be train, validation (val, valid) or test, got "
            f"{name!r:.80}"
        )
    return split


def _is_layout_of(path: Path) -> bool:
    return table_rows.is_table(path) or split_lists.has_lists(path, table_rows.is_table)


LAYOUT = Layout(
    annotations="a `.csv`, `.tsv` or `.parquet` file with columns `path` (or "
    "`clip_id`), `label`, `split` (or `--split_by`) and, if wanted, `clip_id`; or a "
    "folder of one for each split (`train.csv`, `val.csv`, ...)",
    clips="the files at those paths; with `clip_id` alone, files of these names in any "
    "folder",
    is_layout_of=_is_layout_of,
    read=read,
    takes_split_by=True,
)
