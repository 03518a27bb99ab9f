"""What versions list: shards that must never be replaced by others.

A shard's key does not tell which decoder made it. Where a listed shard is gone and is
made again, it gets its key back if it has the same bytes. Another decoder's gets a key
of its own, under which later builds find it, and no version lists other bytes than it
was published with.
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from mindrecord_io.records import DecoderIdentity, Fingerprint
from mindrecord_io.versions.manifests import ManifestError
from pipelines.publishing.data_sets import DataSet

__all__ = ["ListedShards", "listed_by"]

logger = logging.getLogger(__name__)

Place = tuple[str, str]
"""Split and key."""

_lock = threading.Lock()
_cached: dict[tuple[str, str], "ListedShards"] = {}


@dataclass(frozen=True, slots=True)
class ListedShards:
    """The shards of all versions of a data set.

    Attributes:
      files: what each is listed with; None for a shard of no rows.
      summaries: what each one's summary.json is listed with; only of manifests that
        have it.
      made_again: keys of shards that another decoder made, by the key of their plan.
      decoders: that made frames of any version, as far as this was recorded.
    """

    files: Mapping[Place, Fingerprint | None]
    summaries: Mapping[Place, Fingerprint]
    made_again: Mapping[Place, str]
    decoders: frozenset[DecoderIdentity]

    def keys(self, split: str, key: str) -> tuple[str, ...]:
        """Returns the keys under which a planned shard may be published."""
        again = self.made_again.get((split, key))
        return (key, again) if again else (key,)


def listed_by(data_set: DataSet, job: str) -> ListedShards:
    """Returns what the versions of a data set list as a process begins with a job."""
    with _lock:
        key = (str(data_set.location), job)
        if key not in _cached:
            _cached.clear()
            _cached[key] = _read(data_set, tuple(data_set.list_versions()))
        return _cached[key]


def _read(data_set: DataSet, names: tuple[str, ...]) -> ListedShards:
    files: dict[Place, Fingerprint | None] = {}
    summaries: dict[Place, Fingerprint] = {}
    made_again: dict[Place, str] = {}
    decoders: set[DecoderIdentity] = set()
    for name in names:  # the newest last
        try:
            manifest = data_set.read_manifest(name)
        except ManifestError as error:
            logger.warning("version %s is left out: %s", name, error)
            continue
        decoders.update(manifest.decoders)
        for shard in manifest.shards:
            files[shard.split, shard.key] = shard.mindrecord
            if shard.summary is not None:
                summaries[shard.split, shard.key] = shard.summary
            if shard.planned_key:
                made_again[shard.split, shard.planned_key] = shard.key
    return ListedShards(files, summaries, made_again, frozenset(decoders))
