"""Which part of the clips is looked at together, where not all of them fit in memory.

Whatever is joined by clip id is cut by the hash that places clips in shards, into equal
ranges of it as the shards are: so a partition holds whole shards of every split, but
for those at its two ends.
"""

from mindrecord_io.shards import sharding

__all__ = ["NUM_PARTITIONS", "partition_of"]

NUM_PARTITIONS = 256
"""Of fewer than 100,000 clips each, up to 25 million clips."""


def partition_of(clip_id: str, salt: str = sharding.DEFAULT_SALT) -> int:
    """Returns the 0-based partition of a clip."""
    return sharding.shard_index(clip_id, NUM_PARTITIONS, salt)
