"""Divides clips into splits where their annotations do not: `--split_by`.

A share, such as 0.1, is drawn for validation clip by clip, by a hash of seed and id: a
clip stays in its split whatever is added or removed. A list is a text file, one clip a
line: `path`, which is then a validation clip (all others train), or `path,split`, and
then clips that are not listed are left out. Instead of its path, a clip's id will do.
"""

import array
import csv
import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mindrecord_io.records import SPLITS
from pipelines.sources import text_lines
from pipelines.sources.annotations import AnnotationError
from pipelines.sources.listed_clips import split_named

__all__ = ["SplitOf", "splitter"]

SplitOf = Callable[[str, str], str]
"""Returns the split of a clip by its path and id; "" if it is to be left out."""

_SHARE = re.compile(r"[0-9]*\.?[0-9]+(?:[eE]-?[0-9]+)?")
_LEFT_OUT = len(SPLITS)


def splitter(split_by: str, seed: int) -> SplitOf:
    """Returns what divides clips as the value of `--split_by` says.

    Raises:
      AnnotationError: it is no share between 0 and 1, or the list cannot be used.
    """
    if _SHARE.fullmatch(split_by):
        share = float(split_by)
        if not 0 < share < 1:
            raise AnnotationError(
                f"--split_by: a share must be between 0 and 1, got {split_by}"
            )
        return lambda _, clip_id: _drawn(clip_id, share, seed)
    return _ListedSplits(Path(split_by)).split_of


class _ListedSplits:
    """The splits that a list names, in nine bytes per line."""

    def __init__(self, path: Path) -> None:
        names, indices = array.array("Q"), array.array("b")
        rest = SPLITS.index("train")
        for line, place in text_lines.lines(path):
            name, split = _parsed(line, place)
            rest = _LEFT_OUT if split else rest
            names.append(_hash(name))
            indices.append(SPLITS.index(split or "validation"))
        if not names:
            raise AnnotationError(f"{path}: --split_by: lists no clips")
        order = np.argsort(np.frombuffer(names, np.uint64), kind="stable")
        self._names = np.frombuffer(names, np.uint64)[order]
        self._indices = np.frombuffer(indices, np.int8)[order]
        self._rest = rest

    def split_of(self, path: str, clip_id: str) -> str:
        """Returns the split of a clip, "" if it is to be left out."""
        for name in (path, clip_id):
            number = np.uint64(_hash(name))
            place = int(np.searchsorted(self._names, number))
            if name and place < len(self._names) and self._names[place] == number:
                return SPLITS[self._indices[place]]
        return "" if self._rest == _LEFT_OUT else SPLITS[self._rest]


def _parsed(line: str, place: str) -> tuple[str, str]:
    """Returns the path and split of a line; split "" where the line has a path only."""
    for separator in ",;\t":
        name, *rest = next(csv.reader([line], delimiter=separator))
        if rest:
            split = split_named(rest[-1])
            if len(rest) > 1 or not split:
                raise AnnotationError(
                    f"{place}: must be a path, or a path and train, validation or "
                    f"test, got {line!r:.80}"
                )
            return text_lines.normal(name), split
    return text_lines.normal(line), ""


def _drawn(clip_id: str, share: float, seed: int) -> str:
    return "validation" if _hash(f"{seed} {clip_id}") < share * 2**64 else "train"


def _hash(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "big")
