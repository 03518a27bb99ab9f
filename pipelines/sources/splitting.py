"""Divides clips into splits where their annotations do not: `--split_by`.

A share, such as 0.1, is drawn for validation clip by clip, by a hash of seed and id: a
clip stays in its split whatever is added or removed. A list is a text file, one clip a
line: `path`, which is then a validation clip (all others train), or `path,split`, and
then clips that are not listed are left out. Instead of its path, a clip's id will do.
"""

import array
import csv
import hashlib
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from mindrecord_io.records import SPLITS
from pipelines.sources import text_lines
from pipelines.sources.annotations import AnnotationError
from pipelines.sources.listed_clips import split_named

__all__ = ["Splitter", "splitter"]

logger = logging.getLogger(__name__)


class Splitter(Protocol):
    """What divides clips."""

    def split_of(self, path: str, clip_id: str) -> str:
        """Returns the split of a clip, "" if it is to be left out."""

    def check_used(self) -> None:
        """Warns of what names no clip, once all clips have their splits.

        Raises:
          AnnotationError: nothing of a list names a clip.
        """


_SHARE = re.compile(r"[0-9]*\.?[0-9]+(?:[eE]-?[0-9]+)?")
_LEFT_OUT = len(SPLITS)
_HEADINGS = ("split", "subset")


def splitter(split_by: str, seed: int) -> Splitter:
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
        return _DrawnSplits(share, seed)
    return _ListedSplits(Path(split_by))


@dataclass(frozen=True, slots=True)
class _DrawnSplits:
    """A share for validation, drawn by a hash."""

    share: float
    seed: int

    def split_of(self, path: str, clip_id: str) -> str:
        del path
        drawn = _hash(f"{self.seed} {clip_id}") < self.share * 2**64
        return "validation" if drawn else "train"

    def check_used(self) -> None:
        pass


class _ListedSplits:
    """The splits that a list names, in ten bytes per line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        names, indices = array.array("Q"), array.array("b")
        rest = SPLITS.index("train")
        for number, (line, place) in enumerate(text_lines.lines(path)):
            name, split = _parsed(line, place, is_first=not number)
            if not name:
                continue
            rest = _LEFT_OUT if split else rest
            names.append(_hash(name))
            indices.append(SPLITS.index(split or "validation"))
        if not names:
            raise AnnotationError(f"{path}: --split_by: lists no clips")
        order = np.argsort(np.frombuffer(names, np.uint64), kind="stable")
        self._names = np.frombuffer(names, np.uint64)[order]
        self._indices = np.frombuffer(indices, np.int8)[order]
        self._rest = rest
        self._is_used = np.zeros(len(names), bool)

    def split_of(self, path: str, clip_id: str) -> str:
        for name in (path, clip_id):
            number = np.uint64(_hash(name))
            place = int(np.searchsorted(self._names, number))
            if name and place < len(self._names) and self._names[place] == number:
                self._is_used[place] = True
                return SPLITS[self._indices[place]]
        return "" if self._rest == _LEFT_OUT else SPLITS[self._rest]

    def check_used(self) -> None:
        num_unused = len(self._is_used) - int(self._is_used.sum())
        if num_unused == len(self._is_used):
            raise AnnotationError(
                f"{self._path}: --split_by: none of its {num_unused} lines names one "
                f"of the clips by its path or id"
            )
        if num_unused:
            logger.warning(
                "%s: --split_by: %d of its %d lines name no clip",
                self._path,
                num_unused,
                len(self._is_used),
            )


def _parsed(line: str, place: str, *, is_first: bool) -> tuple[str, str]:
    """Returns the path and split of a line, as text.

    The split is "" where the line has a path only, both are where it is a header.
    """
    for separator in ",;\t ":
        name, *rest = next(csv.reader([line], delimiter=separator))
        if separator == " ":  # which paths may have too
            *head, last = line.rsplit(None, 1)
            rest = [last] if head and split_named(last) else []
            name = head[0] if head else line
        if rest and is_first and rest[-1].strip().lower() in _HEADINGS:
            return "", ""
        if rest:
            split = split_named(rest[-1])
            if len(rest) > 1 or not split:
                raise AnnotationError(
                    f"{place}: must be a path, or a path and train, validation or "
                    f"test, got {line!r:.80}"
                )
            return text_lines.normal(name), split
    return text_lines.normal(line), ""


def _hash(text: str) -> int:
    normal = text_lines.normal(text).encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(normal, digest_size=8)
    return int.from_bytes(digest.digest(), "big")
