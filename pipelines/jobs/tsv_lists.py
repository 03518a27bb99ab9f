"""Reads the lists for people that lie beside a version, or that a refused job left."""

import csv
from collections.abc import Iterator, Mapping, Sequence

from mindrecord_io.storage.object_store import StorageError
from mindrecord_io.versions.manifests import DatasetError
from pipelines.publishing.data_sets import DataSet

__all__ = ["exists", "rows"]

_NUM_BYTES = 1 << 20  # read at once, of a file or an object


def exists(data_set: DataSet, path: str) -> bool:
    """Returns whether a data set has a list at a path below it."""
    try:
        data_set.read_part(path, 0, 1)
    except (OSError, StorageError):
        return False
    return True


def rows(
    data_set: DataSet, path: str, columns: Sequence[str]
) -> Iterator[Mapping[str, str]]:
    """Yields the rows of a list by these columns; none where there is no list.

    Raises:
      DatasetError: it is not the list that was written.
      OSError, StorageError: it cannot be read.
    """
    if not exists(data_set, path):
        return
    place = f"{data_set.location}/{path}"
    reader = csv.reader(_lines(data_set, path), delimiter="\t")
    try:
        if next(reader, None) != list(columns):
            raise DatasetError(f"{place}: must begin with {', '.join(columns)}")
        for cells in reader:
            if len(cells) != len(columns):
                raise DatasetError(
                    f"{place} line {reader.line_num}: must have {len(columns)} values, "
                    f"has {len(cells)}"
                )
            yield dict(zip(columns, cells, strict=True))
    except (csv.Error, UnicodeDecodeError) as cause:
        raise DatasetError(f"{place}: cannot be read: {cause}") from cause


def _lines(data_set: DataSet, path: str) -> Iterator[str]:
    begin, rest = 0, b""
    while part := data_set.read_part(path, begin, _NUM_BYTES):
        begin += len(part)
        *lines, rest = (rest + part).split(b"\n")
        yield from (line.decode("utf-8") for line in lines)
    if rest:
        yield rest.decode("utf-8")
