"""The annotated clips of a data set: on the disk, in parts that are joined by clip id.

Whatever layout they are read from (see annotation_readers), they become this.
"""

import array
import hashlib
import itertools
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import pyarrow as pa

from mindrecord_io.records import SPLITS, UNLABELLED, Annotation, LabelMap
from mindrecord_io.shards import sharding
from mindrecord_io.storage import spilled_rows

__all__ = [
    "AnnotationError",
    "Annotations",
    "LayoutError",
    "fault_of_label",
    "first_repeat",
]

T = TypeVar("T")

_MAX_LABEL_NUM_CHARS = 1000

_ROWS = pa.schema(
    [
        ("position", pa.int64()),
        ("clip_id", pa.string()),
        ("split_index", pa.int8()),
        ("label_id", pa.int32()),
        ("path", pa.string()),
    ]
)


class AnnotationError(ValueError):
    """An annotation file cannot be used; the message says which, where and why."""


class LayoutError(AnnotationError):
    """A path is not quite of any layout; what is accepted follows the message."""


class Annotations:
    """Every annotated clip of a data set.

    Attributes:
      label_map: label texts by label_id.
      clips: in the order in which they were given; gone through as often as wanted.
      clip_ids: of each.
      paths: of each clip's file below the folder of clips; () where the files are
        found by the clips' ids.
      is_deep: whether the files that are found by ids may lie in any folder, and have
        the suffix of any video.
      label_ids: those that the clips of each split have.
      digest: BLAKE2b-256 in hex of the label texts and of every clip's split, id and
        label_id, in order; equal for equal annotations, however they are written.
    """

    def __init__(
        self,
        label_map: LabelMap,
        clips: Iterable[Annotation],
        paths: Iterable[str] | None = None,
        *,
        is_deep: bool = False,
    ) -> None:
        """Writes the clips to the disk and hashes them, in one pass.

        Args:
          clips: train, then validation, then test clips, each in file order; ids
            unique.
          paths: as many as clips; None where the files are found by ids.
        """
        self.label_map = label_map
        self.is_deep = is_deep
        self.label_ids: dict[str, set[int]] = {split: set() for split in SPLITS}
        self._rows = spilled_rows.SpilledRows(_ROWS, sharding.NUM_PARTITIONS)
        self.digest = self._fill(
            clips, itertools.repeat("") if paths is None else paths
        )
        if not len(self._rows):
            raise ValueError("annotations must name at least one clip")
        texts = {UNLABELLED: "", **dict(enumerate(label_map.names))}

        def clip(_: int, clip_id: str, split_index: int, label_id: int) -> Annotation:
            return Annotation(clip_id, SPLITS[split_index], label_id, texts[label_id])

        def view(columns: Sequence[str], value: Callable[..., T]) -> Sequence[T]:
            return spilled_rows.OrderedView(self._rows, ["position", *columns], value)

        self.clips = view(["clip_id", "split_index", "label_id"], clip)
        self.clip_ids = view(["clip_id"], lambda _, clip_id: str(clip_id))
        self.paths = () if paths is None else view(["path"], lambda _, path: str(path))

    def partition(self, index: int) -> pa.Table:
        """Returns a partition's clips, in order.

        Columns are those of records.Annotation; `position`, int64, in the order of all
        clips; and `split_index`, int8, in SPLITS.
        """
        rows = self._rows.table(index).drop_columns(["path"])
        split = pa.array(SPLITS).take(rows.column("split_index"))
        # -1 takes the last one.
        texts = np.array([*self.label_map.names, ""], object)
        label = pa.array(texts[rows.column("label_id").to_numpy()], pa.string())
        return rows.append_column("split", split).append_column("label", label)

    def paths_in(self, index: int) -> Iterator[tuple[str, str]]:
        """Yields id and path of a partition's clips."""
        yield from self._rows.rows(index, ["clip_id", "path"])

    def _fill(self, clips: Iterable[Annotation], paths: Iterable[str]) -> str:
        """Spills the clips; returns their digest."""
        # Names and ids hold no line breaks, so lines cannot run into one another.
        lines = [str(len(self.label_map)), *self.label_map.names]
        digest = hashlib.blake2b("\n".join(lines).encode("utf-8"), digest_size=32)
        split_indices = {split: index for index, split in enumerate(SPLITS)}
        for position, (clip, path) in enumerate(zip(clips, paths, strict=False)):
            line = f"\n{clip.split} {clip.clip_id} {clip.label_id}"
            digest.update(line.encode("utf-8"))
            self.label_ids[clip.split].add(clip.label_id)
            split_index = split_indices[clip.split]
            row = (position, clip.clip_id, split_index, clip.label_id, path)
            self._rows.append(row, sharding.partition_of(clip.clip_id))
        return digest.hexdigest()


def fault_of_label(text: str) -> str:
    """Returns why a text can be no line of category.txt, "" if it can.

    Every label is one, is shown on terminals, and stands in every row of the table.
    """
    if len(text) > _MAX_LABEL_NUM_CHARS:
        return f"must have at most {_MAX_LABEL_NUM_CHARS} characters, has {len(text)}"
    try:
        text.encode("utf-8")
        is_line = text.splitlines() == [text]
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can spell
        is_line = False
    if not is_line:
        return "must be one line of valid Unicode"
    control = next((c for c in text if unicodedata.category(c) == "Cc"), "")
    return f"must be without control characters, has {control!r}" if control else ""


def first_repeat(texts: Iterable[str]) -> tuple[int, int] | None:
    """Finds the first duplicate among millions of strings, in 8 bytes per string.

    Args:
      texts: gone through twice where there may be a duplicate; empty ones are none.

    Returns: the positions of the string that is repeated and of its first duplicate;
      None if all differ.
    """
    hashes = array.array("Q", (_hash(text) for text in texts))
    if not hashes:
        return None
    in_order = np.frombuffer(hashes, np.uint64)
    in_order.sort()
    repeated = set(in_order[1:][in_order[1:] == in_order[:-1]].tolist())
    if not repeated:
        return None
    first_positions: dict[str, int] = {}
    for position, text in enumerate(texts):
        if text and _hash(text) in repeated:
            first = first_positions.setdefault(text, position)
            if first != position:
                return first, position
    return None


def _hash(text: str) -> int:
    return sharding.clip_hash(text, sharding.DEFAULT_SALT)
