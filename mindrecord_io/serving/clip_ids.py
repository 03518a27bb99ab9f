"""Holds the ids of many clips in a few bytes each."""

from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

__all__ = ["ClipIds"]

_MAX_NUM_BYTES = (1 << 31) - 1  # of all strings in an array of pa.string()
_ROWS_PER_BLOCK = 65_536


class ClipIds(Sequence[str]):
    """Ids in an Arrow array: 4 bytes each beside their own, where a str takes 60."""

    def __init__(self, array: pa.Array) -> None:
        """Wraps an array of strings without nulls."""
        self._array = array

    @classmethod
    def of(cls, ids: "Iterable[str] | pa.Array | pa.ChunkedArray") -> "ClipIds":
        """Returns the ids in their order; ClipIds are returned unchanged."""
        if isinstance(ids, ClipIds):
            return ids
        if not isinstance(ids, pa.Array | pa.ChunkedArray):
            ids = pa.chunked_array([list(ids)], pa.string())
        if ids.nbytes > _MAX_NUM_BYTES:
            ids = compute.cast(ids, pa.large_string())
        if isinstance(ids, pa.ChunkedArray):
            ids = pa.concat_arrays(ids.chunks or [pa.array([], ids.type)])
        return cls(ids)

    def __len__(self) -> int:
        return len(self._array)

    def __iter__(self) -> Iterator[str]:
        for begin in range(0, len(self), _ROWS_PER_BLOCK):
            yield from self._array.slice(begin, _ROWS_PER_BLOCK).to_pylist()

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> "ClipIds": ...

    def __getitem__(self, index: int | slice) -> "str | ClipIds":
        if isinstance(index, slice):
            return ClipIds(self._array[index])
        clip_id: str = self._array[index].as_py()
        return clip_id

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(self) != len(other):
            return False
        return all(own == their for own, their in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as a list: it equals tuples too

    def __repr__(self) -> str:
        return f"ClipIds of {len(self)} clips"

    def take(self, rows: npt.NDArray[np.int64]) -> "ClipIds":
        """Returns the ids of some rows, in the order of these."""
        return ClipIds(self._array.take(pa.array(rows)))

    def order(self) -> npt.NDArray[np.int64]:
        """Returns the rows sorted by their ids, as `sorted` compares str."""
        # UTF-8 sorts as its code points do; equal ids keep their order.
        indices = compute.sort_indices(self._array)
        rows: npt.NDArray[np.int64] = indices.to_numpy().astype(np.int64)
        return rows

    def places_in(self, ids: Sequence[str]) -> npt.NDArray[np.int64]:
        """Returns where in `ids` the id of each row is first, -1 where it is not."""
        values = pa.array(list(ids), self._array.type)
        indices = compute.index_in(self._array, value_set=values).fill_null(-1)
        places: npt.NDArray[np.int64] = indices.to_numpy().astype(np.int64)
        return places
