"""Reads which clips a version changed: from its list, or by comparing two tables."""

import csv
from collections.abc import Iterator

from mindrecord_io.storage.object_store import StorageError
from mindrecord_io.versions import manifests
from pipelines.building.version_draft import CHANGES
from pipelines.publishing.data_sets import DataSet
from pipelines.report import version_differences

__all__ = ["of_version"]

_NUM_BYTES = 1 << 20

Row = tuple[str, str, str, str]
"""Clip id, change, before and after."""


def of_version(data_set: DataSet, name: str) -> Iterator[Row]:
    """Yields the changes of every clip from a version's parent to it.

    Raises:
      ManifestError: there is no such version, or no list and no parent to compare with.
      TableError, StorageError: a table cannot be read.
    """
    manifest = data_set.read_manifest(name)
    try:
        data_set.read_part(_list(name), 0, 1)
    except (OSError, StorageError):
        yield from _compared(data_set, manifest)
        return
    lines = csv.reader(_lines(data_set, name), delimiter="\t")
    next(lines)
    yield from (_row(*cells) for cells in lines)


def _compared(data_set: DataSet, manifest: manifests.Manifest) -> Iterator[Row]:
    if not manifest.parent:
        raise manifests.ManifestError(
            f"{data_set.location}: version {manifest.version} is the first: it changed "
            f"nothing"
        )
    before, after = (
        version_differences.spilled(
            data_set.open_version(name).clip_batches(version_differences.COLUMNS)
        )
        for name in (manifest.parent, manifest.version)
    )
    yield from version_differences.changed_clips(before, after)


def _row(clip_id: str, change: str, before: str, after: str) -> Row:
    return clip_id, change, before, after


def _lines(data_set: DataSet, name: str) -> Iterator[str]:
    """Yields the lines of a version's list of changes."""
    begin, rest = 0, b""
    while part := data_set.read_part(_list(name), begin, _NUM_BYTES):
        begin += len(part)
        *lines, rest = (rest + part).split(b"\n")
        yield from (line.decode("utf-8") for line in lines)
    if rest:
        yield rest.decode("utf-8")


def _list(name: str) -> str:
    return f"versions/{name}/{CHANGES}"
