"""The clips that a published version tells of, looked up a partition at a time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from mindrecord_io import records
from mindrecord_io.shards import sharding
from mindrecord_io.storage import spilled_rows
from mindrecord_io.versions import clips_table, manifests

__all__ = ["HeldClip", "HeldClips"]

_IN_SHARDS = (records.STORED, records.QUARANTINED)
_COLUMNS = (
    *("clip_id", "split", "label", "label_id", "uri", "status", "reason", "detail"),
    *("limits", "source_num_bytes", "source_sha256", "shard"),
)
_TOLD = ("order", *_COLUMNS[:-3])
_ROWS = pa.schema(
    [
        pa.field("order", pa.int64()),
        *(clips_table.SCHEMA.field(name) for name in _COLUMNS),
    ]
)


@dataclass(frozen=True, slots=True)
class HeldClip:
    """A clip as a version tells of it.

    Attributes:
      order: of its row in clips.parquet.
      uri, source: None where the clip is in no shard.
      stored_in: "<split>/<key>" of the shard that tells of it, "" if none does.
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
        """Tells whether it is stored or quarantined, and not just listed."""
        return self.status in _IN_SHARDS


class HeldClips:
    """All clips of a version's table, in partitions on the disk.

    Attributes:
      version: whose table it is.
    """

    def __init__(self, version: manifests.Version) -> None:
        """Reads the table, a row group at a time.

        Raises:
          ManifestError, TableError: as `manifest.Version.clip_batches`.
        """
        self.version = version
        salt = version.manifest.salt
        self._spilled = spilled_rows.SpilledRows(_ROWS, sharding.NUM_PARTITIONS)
        for batch in version.clip_batches(_COLUMNS):
            columns = [batch.column(name).to_pylist() for name in _COLUMNS]
            for row in zip(*columns, strict=True):
                place = sharding.partition_of(row[0], salt)
                self._spilled.append((len(self._spilled), *row), place)

    def __len__(self) -> int:
        return len(self._spilled)

    def __iter__(self) -> Iterator[HeldClip]:
        for index in range(self._spilled.num_partitions):
            yield from self.partition(index).values()

    def partition(self, index: int) -> Mapping[str, HeldClip]:
        """Returns the clips of a partition by id, in the table's order."""
        return {row[1]: _held(row) for row in self._spilled.rows(index)}


def _held(row: tuple[Any, ...]) -> HeldClip:
    *told, num_bytes, sha256, shard = row
    source = None if sha256 is None else records.Fingerprint(num_bytes, sha256)
    # "<split>/<key>" of "shards/<split>/<key>[/<file>]"
    stored_in = "" if shard is None else "/".join(shard.split("/")[1:3])
    fields = dict(zip(_TOLD, told, strict=True))
    return HeldClip(**fields, source=source, stored_in=stored_in)
