"""How a version's clips differ from its parent's, a partition at a time."""

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
from pyarrow import compute

from mindrecord_io import records
from mindrecord_io.shards import sharding
from mindrecord_io.storage import spilled_rows
from mindrecord_io.versions import clips_table

__all__ = ["COLUMNS", "Difference", "compare", "spilled"]

COLUMNS = ("clip_id", "split", "label", "status")
"""What of clips.parquet is compared."""

_COMPARED = COLUMNS[:-1]
_ROWS = pa.schema([clips_table.SCHEMA.field(name) for name in _COMPARED])


@dataclass(frozen=True, slots=True)
class Difference:
    """How many clips differ from the parent's, of those annotated and there."""

    num_added: int
    num_withdrawn: int
    num_moved: int
    num_relabelled: int


def spilled(batches: Iterable[pa.RecordBatch]) -> spilled_rows.SpilledRows:
    """Returns the stored and quarantined of clips that have COLUMNS, on the disk."""
    rows = spilled_rows.SpilledRows(_ROWS, sharding.NUM_PARTITIONS)
    in_shards = pa.array([records.STORED, records.QUARANTINED])
    for batch in batches:
        kept = batch.filter(compute.is_in(batch.column("status"), in_shards))
        columns = (kept.column(name).to_pylist() for name in _COMPARED)
        for row in zip(*columns, strict=True):
            rows.append(row, sharding.partition_of(row[0]))
    return rows


def compare(
    before: spilled_rows.SpilledRows, after: spilled_rows.SpilledRows
) -> Difference:
    """Compares the clips of two versions, as `spilled` returns them."""
    num_both = num_moved = num_relabelled = 0
    for partition in range(sharding.NUM_PARTITIONS):
        old = {row[0]: row for row in before.rows(partition)}
        for clip_id, split, label in after.rows(partition):
            if clip_id in old:
                _, old_split, old_label = old[clip_id]
                num_both += 1
                num_moved += split != old_split
                num_relabelled += label != old_label
    return Difference(
        num_added=len(after) - num_both,
        num_withdrawn=len(before) - num_both,
        num_moved=num_moved,
        num_relabelled=num_relabelled,
    )
