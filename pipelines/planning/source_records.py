"""Keeps how the clips of a version are recognised, so that they are not read again.

The file lies in the data set's folder and is no part of a version: it belongs to the
machines that see the clips. Without it, or with one that is damaged, clips are read. It
has a row for each clip that can be recognised, in the row group of its partition (see
sharding.partition_of), and checksums on every page.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import compute, parquet

from mindrecord_io.records import Fingerprint
from mindrecord_io.shards import sharding
from mindrecord_io.storage import files, spilled_rows, table_join
from pipelines.planning.clip_references import Reference

__all__ = ["FILE_NAME", "NewRecords", "SourceRecords", "identities"]

logger = logging.getLogger(__name__)

FILE_NAME = "sources.parquet"
"""Below the folder of the data set."""

RECORDS = pa.schema(
    [(name, pa.string()) for name in ("clip_id", "uri", "identity", "sha256")]
)
"""A clip's file as it was when it was read: `identity` is as in clip_identities,
`sha256` of its content."""

# Values are there once, and dictionaries of those take space and time.
_WRITE_OPTIONS: dict[str, Any] = {
    "compression": "zstd",
    "use_dictionary": False,
    "write_page_checksum": True,
}


class SourceRecords:
    """The records of a data set, a partition at a time."""

    def __init__(self, path: Path | None = None) -> None:
        """Reads where each partition is; without a usable file there are no records."""
        self._groups: dict[int, int] = {}
        self._path = path
        if path is None or not path.exists():
            return
        try:
            files.check_regular(path)
            self._file = parquet.ParquetFile(path, page_checksum_verification=True)
            if self._file.schema_arrow != RECORDS:
                raise ValueError(f"it has the columns {self._file.schema_arrow.names}")
            for group in range(self._file.num_row_groups):
                of_ids = self._file.metadata.row_group(group).column(0).statistics
                self._groups[sharding.partition_of(of_ids.min)] = group
        except (OSError, ValueError, AttributeError, pa.ArrowException) as error:
            self._give_up(path, error)

    def partition(self, index: int) -> pa.Table:
        """Returns the records of a partition's clips, as RECORDS.

        None of this and of all that are asked for later, if it is damaged.
        """
        if index not in self._groups:
            return RECORDS.empty_table()
        try:
            return self._file.read_row_group(self._groups[index], use_threads=False)
        except (OSError, pa.ArrowException) as error:
            self._give_up(self._path, error)
            return RECORDS.empty_table()

    def has(self, clip_id: str, uri: str, identity: str) -> bool:
        """Returns whether a clip is recorded with this place and this identity."""
        rows = self.partition(sharding.partition_of(clip_id))
        own = rows.filter(compute.equal(rows.column("clip_id"), clip_id)).to_pylist()
        return any((row["uri"], row["identity"]) == (uri, identity) for row in own)

    def _give_up(self, path: Path | None, error: Exception) -> None:
        logger.warning("%s cannot be used, so clips are read: %s", path, error)
        self._groups = {}


def identities(
    records: pa.Table, uris: table_join.Column, sha256s: table_join.Column
) -> pa.Array:
    """Returns the recorded identities of published files, "" where there is none.

    Args:
      records: of RECORDS, one for each file; of nulls where there is none.
      uris, sha256s: where the files are now, and of what was published.
    """
    is_same = compute.and_(
        compute.equal(records.column("uri"), uris),
        compute.equal(records.column("sha256"), sha256s),
    )
    same = pa.array(table_join.mask(is_same))
    return compute.if_else(same, records.column("identity"), "")


class NewRecords:
    """Records of a version's clips, gathered shard by shard, on the disk."""

    def __init__(self) -> None:
        self._rows = spilled_rows.SpilledRows(RECORDS, sharding.NUM_PARTITIONS)

    def add(
        self,
        references: Sequence[Reference],
        identities: Sequence[str],
        sources: Mapping[str, Fingerprint],
    ) -> None:
        """Adds the clips of a shard.

        Args:
          identities: of each reference, "" where there is none.
          sources: what was stored, by clip id.
        """
        for clip, identity in zip(references, identities, strict=True):
            if identity:
                row = (clip.clip_id, clip.uri, identity, sources[clip.clip_id].sha256)
                self._rows.append(row, sharding.partition_of(clip.clip_id))

    def write(self, path: Path) -> None:
        """Writes the records into a new file."""
        with parquet.ParquetWriter(path, RECORDS, **_WRITE_OPTIONS) as writer:
            for index in range(self._rows.num_partitions):
                if rows := list(self._rows.rows(index)):
                    columns = [list(values) for values in zip(*rows, strict=True)]
                    table = pa.table(columns, schema=RECORDS)
                    writer.write_table(table, row_group_size=len(rows))
