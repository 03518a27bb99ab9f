"""Counting what there may be millions of, and naming the first few."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

__all__ = ["Tally"]

T = TypeVar("T")

_MAX_FIRST = 5


class Tally(Generic[T]):
    """How many there are of something, and the first few of them.

    They may come in any order: the first are those of the least `order`.
    """

    def __init__(self) -> None:
        self._num = 0
        self._least: list[tuple[int, T]] = []

    def __len__(self) -> int:
        return self._num

    @property
    def first(self) -> tuple[T, ...]:
        """At most five of them, in order."""
        return tuple(value for _, value in self._least)

    def add(self, order: int, value: T) -> None:
        """Counts one."""
        self._num += 1
        if len(self._least) < _MAX_FIRST or order < self._least[-1][0]:
            self._least = sorted([*self._least, (order, value)], key=lambda v: v[0])
            del self._least[_MAX_FIRST:]

    def map(self, change: Callable[[T], Any]) -> "Tally[Any]":
        """Returns a tally of what becomes of each."""
        changed: Tally[Any] = Tally()
        changed._num = self._num
        changed._least = [(order, change(value)) for order, value in self._least]
        return changed

    def followed_by(self, other: "Tally[T]") -> "Tally[T]":
        """Returns a tally of both, this one's first."""
        both: Tally[T] = Tally()
        both._num = self._num + other._num
        values = [*self.first, *other.first][:_MAX_FIRST]
        both._least = list(enumerate(values))
        return both
