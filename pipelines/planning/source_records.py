"""Keeps how the clips of a version are recognised, so that they are not read again.

The file lies in the data set's folder and is no part of a version: it belongs to the
machines that see the clips. Without it, or with one that is damaged, clips are read. It
has a row for each clip that can be recognised, in the row group of its partition (see
sharding.partition_of), and checksums on every page.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from mindrecord_io.records import Fingerprint
from mindrecord_io.shards import sharding
from mindrecord_io.storage import files, spilled_rows
from pipelines.planning.clip_references import Reference

__all__ = ["FILE_NAME", "NewRecords", "SourceRecord", "SourceRecords"]

logger = logging.getLogger(__name__)

FILE_NAME = "sources.parquet"
"""Below the folder of the data set."""

ROWS = pa.schema(
    [(name, pa.string()) for name in ("clip_id", "uri", "identity", "sha256")]
)


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """A clip's file as it was when it was read.

    Attributes:
      identity: as in clip_identities.
      sha256: of its content.
    """

    uri: str
    identity: str
    sha256: str

    def identity_of(self, uri: str, source: Fingerprint | None) -> str:
        """Returns the identity of a published file, "" if this is of another one."""
        is_same = source is not None and self.sha256 == source.sha256
        return self.identity if is_same and self.uri == uri else ""


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
            if self._file.schema_arrow != ROWS:
                raise ValueError(f"it has the columns {self._file.schema_arrow.names}")
            for group in range(self._file.num_row_groups):
                of_ids = self._file.metadata.row_group(group).column(0).statistics
                self._groups[sharding.partition_of(of_ids.min)] = group
        except (OSError, ValueError, AttributeError, pa.ArrowException) as error:
            self._give_up(path, error)

    def partition(self, index: int) -> Mapping[str, SourceRecord]:
        """Returns the records of a partition's clips by id.

        None of this and of all that are asked for later, if it is damaged.
        """
        if index not in self._groups:
            return {}
        try:
            rows = self._file.read_row_group(self._groups[index], use_threads=False)
        except (OSError, pa.ArrowException) as error:
            self._give_up(self._path, error)
            return {}
        columns = (column.to_pylist() for column in rows.columns)
        return {
            clip_id: SourceRecord(*rest)
            for clip_id, *rest in zip(*columns, strict=True)
        }

    def _give_up(self, path: Path | None, error: Exception) -> None:
        logger.warning("%s cannot be used, so clips are read: %s", path, error)
        self._groups = {}


class NewRecords:
    """Records of a version's clips, gathered shard by shard, on the disk."""

    def __init__(self) -> None:
        self._rows = spilled_rows.SpilledRows(ROWS, sharding.NUM_PARTITIONS)

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
        options = {"compression": "zstd", "write_page_checksum": True}
        with parquet.ParquetWriter(path, ROWS, **options) as writer:
            for index in range(self._rows.num_partitions):
                if rows := list(self._rows.rows(index)):
                    columns = [list(values) for values in zip(*rows, strict=True)]
                    table = pa.table(columns, schema=ROWS)
                    writer.write_table(table, row_group_size=len(rows))
