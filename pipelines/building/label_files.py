r"""The label files that the TSM ecosystem's tools read, byte for byte.

    category.txt               the label texts, one a line, by label_id
    train_videofolder.txt      "<clip_id> <num_frames> <label_id>", one clip a line
    val_videofolder.txt        the same
    test_videofolder.txt       the same, label 0 throughout: its labels are not public

Lines end in "\n" but for the last, which has no end; a split without clips is an empty
file. The bytes are those of `gen_label_sthv2.py` of mit-han-lab/temporal-shift-module.
"""

import contextlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from mindrecord_io import naming
from mindrecord_io.records import SPLITS, UNLABELLED, LabelMap, check_clip_id
from mindrecord_io.storage import files

__all__ = ["LabelRow", "write_label_files"]

_TEST_LABEL_ID_IN_LISTS = 0


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One stored clip, as a list file names it.

    Attributes:
      label_id: UNLABELLED for test clips, and for them only.
    """

    clip_id: str
    split: str
    num_frames: int
    label_id: int

    def __post_init__(self) -> None:
        check_clip_id(self.clip_id)
        if self.split not in SPLITS:
            raise ValueError(
                f"{self.clip_id}: split must be one of {SPLITS}, got {self.split!r}"
            )
        if self.num_frames < 1:
            raise ValueError(
                f"{self.clip_id}: num_frames must be at least 1, got {self.num_frames}"
            )
        if self.label_id < UNLABELLED:
            raise ValueError(
                f"{self.clip_id}: label_id must be at least 0, got {self.label_id}"
            )
        if (self.split == "test") != (self.label_id == UNLABELLED):
            raise ValueError(
                f"{self.clip_id}: test clips, and only they, have label_id "
                f"{UNLABELLED}, got {self.label_id} in {self.split}"
            )


def write_label_files(
    folder: Path, label_map: LabelMap, rows: Iterable[LabelRow]
) -> None:
    """Writes the four label files into an existing folder that has none of them.

    Every file is on the disk on return; publishing the folder is the caller's.

    Args:
      folder: where to write; a file that is there already is never replaced.
      label_map: label texts by label_id.
      rows: the stored clips, in annotation order.

    Raises:
      ValueError: a row's label_id is not in the label map.
      FileExistsError: one of the files exists.
    """
    names = "\n".join(label_map.names).encode("utf-8")
    files.write_synced(folder / naming.CATEGORY_FILE, names)
    paths = {split: folder / name for split, name in naming.LIST_FILES.items()}
    written = [folder / naming.CATEGORY_FILE]
    try:
        with contextlib.ExitStack() as stack:
            lists = {}
            for split, path in paths.items():
                stack.enter_context(files.errors_name(path))
                file = path.open("x", encoding="utf-8", newline="")
                lists[split] = stack.enter_context(file)
                written.append(path)
            _write_lines(lists, rows, num_labels=len(label_map))
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise


def _write_lines(
    lists: Mapping[str, TextIO], rows: Iterable[LabelRow], num_labels: int
) -> None:
    separators = dict.fromkeys(lists, "")
    for row in rows:
        line = _list_line(row, num_labels)
        lists[row.split].write(f"{separators[row.split]}{line}")
        separators[row.split] = "\n"
    for file in lists.values():
        file.flush()
        os.fsync(file.fileno())


def _list_line(row: LabelRow, num_labels: int) -> str:
    if row.label_id == UNLABELLED:
        return f"{row.clip_id} {row.num_frames} {_TEST_LABEL_ID_IN_LISTS}"
    if not 0 <= row.label_id < num_labels:
        raise ValueError(
            f"{row.clip_id}: label_id must be in [0, {num_labels}), got {row.label_id}"
        )
    return f"{row.clip_id} {row.num_frames} {row.label_id}"
