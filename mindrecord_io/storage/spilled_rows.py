"""Keeps rows on the disk, so that memory does not grow with their number.

They lie in a file without a name, which goes with the process however that ends, in the
folder of temporary files (TMPDIR). Partitions are read one at a time, in any order.
"""

import heapq
import os
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = [
    "OrderedView",
    "SpilledRows",
    "SpilledView",
    "batch_of",
    "decoded",
    "encoded",
]

_MAX_BUFFERED = 65_536  # rows, of all partitions together
# Of a few hundred rows, zstd takes a microsecond a row more in each direction, threads
# more than the rows themselves.
_WRITE_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
_READ_OPTIONS = pa.ipc.IpcReadOptions(use_threads=False)
T = TypeVar("T")


class SpilledRows:
    """Rows of one schema, in partitions; each keeps the order in which it got them."""

    def __init__(self, schema: pa.Schema, num_partitions: int = 1) -> None:
        if num_partitions < 1:
            raise ValueError(f"num_partitions must be at least 1: {num_partitions}")
        self._schema = schema
        self._file = tempfile.TemporaryFile(prefix="clipmill-")  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        self._num_bytes = 0
        self._extents: list[list[tuple[int, int]]] = [[] for _ in range(num_partitions)]
        self._buffers: list[list[Sequence[Any]]] = [[] for _ in range(num_partitions)]
        self._batches: list[tuple[pa.RecordBatch, npt.NDArray[np.int64]]] = []
        self._num_buffered = 0
        self._num_rows = 0

    def __len__(self) -> int:
        return self._num_rows

    @property
    def num_partitions(self) -> int:
        """How many partitions there are, empty ones among them."""
        return len(self._extents)

    def append(self, row: Sequence[Any], partition: int = 0) -> None:
        """Adds a row, its values in the schema's order."""
        self._buffers[partition].append(row)
        self._count(1)

    def extend(self, batch: pa.RecordBatch, partitions: npt.ArrayLike) -> None:
        """Adds rows of the schema, each to its own partition."""
        if batch.num_rows:
            self._batches.append((batch, np.asarray(partitions, np.int64)))
            self._count(batch.num_rows)

    def _count(self, num_rows: int) -> None:
        self._num_rows += num_rows
        self._num_buffered += num_rows
        if self._num_buffered >= _MAX_BUFFERED:
            self._write_buffers()

    def rows(
        self, partition: int = 0, columns: Sequence[str] | None = None
    ) -> Iterator[tuple[Any, ...]]:
        """Yields the rows of a partition, or only some columns of them."""
        for batch in self.batches(partition):
            chosen = batch if columns is None else batch.select(list(columns))
            yield from zip(*(c.to_pylist() for c in chosen.columns), strict=True)

    def table(self, partition: int = 0) -> pa.Table:
        """Returns the rows of a partition."""
        return pa.Table.from_batches(self.batches(partition), self._schema)

    def batches(self, partition: int = 0) -> Iterator[pa.RecordBatch]:
        """Yields the rows of a partition, some thousands at a time."""
        self._write_buffers()
        for offset, num_bytes in self._extents[partition]:
            content = os.pread(self._file.fileno(), num_bytes, offset)
            yield decoded(content, self._schema)

    def _write_buffers(self) -> None:
        for partition, rows in enumerate(self._buffers):
            if rows:
                self._write(batch_of(rows, self._schema), partition)
                rows.clear()
        for partition, batch in self._by_partition():
            self._write(batch, partition)
        self._batches.clear()
        self._num_buffered = 0

    def _by_partition(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        if not self._batches:
            return
        batches, places = zip(*self._batches, strict=True)
        place = np.concatenate(places)
        order = np.argsort(place, kind="stable")
        rows = pa.Table.from_batches(batches).combine_chunks().take(order)
        partitions, begins = np.unique(place[order], return_index=True)
        ends = [*begins[1:].tolist(), len(order)]
        for partition, begin, end in zip(
            partitions.tolist(), begins, ends, strict=True
        ):
            (batch,) = rows.slice(begin, end - begin).combine_chunks().to_batches()
            yield partition, batch

    def _write(self, batch: pa.RecordBatch, partition: int) -> None:
        content = encoded(batch)
        try:
            self._file.seek(self._num_bytes)
            self._file.write(content)
            self._file.flush()
        except OSError as cause:
            text = f"{cause.strerror} (temporary files; TMPDIR says where they go)"
            raise OSError(cause.errno, text, tempfile.gettempdir()) from cause
        self._extents[partition].append((self._num_bytes, len(content)))
        self._num_bytes += len(content)


class SpilledView(Sequence[T]):
    """Spilled rows as a sequence of values: cheap to go through, slow to index."""

    def __init__(
        self, spilled: SpilledRows, columns: Sequence[str], value_of: Callable[..., T]
    ) -> None:
        """Keeps the rows; `value_of` makes a value of some of their columns."""
        self._spilled = spilled
        self._columns = columns
        self._value_of = value_of

    def __len__(self) -> int:
        return len(self._spilled)

    def __iter__(self) -> Iterator[T]:
        for partition in range(self._spilled.num_partitions):
            for row in self._spilled.rows(partition, self._columns):
                yield self._value_of(*row)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[T, ...]: ...

    def __getitem__(self, index: int | slice) -> T | tuple[T, ...]:
        if isinstance(index, slice):
            return tuple(self)[index]
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"no row {index} of {len(self)}")
        return next(islice(self, position, None))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(self) != len(other):
            return False
        return all(own == their for own, their in zip(self, other, strict=True))

    def __hash__(self) -> int:
        raise TypeError("rows on the disk cannot be hashed")


class OrderedView(SpilledView[T]):
    """Spilled rows in the order of the first column viewed, over all partitions.

    Every partition must have its rows in that order; no two may be alike in it.
    """

    def __iter__(self) -> Iterator[T]:
        partitions = range(self._spilled.num_partitions)
        runs = [self._spilled.rows(index, self._columns) for index in partitions]
        for row in heapq.merge(*runs):
            yield self._value_of(*row)


def batch_of(rows: Sequence[Sequence[Any]], schema: pa.Schema) -> pa.RecordBatch:
    """Returns rows, at least one, in columns."""
    columns = [
        pa.array(values, field.type)
        for values, field in zip(zip(*rows, strict=True), schema, strict=True)
    ]
    return pa.record_batch(columns, schema=schema)


def encoded(batch: pa.RecordBatch) -> bytes:
    """Returns rows as bytes, compressed."""
    sink = pa.BufferOutputStream()
    # serialize() cannot compress.
    with pa.ipc.new_stream(sink, batch.schema, options=_WRITE_OPTIONS) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())


def decoded(content: bytes, schema: pa.Schema) -> pa.RecordBatch:
    """Returns the rows in bytes that `encoded` returned.

    Raises:
      ValueError: these are not such bytes.
    """
    try:
        with pa.ipc.open_stream(content, options=_READ_OPTIONS) as reader:
            if reader.schema != schema:
                raise ValueError(f"rows of {reader.schema.names}, not {schema.names}")
            batch: pa.RecordBatch = reader.read_next_batch()
    except (pa.ArrowException, StopIteration) as cause:
        raise ValueError(f"not rows of {schema.names}: {cause}") from cause
    return batch
