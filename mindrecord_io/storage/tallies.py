"""A counter that also keeps the first few values."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

__all__ = ["Tally"]

T = TypeVar("T")


class Tally(Generic[T]):
    """Counts values and keeps the first few: those of the least `order`."""

    def __init__(self, max_first: int = 5) -> None:
        self._num = 0
        self._max_first = max_first
        self._least: list[tuple[Any, T]] = []

    def __len__(self) -> int:
        return self._num

    @property
    def first(self) -> tuple[T, ...]:
        """At most `max_first` of them, in order."""
        return tuple(value for _, value in self._least)

    def __str__(self) -> str:
        more = self._num - len(self._least)
        return f"{list(self.first)}" + (f" and {more} more" if more > 0 else "")

    def add(self, order: Any, value: T) -> None:
        """Counts a value; values may come in any order."""
        self._num += 1
        if len(self._least) < self._max_first or order < self._least[-1][0]:
            self._least = sorted([*self._least, (order, value)], key=lambda v: v[0])
            del self._least[self._max_first :]

    def map(self, change: Callable[[T], Any]) -> "Tally[Any]":
        """Returns a tally with every value changed."""
        changed: Tally[Any] = Tally(self._max_first)
        changed._num = self._num
        changed._least = [(order, change(value)) for order, value in self._least]
        return changed

    def followed_by(self, other: "Tally[T]") -> "Tally[T]":
        """Returns a tally of both, this one's first."""
        both: Tally[T] = Tally(self._max_first)
        both._num = self._num + other._num
        values = [*self.first, *other.first][: self._max_first]
        both._least = list(enumerate(values))
        return both
