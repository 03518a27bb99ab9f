"""Finds a text that is given twice among millions, at eight bytes a text."""

import array
from collections.abc import Iterable

import numpy as np

from mindrecord_io.shards import sharding

__all__ = ["first_repeat"]


def first_repeat(texts: Iterable[str]) -> tuple[int, int] | None:
    """Returns the positions of the first text that has been there and of its like.

    Args:
      texts: gone through twice where there may be a repeat; empty ones are no repeats.

    Returns: the position where the text was first, and where it is again; None if all
      differ. The pair is that of the least second position.
    """
    hashes = array.array("Q", (_hash(text) for text in texts))
    if not hashes:
        return None
    found = np.frombuffer(hashes, np.uint64)
    found.sort()
    repeated = set(found[1:][found[1:] == found[:-1]].tolist())
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
