"""Finds published shards that must not be reused, before anything is made of them."""

import logging
from collections.abc import Iterable
from concurrent import futures

from mindrecord_io.shards import shard_folders
from mindrecord_io.versions import shard_checks
from mindrecord_io.versions.clips_table import TableError
from mindrecord_io.versions.manifests import DatasetError, ShardEntry, Version
from pipelines.publishing import data_sets
from pipelines.publishing.data_sets import DataSet

__all__ = ["UnhashedSummaries", "places"]

logger = logging.getLogger(__name__)


def places(
    data_set: DataSet, version: Version, num_workers: int | None
) -> frozenset[str]:
    """Returns the places ("<split>/<key>") of a version's shards that are damaged.

    Every file is hashed, as by verify; the rows are not read.
    """

    def check(entry: ShardEntry) -> str:
        with data_sets.fetched(data_set, [entry.place]):
            try:
                clips = shard_checks.shard_clips(version, entry)
            except TableError:
                clips = None
            damaged = shard_checks.check_shard(version, entry, clips)
        for damage in damaged:
            logger.warning("damaged: %s: %s", damage.path, damage.reason)
        return entry.place if damaged else ""

    with futures.ThreadPoolExecutor(num_workers) as executor:
        damaged = set(executor.map(check, version.manifest.shards)) - {""}
    logger.info(
        "%d of %d shards are damaged and made again",
        len(damaged),
        len(version.manifest.shards),
    )
    return frozenset(damaged)


class UnhashedSummaries:
    """The summaries of a version whose manifest, of format 1, has no hash of them.

    They are compared with its table instead, which is hashed.
    """

    def __init__(self, data_set: DataSet, version: Version | None) -> None:
        """Reads nothing yet."""
        shards = version.manifest.shards if version else ()
        self._data_set, self._version = data_set, version
        self._unchecked = {s.place: s for s in shards if s.summary is None}

    def check(self, wanted: Iterable[str]) -> None:
        """Compares the summaries of shards, those that are not yet.

        Raises:
          DatasetError: one is not what the version says.
          ShardError, TableError: one, or the table, cannot be read.
        """
        for place in wanted:
            entry = self._unchecked.pop(place, None)
            if entry is None or self._version is None:
                continue
            file = self._data_set.read_summary(entry.split, entry.key)
            if file is None:
                continue
            clips = shard_checks.shard_clips(self._version, entry)
            if wrong := shard_checks.summary_differences(file, entry, clips):
                raise DatasetError(
                    f"{self._data_set.location}/shards/{place}/summary.json: "
                    f"{wrong[0]}; {shard_folders.REMEDY}"
                )
