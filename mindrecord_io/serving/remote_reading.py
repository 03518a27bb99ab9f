"""Chooses how a split is read from an object store, and logs what that costs.

Whole shards, where the cache holds all that this rank reads, or where the sampling goes
through the shards one after the other; else the sampled frames alone.
"""

import logging

from mindrecord_io.serving.clip_decoders import ClipDecoders
from mindrecord_io.serving.clip_index import ClipIndex
from mindrecord_io.serving.feeds import Feed, PartFeed, ShardFeed, Steps
from mindrecord_io.serving.frame_ranges import MergeRule
from mindrecord_io.serving.parts_ahead import RangePlanner
from mindrecord_io.serving.read_forecast import (
    Forecast,
    cache_num_bytes,
    forecast_parts,
    forecast_shards,
)
from mindrecord_io.serving.views import View
from mindrecord_io.storage.range_reads import RangeReads
from mindrecord_io.storage.shard_cache import ShardCache

__all__ = ["RemoteReading", "describe", "merge_rule"]

logger = logging.getLogger(__name__)

_MAX_TIMES_FETCHED = 1.05  # of a sampling's shards in an epoch, to be worth whole ones
_GIB = 1 << 30


class RemoteReading:
    """The two ways to read a remote split.

    Args:
      decoders: that will decode what is fetched.
    """

    def __init__(
        self,
        cache: ShardCache,
        index: ClipIndex,
        view: View,
        *,
        seed: int,
        decoders: ClipDecoders,
    ) -> None:
        self._cache, self._index, self._decoders = cache, index, decoders
        self._view, self._seed = view, seed

    def choose(self, steps: Steps, *, is_sequential: bool) -> tuple[Feed, Forecast]:
        """Returns the way to read these steps and what each epoch fetches by it.

        Args:
          is_sequential: the sampling goes through the shards one after the other.
        """
        settings = self._cache.settings
        is_fitting = cache_num_bytes(self._index) <= settings.max_num_bytes
        shards = None
        if settings.reading != "parts" and (
            is_fitting or is_sequential or settings.reading == "shards"
        ):
            shards = forecast_shards(self._cache, self._index, steps)
            if is_fitting or settings.reading == "shards" or _is_cheap(shards):
                return self._shards(shards)
        rule = merge_rule(self._cache.reads, self._index)
        planner = RangePlanner(self._index, self._view, self._seed, rule)
        return self._parts(planner, forecast_parts(planner, steps))

    def _shards(self, forecast: Forecast) -> tuple[Feed, Forecast]:
        name, limit = self._index.name, self._cache.settings.max_num_bytes
        logger.info("%s: %s", name, describe(forecast))
        if not _is_cheap(forecast):
            logger.warning(
                "%s: the cache of %.3g GiB is too small for whole shards, of which "
                "each epoch fetches %d bytes: with %.3g GiB it would fetch none again, "
                "with CLIPMILL_READING=parts the sampled frames alone",
                *(name, limit / _GIB, forecast.num_bytes),
                forecast.cache_num_bytes / _GIB,
            )
        close_files = self._decoders.close_files
        return ShardFeed(self._cache, self._index, close_files), forecast

    def _parts(
        self, planner: RangePlanner, forecast: Forecast
    ) -> tuple[Feed, Forecast]:
        name, limit = self._index.name, self._cache.settings.max_num_bytes
        logger.info("%s: %s", name, describe(forecast))
        if not planner.checksums.has_crc32s.all():
            logger.warning(
                "%s: some clips have no checksum for each frame, being of an older "
                "version: all their frames are read; a new build has them",
                name,
            )
        if forecast.cache_num_bytes > limit:
            logger.warning(
                "%s: with CLIPMILL_CACHE_GIB=%.3g instead of %.3g all shards would be "
                "fetched once and never again: fewer bytes from epoch %d on",
                *(name, forecast.cache_num_bytes / _GIB + 0.001, limit / _GIB),
                forecast.cache_num_bytes // max(1, forecast.num_bytes) + 1,
            )
        return PartFeed(planner, self._cache.reads), forecast


def describe(forecast: Forecast) -> str:
    """Returns a forecast in words."""
    way = {"shards": "whole shards, kept", "parts": "sampled frames by ranges"}
    return (
        f"{way[forecast.reading]}: {forecast.first_num_bytes} bytes in "
        f"{forecast.first_num_requests} requests in the first epoch of this rank, "
        f"{forecast.num_bytes} in {forecast.num_requests} in each after it; its shards "
        f"have {forecast.cache_num_bytes} bytes"
    )


def _is_cheap(shards: Forecast) -> bool:
    """Returns whether no shard is fetched more than about once an epoch."""
    return shards.num_bytes <= _MAX_TIMES_FETCHED * shards.cache_num_bytes


def merge_rule(reads: RangeReads, index: ClipIndex) -> MergeRule:
    """Returns the rule for a store's latency and bandwidth, measured once."""
    shard = index.remote_shards[0]
    latency, bandwidth = reads.speed(shard.path, shard.content.num_bytes)
    return MergeRule.of(latency, bandwidth, reads.num_in_flight)
