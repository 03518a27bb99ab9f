"""Predicts what a training fetches from an object store, and counts what it fetched."""

from dataclasses import asdict, dataclass
from typing import Any

from mindrecord_io.serving.reader import SplitReader
from mindrecord_io.storage.range_reads import RangeReads
from mindrecord_io.versions.manifests import Version
from mindrecord_io.versions.opening import RemoteVersion
from train.config import TrainConfig

__all__ = ["Prices", "StoreTraffic", "TrafficMeter", "dry_run"]

_GB = 1e9


@dataclass(frozen=True, slots=True)
class Prices:
    """What a store asks for, in any one currency."""

    per_gb: float = 0.0
    per_1000_requests: float = 0.0

    def __post_init__(self) -> None:
        if min(self.per_gb, self.per_1000_requests) < 0.0:
            raise ValueError(f"prices cannot be negative: {self}")


@dataclass(frozen=True, slots=True)
class StoreTraffic:
    """What this process fetched from the store, and what was predicted.

    Attributes:
      num_bytes, num_requests: of shards, those of evaluations included.
    """

    num_bytes: int
    num_requests: int
    predicted_num_bytes: int
    predicted_num_requests: int


class TrafficMeter:
    """Counts what is fetched from now on.

    Args:
      validation: opened for one evaluation.
    """

    def __init__(
        self,
        version: Version,
        settings: TrainConfig,
        *,
        training: SplitReader,
        validation: SplitReader,
        num_steps_done: int = 0,
    ) -> None:
        self._reads = _reads(version)
        self._begin = self._counts()
        self._predicted = predicted(
            settings, training, validation, num_steps_done=num_steps_done
        )

    def traffic(self) -> StoreTraffic | None:
        """Returns the counts so far beside the prediction; None of a local version."""
        if self._reads is None or self._predicted is None:
            return None
        num_bytes, num_requests = (
            now - before
            for now, before in zip(self._counts(), self._begin, strict=True)
        )
        return StoreTraffic(num_bytes, num_requests, *self._predicted)

    def _counts(self) -> tuple[int, int]:
        if self._reads is None:
            return 0, 0
        return self._reads.num_bytes, self._reads.num_requests


def predicted(
    settings: TrainConfig,
    training: SplitReader,
    validation: SplitReader,
    *,
    num_steps_done: int = 0,
) -> tuple[int, int] | None:
    """Returns the bytes and requests of the rest of a training, None if it is local."""
    train, score = training.forecast, validation.forecast
    if train is None or score is None:
        return None
    first, done_in_it = divmod(num_steps_done, training.steps_per_epoch)
    num_epochs = settings.epochs - first
    skipped = done_in_it / training.steps_per_epoch
    num_scored = sum(
        (epoch + 1) % settings.evaluate_every == 0 or epoch + 1 == settings.epochs
        for epoch in range(first, settings.epochs)
    )
    num_bytes, num_requests = (
        round(trained - skipped * once) + scored
        for trained, once, scored in zip(
            train.total(num_epochs),
            train.total(1),
            score.total(num_scored),
            strict=True,
        )
    )
    return num_bytes, num_requests


def dry_run(
    version: Version,
    settings: TrainConfig,
    *,
    training: SplitReader,
    validation: SplitReader,
    prices: Prices,
) -> dict[str, Any]:
    """Returns what a whole training fetches and costs, and when its first batch comes.

    `seconds_to_first_batch` is by the latency and the bandwidth of one request that
    were measured here, without decoding.
    """
    result: dict[str, Any] = {
        "version": version.manifest.version,
        "steps_per_epoch": training.steps_per_epoch,
        "epochs": settings.epochs,
        "num_bytes": 0,
        "num_requests": 0,
        "cost": 0.0,
        "seconds_to_first_batch": 0.0,
        "training": None,
        "validation": None,
    }
    sums = predicted(settings, training, validation)
    reads, forecast = _reads(version), training.forecast
    if sums is None or reads is None or forecast is None:
        return result
    num_bytes, num_requests = sums
    shard = training.index.remote_shards[0]
    latency, bandwidth = reads.speed(shard.path, shard.content.num_bytes)
    rounds = -(-forecast.step_num_requests // reads.num_in_flight)
    seconds = rounds * latency + forecast.step_num_bytes / bandwidth
    cost = num_bytes / _GB * prices.per_gb
    cost += num_requests / 1000 * prices.per_1000_requests
    return result | {
        "num_bytes": num_bytes,
        "num_requests": num_requests,
        "cost": round(cost, 4),
        "seconds_to_first_batch": round(seconds, 3),
        "training": asdict(forecast),
        "validation": asdict(validation.forecast) if validation.forecast else None,
    }


def _reads(version: Version) -> RangeReads | None:
    return version.cache.reads if isinstance(version, RemoteVersion) else None
