"""Reads the clips of a published version, a partition of them at a time."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from mindrecord_io import records
from mindrecord_io.shards import sharding
from mindrecord_io.storage import spilled_rows
from mindrecord_io.versions import clips_table, manifests

__all__ = ["PublishedClip", "PublishedClips"]

_IN_SHARDS = (records.STORED, records.QUARANTINED)
_COLUMNS = (
    *("clip_id", "split", "label", "label_id", "uri", "status", "reason", "detail"),
    *("limits", "source_num_bytes", "source_sha256", "shard"),
)
"""Of the table, in the order of PublishedClip's fields but for the last three."""

_ROWS = pa.schema(
    [
        pa.field("order", pa.int64()),
        *(clips_table.SCHEMA.field(name) for name in _COLUMNS),
    ]
)


class PublishedClip(NamedTuple):
    """A row of a version's clips.parquet.

    Attributes:
      order: of the row in the table.
      uri, source: None where the clip is in no shard.
      stored_in: "<split>/<key>" of the shard that has the clip or its quarantine, "" if
        none does.
    """

    order: int
    clip_id: str
    split: str
    label: str
    label_id: int
    uri: str | None
    status: str
    reason: str
    detail: str
    limits: str
    source: records.Fingerprint | None
    stored_in: str

    @property
    def is_in_shard(self) -> bool:
        """Whether it is stored or quarantined, and not just listed."""
        return self.status in _IN_SHARDS

    def is_settled(self, limits: str | None) -> bool:
        """Returns whether the clip, its file being the same, need not be decoded again.

        Quarantined clips need not, except those that broke other limits and those with
        a wrong checksum, as another list may contain theirs.

        Args:
          limits: of the job (DecodeLimits.text); None where nothing is to be decoded:
            then every clip that is in a shard is settled.
        """
        if not self.is_in_shard or limits is None:
            return self.is_in_shard
        return self.limits in ("", limits) and self.reason != records.WRONG_CHECKSUM


class PublishedClips:
    """All clips of a version's table, in partitions on the disk.

    Attributes:
      version: whose table it is.
    """

    def __init__(self, version: manifests.Version) -> None:
        """Reads the table, a row group at a time.

        Raises:
          ManifestError, TableError: as `Version.clip_batches`.
        """
        self.version = version
        self._spilled = spilled_rows.SpilledRows(_ROWS, sharding.NUM_PARTITIONS)
        for batch in version.clip_batches(_COLUMNS):
            first = len(self._spilled)
            order = np.arange(first, first + batch.num_rows)
            columns = [order, *(batch.column(name) for name in _COLUMNS)]
            places = map(sharding.partition_of, batch.column("clip_id").to_pylist())
            rows = pa.record_batch(columns, schema=_ROWS)
            self._spilled.extend(rows, list(places))

    def partition(self, index: int) -> Mapping[str, PublishedClip]:
        """Returns the clips of a partition by id, in the table's order."""
        return {row[1]: _clip(row) for row in self._spilled.rows(index)}


def _clip(row: tuple[Any, ...]) -> PublishedClip:
    *plain, num_bytes, sha256, shard = row
    source = None if sha256 is None else records.Fingerprint(num_bytes, sha256)
    # "<split>/<key>" of "shards/<split>/<key>[/<file>]"
    stored_in = "" if shard is None else "/".join(shard.split("/")[1:3])
    fields: tuple[Any, ...] = (*plain, source, stored_in)
    return PublishedClip(*fields)
