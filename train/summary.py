"""What a training is about to do, in a few lines for people."""

import math

from mindrecord_io.versions.manifests import Version
from model.tsm import TSM
from train.config import TrainConfig

__all__ = ["data_lines", "network_line", "step_line"]


def network_line(network: TSM) -> str:
    """Returns the network and its numbers of parameters."""
    config = network.config
    num_all = sum(math.prod(p.shape) for p in network.get_parameters())
    num_trained = sum(math.prod(p.shape) for p in network.trainable_params())
    return (
        f"network: {config.arch}, {config.num_segments} segments, shift "
        f"{config.shift_place}; {num_all:,} parameters, {num_trained:,} of them trained"
    )


def data_lines(version: Version) -> list[str]:
    """Returns the data set, its version, its classes and its clips."""
    num_clips = {"train": 0, "validation": 0}
    for shard in version.manifest.shards:
        if shard.split in num_clips:
            num_clips[shard.split] += shard.num_rows
    return [
        f"data set: {version.dataset}, version {version.manifest.version}",
        f"clips: {num_clips['train']:,} to train by, {num_clips['validation']:,} to "
        f"measure with, of {len(version.category_names())} classes",
    ]


def step_line(
    training: TrainConfig, steps_per_epoch: int, *, device_target: str, num_ranks: int
) -> str:
    """Returns the steps, the batch and the devices."""
    batch = f"batches of {training.batch_size} clips"
    if training.accumulate > 1:
        batch += f", {training.accumulate} a step"
    return (
        f"steps: {steps_per_epoch:,} an epoch, {training.epochs} epochs; {batch}, on "
        f"{num_ranks} x {device_target}"
    )
