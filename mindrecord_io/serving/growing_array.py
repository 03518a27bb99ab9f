"""A flat array whose length shows only at its end."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["GrowingArray"]


class GrowingArray:
    """Integers that come in pieces and are never in memory twice."""

    def __init__(self, *dtypes: npt.DTypeLike) -> None:
        """Takes the types to hold them in, narrowest first: the first in which all fit.

        Nothing is checked of the last one.
        """
        self._values = np.empty(0, dtypes[0])
        self._wider = [np.dtype(dtype) for dtype in dtypes[1:]]
        self._size = 0

    def extend(self, values: npt.NDArray[Any]) -> None:
        """Appends some integers."""
        while self._wider and not self._fit(values):
            self._values = self._values.astype(self._wider.pop(0))
        needed = self._size + len(values)
        if needed > len(self._values):
            # In place: the kernel moves pages. New ones are filled: not too many.
            self._values.resize(
                max(needed, len(self._values) * 33 // 32), refcheck=False
            )
        self._values[self._size : needed] = values
        self._size = needed

    def finish(self) -> npt.NDArray[Any]:
        """Returns them all; nothing may be appended any more."""
        self._values.resize(self._size, refcheck=False)
        return self._values

    def _fit(self, values: npt.NDArray[Any]) -> bool:
        if not len(values):
            return True
        limits = np.iinfo(self._values.dtype)
        return bool(limits.min <= values.min() and values.max() <= limits.max)
