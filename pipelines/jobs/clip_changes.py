"""Reads which clips a version changed: from its list, or by comparing two tables."""

from collections.abc import Iterator

from mindrecord_io.versions import manifests, version_differences
from mindrecord_io.versions.version_differences import CHANGE_COLUMNS, Change
from pipelines.building.version_draft import CHANGES
from pipelines.jobs import tsv_lists
from pipelines.publishing.data_sets import DataSet

__all__ = ["of_version"]


def of_version(data_set: DataSet, name: str) -> Iterator[Change]:
    """Yields the changes of every clip from a version's parent to it.

    Raises:
      ManifestError: there is no such version, or no list and no parent to compare with.
      TableError, StorageError: a table cannot be read.
    """
    manifest = data_set.read_manifest(name)
    path = f"versions/{name}/{CHANGES}"
    if not tsv_lists.exists(data_set, path):
        yield from _compared(data_set, manifest)
        return
    for row in tsv_lists.rows(data_set, path, CHANGE_COLUMNS):
        yield row["clip_id"], row["change"], row["before"], row["after"]


def _compared(data_set: DataSet, manifest: manifests.Manifest) -> Iterator[Change]:
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
