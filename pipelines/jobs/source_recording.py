"""Keeps how a version's clips are recognised, from the receipts of its shards."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mindrecord_io.storage.object_store import StorageError
from pipelines.building import receipts
from pipelines.building.receipts import ShardReceipt
from pipelines.building.version_draft import MadeShard
from pipelines.planning import source_records
from pipelines.planning.source_records import NewRecords
from pipelines.publishing.data_sets import DataSet

__all__ = ["keep", "recording"]

logger = logging.getLogger(__name__)


def recording(
    shards: Iterable[MadeShard], done: Sequence[ShardReceipt], records: NewRecords
) -> Iterator[MadeShard]:
    """Passes shards on, and adds what their clips are recognised by to the records."""
    for shard, receipt in zip(shards, done, strict=True):
        identities = [clip.identity for clip in shard.references]
        if receipt.identities:
            texts = receipt.identities.split(" ")
            identities = ["" if t == receipts.NO_IDENTITY else t for t in texts]
        sources = {clip.clip_id: clip.source for clip in shard.file.summary.clips}
        records.add(shard.references, identities, sources)
        yield shard


def keep(records: NewRecords, staging: Path, data_set: DataSet) -> None:
    """Keeps records in the data set; without them the next job reads all clips."""
    path = staging / source_records.FILE_NAME
    try:
        records.write(path)
        data_set.replace(source_records.FILE_NAME, path)
    except (OSError, StorageError) as error:
        logger.warning("the next build will read all clips: %s", error)
