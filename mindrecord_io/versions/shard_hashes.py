"""Checks the content of a split's shards before anything is learned from them."""

import logging
import os
import time
from concurrent import futures

from mindrecord_io import records
from mindrecord_io.serving import clip_index
from mindrecord_io.versions import manifests, shard_checks

__all__ = ["check_hashes"]

logger = logging.getLogger(__name__)

_MAX_NAMED = 3


def check_hashes(
    version: manifests.Version, split: str, *, num_workers: int | None = None
) -> None:
    """Hashes every shard of a split, several at once, against the manifest.

    Sizes are checked whenever a split is opened; a flipped bit only shows here, or as a
    wrong picture.

    Raises:
      ValueError: there is no such split.
      DatasetError: shards that are not what was published; the message names them.
    """
    if split not in records.SPLITS:
        raise ValueError(f"split must be one of {records.SPLITS}, got {split!r}")
    if version.uri:
        logger.info("%s: its shards are hashed when they are fetched", version.uri)
        return
    entries = [entry for entry in version.manifest.shards if entry.split == split]
    begin = time.monotonic()
    with futures.ThreadPoolExecutor(num_workers or os.cpu_count()) as pool:
        checked = pool.map(
            lambda entry: shard_checks.check_shard(version, entry, None), entries
        )
        damaged = [damage for found in checked for damage in found]
    if damaged:
        named = "; ".join(f"{d.path}: {d.reason}" for d in damaged[:_MAX_NAMED])
        raise clip_index.DatasetError(
            f"{version.dataset}: {len(damaged)} damages in split {split!r} of version "
            f"{version.manifest.version}: {named}"
        )
    logger.info(
        "%d shards of split %s are as published: hashed in %.1f s",
        len(entries),
        split,
        time.monotonic() - begin,
    )
