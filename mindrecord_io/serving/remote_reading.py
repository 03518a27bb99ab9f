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
        rule = merge_rule(cache.reads, index)
        self._cache, self._index, self._decoders = cache, index, decoders
        self._planner = RangePlanner(index, view, seed, rule)

    def choose(self, steps: Steps, *, is_sequential: bool) -> tuple[Feed, Forecast]:
        """Returns the way to read these steps and what each epoch fetches by it.

        Args:
          is_sequential: the sampling goes through the shards one after the other.
        """
        reading = self._cache.settings.reading
        parts = forecast_parts(self._planner, steps)
        is_fitting = parts.cache_num_bytes <= self._cache.settings.max_num_bytes
        may_be_whole = reading != "parts" and (
            is_fitting or is_sequential or reading == "shards"
        )
        shards = (
            forecast_shards(self._cache, self._index, steps) if may_be_whole else None
        )
        is_cheap = shards is not None and (
            shards.num_bytes <= _MAX_TIMES_FETCHED * shards.cache_num_bytes
        )
        if shards is not None and (is_cheap or reading == "shards"):
            self._log(shards, parts)
            close_files = self._decoders.close_files
            return ShardFeed(self._cache, self._index, close_files), shards
        self._log(parts, shards)
        return PartFeed(self._planner, self._cache.reads), parts

    def _log(self, chosen: Forecast, other: Forecast | None) -> None:
        name, limit = self._index.name, self._cache.settings.max_num_bytes
        logger.info("%s: %s", name, describe(chosen))
        if not self._planner.checksums.has_crc32s.all():
            logger.warning(
                "%s: older than checksums of frames, so that all frames of a clip are "
                "read where it is read by ranges; relabel or build it anew for fewer",
                name,
            )
        if chosen.reading == "shards" and other and chosen.num_bytes > other.num_bytes:
            logger.warning(
                "%s: the cache of %.3g GiB is too small for whole shards, which need "
                "%.3g GiB; CLIPMILL_READING=parts would fetch %d bytes an epoch",
                *(name, limit / _GIB, chosen.cache_num_bytes / _GIB, other.num_bytes),
            )
        if chosen.reading == "parts" and chosen.cache_num_bytes > limit:
            logger.warning(
                "%s: with CLIPMILL_CACHE_GIB=%.3g instead of %.3g all shards would be "
                "fetched once and never again: less from epoch %d on",
                *(name, chosen.cache_num_bytes / _GIB + 0.001, limit / _GIB),
                chosen.cache_num_bytes // max(1, chosen.num_bytes) + 1,
            )


def describe(forecast: Forecast) -> str:
    """Returns a forecast in words."""
    way = {"shards": "whole shards, kept", "parts": "sampled frames by ranges"}
    return (
        f"{way[forecast.reading]}: {forecast.first_num_bytes} bytes in "
        f"{forecast.first_num_requests} requests in the first epoch of this rank, "
        f"{forecast.num_bytes} in {forecast.num_requests} in each after it; its shards "
        f"have {forecast.cache_num_bytes} bytes"
    )


def merge_rule(reads: RangeReads, index: ClipIndex) -> MergeRule:
    """Returns the rule for a store's latency and bandwidth, measured once."""
    shard = index.remote_shards[0]
    latency, bandwidth = reads.speed(shard.path, shard.content.num_bytes)
    return MergeRule.of(latency, bandwidth, reads.num_in_flight)
