"""Reads the clips of a published version, a partition of them at a time."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

from mindrecord_io import records
from mindrecord_io.shards import sharding
from mindrecord_io.storage import spilled_rows, table_join
from mindrecord_io.versions import clips_table, manifests
from pipelines.sources import clip_identities
from pipelines.sources.clip_lookup import FoundFiles

__all__ = ["PublishedClips", "PublishedFiles", "are_in_shards", "are_settled"]

_IN_SHARDS = pa.array([records.STORED, records.QUARANTINED])
_COLUMNS = (
    *("clip_id", "split", "label", "label_id", "uri", "status", "reason", "detail"),
    *("limits", "source_num_bytes", "source_sha256", "shard"),
)
"""Of the table."""

_ROWS = pa.schema(
    [
        pa.field("order", pa.int64()),
        *(clips_table.SCHEMA.field(name) for name in _COLUMNS),
    ]
)


class PublishedClips:
    """All clips of a version's table, in partitions on the disk."""

    def __init__(self, version: manifests.Version | None) -> None:
        """Reads the table, a row group at a time; no version has no clips.

        Raises:
          ManifestError, TableError: as `Version.clip_batches`.
        """
        self._spilled = spilled_rows.SpilledRows(_ROWS, sharding.NUM_PARTITIONS)
        for batch in version.clip_batches(_COLUMNS) if version else ():
            first = len(self._spilled)
            order = np.arange(first, first + batch.num_rows)
            columns = [order, *(batch.column(name) for name in _COLUMNS)]
            hashes = sharding.clip_hashes(batch.column("clip_id").to_pylist())
            rows = pa.record_batch(columns, schema=_ROWS)
            self._spilled.extend(rows, sharding.partitions_of(hashes))

    def partition(self, index: int) -> pa.Table:
        """Returns the clips of a partition, in the table's order.

        Columns are some of clips_table.SCHEMA, and `order`, int64, of the row in the
        table; instead of `shard`, `stored_in` is "<split>/<key>" of the shard that has
        the clip or its quarantine, "" if none does.
        """
        rows = self._spilled.table(index)
        return rows.set_column(
            rows.num_columns - 1, "stored_in", _places(rows.column("shard"))
        )


class PublishedFiles:
    """The files that a version was made of; nobody looks at them.

    Files that are not in a shard of the version stay outside: where they are annotated
    now, they are missing until a build finds them.
    """

    def __init__(self, published: PublishedClips) -> None:
        self._published = published

    def look_up(self, index: int, clip_ids: table_join.Column) -> FoundFiles:
        """Returns where the clips' files were, and which unlisted ones stay so.

        A file that the version has in a shard is withdrawn, not unlisted.
        """
        published = self._published.partition(index)
        clips = table_join.aligned(published, clip_ids)
        uris = compute.if_else(
            pa.array(are_in_shards(clips)), clips.column("uri"), pa.scalar(None)
        )
        listed = compute.equal(published.column("status"), records.UNLISTED)
        names = published.filter(listed).column("clip_id")
        others = names.filter(pa.array(~table_join.is_among(names, clip_ids)))
        return FoundFiles(clip_identities.not_looked_at(uris), others.to_pylist())


def are_in_shards(clips: pa.Table) -> npt.NDArray[np.bool_]:
    """Returns which of a partition's clips are stored or quarantined, bool (clips,).

    Others are just listed. A row of nulls is no clip.
    """
    return table_join.is_among(clips.column("status"), _IN_SHARDS)


def are_settled(clips: pa.Table, limits: str | None) -> npt.NDArray[np.bool_]:
    """Returns which clips, their files being the same, need not be decoded again.

    Quarantined clips need not, except those that broke other limits and those with a
    wrong checksum, as another list may contain theirs.

    Args:
      limits: of the job (DecodeLimits.text); None where nothing is to be decoded: then
        every clip that is in a shard is settled.
    """
    settled = are_in_shards(clips)
    if limits is None:
        return settled
    settled &= table_join.is_among(clips.column("limits"), pa.array(["", limits]))
    wrong = compute.equal(clips.column("reason"), records.WRONG_CHECKSUM)
    return settled & ~table_join.mask(wrong)


def _places(shards: pa.ChunkedArray) -> pa.Array:
    """Returns "<split>/<key>" of "shards/<split>/<key>[/<file>]", "" of null."""
    encoded = compute.fill_null(shards.combine_chunks(), "").dictionary_encode()
    paths = encoded.dictionary.to_pylist()
    places = pa.array(["/".join(p.split("/")[1:3]) for p in paths], pa.string())
    return places.take(encoded.indices)
