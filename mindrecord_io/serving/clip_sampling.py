"""Draws the clips of an epoch, and their order.

Every function here is a function of the clips' ids, seed and epoch, so neither shards
nor ranks nor threads change its result.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mindrecord_io.serving.clip_ids import ClipIds
from mindrecord_io.serving.clip_index import ClipIndex

__all__ = [
    "ClassBalanced",
    "EachOnce",
    "Sampling",
    "Weighted",
    "epoch_order",
    "random_numbers",
    "repetitions",
    "select",
]

Int64s = npt.NDArray[np.int64]

_MAX_NAMED = 5


class Sampling(Protocol):
    """Chooses the clips of an epoch; a frozen dataclass that a state hashes."""

    def draw(self, index: ClipIndex, seed: int, epoch: int) -> Int64s:
        """Returns the rows of an epoch in their order, as many as there are clips."""


@dataclass(frozen=True, slots=True)
class EachOnce:
    """Each clip once, in an order that is drawn anew for every epoch."""

    def draw(self, index: ClipIndex, seed: int, epoch: int) -> Int64s:
        """Returns the rows of an epoch in their order."""
        return epoch_order(index.clip_ids, seed, epoch)


@dataclass(frozen=True, slots=True)
class ClassBalanced:
    """As many clips as there are, drawn so that every label is equally likely.

    Clips are drawn with replacement: one of a rare label comes several times, each time
    with other frames and another crop, and some of a frequent label do not come.
    """

    def draw(self, index: ClipIndex, seed: int, epoch: int) -> Int64s:
        """Returns the rows of an epoch in their order."""
        _, labels, counts = np.unique(
            index.label_ids, return_inverse=True, return_counts=True
        )
        return _draw_weighted(index.clip_ids, 1.0 / counts[labels], seed, epoch)


@dataclass(frozen=True, slots=True)
class Weighted:
    """As many clips as there are, each draw by weight, with replacement.

    Attributes:
      weights: (clip_id, weight) of some clips, none negative.
      default_weight: of the clips not named.
    """

    weights: tuple[tuple[str, float], ...]
    default_weight: float = 1.0

    def __post_init__(self) -> None:
        for name, weight in (*self.weights, ("default_weight", self.default_weight)):
            if not 0.0 <= weight < float("inf"):
                raise ValueError(
                    f"weights must be finite and not negative, got {weight} for {name}"
                )
        _check_unique(clip_id for clip_id, _ in self.weights)

    @classmethod
    def of(
        cls, weights: Mapping[str, float], default_weight: float = 1.0
    ) -> "Weighted":
        """Returns the sampling with these weights by clip_id."""
        return cls(tuple(sorted(weights.items())), default_weight)

    def draw(self, index: ClipIndex, seed: int, epoch: int) -> Int64s:
        """Returns the rows of an epoch in their order."""
        names = [name for name, _ in self.weights]
        places = _places_in(names, index)
        by_place = [*(weight for _, weight in self.weights), self.default_weight]
        weights = np.array(by_place)[places]  # -1 is the last one
        if not weights.any():
            raise ValueError(f"{index.name}: all weights are zero: nothing to draw")
        return _draw_weighted(index.clip_ids, weights, seed, epoch)


def epoch_order(clip_ids: Sequence[str], seed: int, epoch: int) -> Int64s:
    """Returns the positions of clips in the order of a shuffled epoch.

    The clips are sorted by id, each gets a 64-bit number of a PCG64 seeded with (seed,
    epoch), and they are put in the order of these: the raw stream of a bit generator,
    unlike numpy's shuffles, is the same in every version of numpy.
    """
    numbers = random_numbers(len(clip_ids), seed, epoch, person=b"order")
    by_id = ClipIds.of(clip_ids).order()
    shuffled: Int64s = by_id[np.argsort(numbers, kind="stable")]
    return shuffled


def repetitions(rows: Int64s) -> Int64s:
    """Returns how often each row came before in the epoch: 0 1 0 2 for 5 5 3 5."""
    by_row = np.argsort(rows, kind="stable")
    in_order = rows[by_row]
    is_first = np.concatenate([[True], in_order[1:] != in_order[:-1]])
    positions = np.arange(len(rows))
    begins = np.maximum.accumulate(np.where(is_first, positions, 0))
    counts = np.empty(len(rows), np.int64)
    counts[by_row] = positions - begins
    return counts


def select(index: ClipIndex, clip_ids: Iterable[str]) -> ClipIndex:
    """Returns the index of just these clips, in the order of `index`.

    Raises:
      ValueError: an id is not in the split, or is given twice; the message names it.
    """
    wanted = list(clip_ids)
    _check_unique(wanted)
    places = _places_in(wanted, index)
    if not wanted:
        raise ValueError(f"{index.name}: the list of clip ids is empty")
    return index.take(np.flatnonzero(places >= 0))


def random_numbers(
    count: int, seed: int, epoch: int, *, person: bytes
) -> npt.NDArray[np.uint64]:
    """Returns 64-bit numbers of a PCG64 seeded with (seed, epoch) and a purpose."""
    digest = hashlib.blake2b(
        f"{seed}/{epoch}".encode(), digest_size=16, person=person
    ).digest()
    bits = np.random.PCG64(int.from_bytes(digest, "big"))
    numbers: npt.NDArray[np.uint64] = bits.random_raw(count)
    return numbers


def _draw_weighted(
    clip_ids: Sequence[str], weights: npt.NDArray[np.float64], seed: int, epoch: int
) -> Int64s:
    """Draws as many clips as there are, by the inverse of the cumulative weights."""
    by_id = ClipIds.of(clip_ids).order()
    bounds = np.cumsum(weights[by_id])
    numbers = random_numbers(len(clip_ids), seed, epoch, person=b"weighted")
    uniform = (numbers >> np.uint64(11)).astype(np.float64) * 2.0**-53
    places = np.searchsorted(bounds, uniform * bounds[-1], side="right")
    drawn: Int64s = by_id[places]
    return drawn


def _places_in(names: Sequence[str], index: ClipIndex) -> Int64s:
    """Returns where in `names` each clip is, -1 for others; all must be stored."""
    places = index.clip_ids.places_in(names)
    stored = set(places[places >= 0].tolist())
    absent = [name for place, name in enumerate(names) if place not in stored]
    if absent:
        raise ValueError(
            f"{index.name} has no clips {_describe(absent)} (of {len(index)} stored); "
            f"clips that were quarantined or are of another split are not in it"
        )
    return places


def _check_unique(clip_ids: Iterable[str]) -> None:
    twice = [name for name, count in Counter(clip_ids).items() if count > 1]
    if twice:
        raise ValueError(
            f"clip ids must be given once, found twice: {_describe(twice)}"
        )


def _describe(clip_ids: Sequence[str]) -> str:
    text = ", ".join(clip_ids[:_MAX_NAMED])
    rest = len(clip_ids) - _MAX_NAMED
    return f"{text} and {rest} more" if rest > 0 else text
