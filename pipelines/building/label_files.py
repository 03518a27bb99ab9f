r"""Writes the label files that the TSM ecosystem's tools read, byte for byte.

    category.txt               one label text per line, by label_id
    train_videofolder.txt      "<clip_id> <num_frames> <label_id>", one clip per line
    val_videofolder.txt        the same
    test_videofolder.txt       the same, label 0 where a label is not public

Lines end in "\n" but for the last, which has no end; a split without clips is an empty
file. The bytes are those of `gen_label_sthv2.py` of mit-han-lab/temporal-shift-module.
"""

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TextIO

from mindrecord_io import naming
from mindrecord_io.records import UNLABELLED, Annotation, LabelMap
from mindrecord_io.storage import files

__all__ = ["write_label_files"]

_TEST_LABEL_ID_IN_LISTS = 0


def write_label_files(
    folder: Path, label_map: LabelMap, clips: Iterable[tuple[Annotation, int]]
) -> None:
    """Writes the four label files into an existing folder that has none of them.

    Every file is on the disk on return; the caller publishes the folder.

    Args:
      folder: where to write; a file that is there already is never replaced.
      label_map: label texts by label_id.
      clips: the stored clips and their numbers of frames, in annotation order.

    Raises:
      ValueError: a label_id is not in the label map, a clip outside of the test split
        has none, or a clip has no frames.
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
            _write_lines(lists, clips, num_labels=len(label_map))
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise


def _write_lines(
    lists: Mapping[str, TextIO],
    clips: Iterable[tuple[Annotation, int]],
    num_labels: int,
) -> None:
    separators = dict.fromkeys(lists, "")
    for clip, num_frames in clips:
        line = _list_line(clip, num_frames, num_labels)
        lists[clip.split].write(f"{separators[clip.split]}{line}")
        separators[clip.split] = "\n"
    for file in lists.values():
        file.flush()
        os.fsync(file.fileno())


def _list_line(clip: Annotation, num_frames: int, num_labels: int) -> str:
    clip_id, label_id = clip.clip_id, clip.label_id
    if num_frames < 1:
        raise ValueError(f"{clip_id}: num_frames must be at least 1, got {num_frames}")
    if clip.split != "test" and label_id == UNLABELLED:
        raise ValueError(
            f"{clip_id}: only test clips may have label_id {UNLABELLED}, got it in "
            f"{clip.split}"
        )
    if label_id == UNLABELLED:
        return f"{clip_id} {num_frames} {_TEST_LABEL_ID_IN_LISTS}"
    if label_id >= num_labels:
        raise ValueError(
            f"{clip_id}: label_id must be in [0, {num_labels}), got {label_id}"
        )
    return f"{clip_id} {num_frames} {label_id}"
