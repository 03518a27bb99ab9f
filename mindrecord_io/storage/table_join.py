"""Joins tables by a column of ids, without a Python object for every row."""

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

__all__ = ["Column", "Row", "aligned", "chosen_rows", "is_among", "mask"]

Column: TypeAlias = pa.Array | pa.ChunkedArray
Row: TypeAlias = dict[str, Any]
"""Values by the names of columns."""


def aligned(table: pa.Table, ids: Column, key: str = "clip_id") -> pa.Table:
    """Returns a table's rows in the order of ids; rows of nulls where it has none.

    Args:
      ids: of the type of the column `key`; of an id that the table has several times
        the first row is taken.
    """
    return table.take(compute.index_in(ids, value_set=table.column(key)))


def is_among(ids: Column, others: Column) -> npt.NDArray[np.bool_]:
    """Returns for every id whether it is one of others, bool (ids,)."""
    return mask(compute.is_in(ids, value_set=others))


def mask(values: Column) -> npt.NDArray[np.bool_]:
    """Returns a column of truth values as NumPy's, bool (rows,): null is False."""
    chosen: npt.NDArray[np.bool_] = compute.fill_null(values, False).to_numpy(
        zero_copy_only=False
    )
    return chosen


def chosen_rows(
    chosen: npt.NDArray[np.bool_], *tables: pa.Table
) -> Iterator[tuple[Row, ...]]:
    """Yields the chosen rows of each of some tables.

    Args:
      chosen: bool (rows,).
      tables: all with as many rows.
    """
    if chosen.any():
        kept = (table.filter(pa.array(chosen)).to_pylist() for table in tables)
        yield from zip(*kept, strict=True)
