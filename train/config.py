"""TrainConfig: the section `training` of a configuration file."""

from dataclasses import dataclass
from pathlib import Path

from mindrecord_io.serving import clip_sampling, segments
from mindrecord_io.serving.block_sampling import BlockShuffle
from mindrecord_io.storage import locations
from model import weights
from train import optimizer, rand_augment, schedule

__all__ = ["RANDOM", "SAMPLINGS", "TrainConfig"]

RANDOM = "random"
"""The value of `tune_from` that begins without weights on purpose."""

_AMP_LEVELS = ("O0", "O2", "O3", "auto")
"""MindSpore's: all in float32; half precision but for batch norm; all in half
precision; half precision where MindSpore's list of operations says that it is safe."""

_TRAINABLE = ("all", "classifier")
"""Fine-tuning, and linear probing: there the frame network stays as it is."""

SAMPLINGS: dict[str, clip_sampling.Sampling] = {
    "each_once": clip_sampling.EachOnce(),
    "class_balanced": clip_sampling.ClassBalanced(),
    "blocks": BlockShuffle(),
}


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How a network is trained.

    Attributes:
      batch_size: clips that are computed at once, over all ranks together.
      accumulate: batches of that size whose gradients make one update, as one batch of
        all of them would but for batch norm's statistics; a step has all their clips.
      optimizer: one of `optimizer.OPTIMIZERS`.
      learning_rate: after the warm-up, at the beginning.
      base_batch_size: the clips of a step that learning_rate is meant for; it is scaled
        in proportion to the actual ones. null: learning_rate is used as it is.
      momentum: of sgd.
      schedule: one of `schedule.SCHEDULES`.
      milestones: epochs at whose beginning "step" divides the learning rate by 10.
      warmup_epochs: epochs, or parts of one, in which it rises linearly from zero.
      is_classifier_faster: TSM's `fc_lr5`: 5 and 10 times the learning rate for the
        classifier's weight and bias.
      clip_gradient: global norm above which gradients are scaled down; null: never.
      amp_level: "O0", "O2", "O3" or "auto".
      loss_scale: the first; doubled after 1000 steps without an overflow, halved by
        one. Not used with O0.
      static_loss_scale: a scale that stays, with any amp_level; null: none.
      tune_from: a file of weights that training begins with (see model/weights.py for
        its kinds); null: random ones, as "random", which says so on purpose.
      fresh_parts: of `weights.FRESH_PARTS`; they begin at random all the same.
      trainable: "all" or "classifier".
      sync_norm: batch norm's statistics are of all ranks' clips in training, not of
        each rank's own.
      sampling: one of SAMPLINGS: each clip once an epoch, every label as often, or each
        clip once in blocks, which reads few shards at a time.
      rand_augment_ops: changes of each clip by RandAugment; 0: none.
      rand_augment_magnitude: of these changes, in [0, 10].
      mixup_alpha: of the distribution Beta(alpha, alpha) of the shares in which
        neighbours are mixed; 0: none is.
      ema_decay: of the exponential moving average of the weights, which is what is
        evaluated and kept as the best network then; 0: none.
      precise_bn_steps: steps of the epoch by which batch norm's statistics are made
        anew before an evaluation, for it and for the best network; 0: none.
      label_smoothing: probability mass taken from the label and spread over all.
      scales: sides of the random crop as parts of the frame's short side.
      train_frames: one of segments.RANDOM: a random frame of each segment, or "dense"
        ones of a window of 64 frames.
      flip: mirror half of the clips, where their label tells what they become.
      seed: of the weights, the order, the frames and the crops; less than 2**32.
      evaluate_every: epochs from one evaluation to the next; the last epoch has one.
      checkpoint_every: steps from one checkpoint to the next inside an epoch; null:
        only at the end of each epoch.
      keep_checkpoints: the newest that stay, besides the network that was best.
      log_every: steps from one log line to the next.
    """

    epochs: int = 50
    batch_size: int = 64
    accumulate: int = 1
    optimizer: str = "sgd"
    learning_rate: float = 0.01
    base_batch_size: int | None = None
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: str = "step"
    milestones: tuple[float, ...] = (20.0, 40.0)
    warmup_epochs: float = 0.0
    is_classifier_faster: bool = True
    clip_gradient: float | None = 20.0
    amp_level: str = "O0"
    loss_scale: float = 1024.0
    static_loss_scale: float | None = None
    tune_from: str | None = None
    fresh_parts: tuple[str, ...] = ()
    trainable: str = "all"
    sync_norm: bool = False
    rand_augment_ops: int = 0
    rand_augment_magnitude: float = 7.0
    mixup_alpha: float = 0.0
    ema_decay: float = 0.0
    precise_bn_steps: int = 0
    label_smoothing: float = 0.0
    sampling: str = "each_once"
    scales: tuple[float, ...] = (1.0, 0.875, 0.75, 0.66)
    train_frames: str = "segments"
    flip: bool = False
    seed: int = 1
    evaluate_every: int = 1
    checkpoint_every: int | None = None
    keep_checkpoints: int = 5
    log_every: int = 20

    def __post_init__(self) -> None:
        for name in _AT_LEAST_1:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1: {value}")
        for name in ("momentum", "label_smoothing", "ema_decay"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ValueError(f"{name} must be in [0, 1): {getattr(self, name)}")
        for name in ("learning_rate", "loss_scale", "static_loss_scale"):
            value = getattr(self, name)
            if value is not None and value <= 0.0:
                raise ValueError(f"{name} must be positive: {value}")
        for name in _NOT_NEGATIVE:
            if getattr(self, name) < 0:
                raise ValueError(f"{name} cannot be negative: {getattr(self, name)}")
        if not 0.0 <= self.rand_augment_magnitude <= rand_augment.MAX_MAGNITUDE:
            raise ValueError(
                f"rand_augment_magnitude must be in [0, {rand_augment.MAX_MAGNITUDE}]: "
                f"{self.rand_augment_magnitude}"
            )
        if self.clip_gradient is not None and self.clip_gradient <= 0.0:
            raise ValueError(
                f"clip_gradient must be positive or null: {self.clip_gradient}"
            )
        if not 0.0 <= self.warmup_epochs <= self.epochs:
            raise ValueError(
                f"warmup_epochs must be in [0, epochs = {self.epochs}]: "
                f"{self.warmup_epochs}"
            )
        if not self.scales or not all(0.0 < scale <= 1.0 for scale in self.scales):
            raise ValueError(f"scales must be in (0, 1]: {self.scales}")
        if list(self.milestones) != sorted(self.milestones):
            raise ValueError(f"milestones must rise: {self.milestones}")
        if self.sync_norm and self.amp_level != "O0":
            raise ValueError(f"sync_norm needs amp_level O0, got {self.amp_level!r}")
        if not 0 <= self.seed < 1 << 32:
            raise ValueError(f"seed must be in [0, 2**32): {self.seed}")
        for part in self.fresh_parts:
            if part not in weights.FRESH_PARTS:
                raise ValueError(
                    f"fresh_parts must be of {tuple(weights.FRESH_PARTS)}, got {part!r}"
                )
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name} must be one of {choices}, got {getattr(self, name)!r}"
                )

    @property
    def weights_file(self) -> Path | str | None:
        """Path or URI of the weights that training begins with; None for random ones.

        Raises:
          ValueError: `tune_from` is neither.
        """
        if self.tune_from is None or self.tune_from == RANDOM:
            return None
        return locations.location(self.tune_from)

    @property
    def scaled_learning_rate(self) -> float:
        """The learning rate for the clips of a step."""
        if self.base_batch_size is None:
            return self.learning_rate
        return self.learning_rate * self.clips_per_step / self.base_batch_size

    @property
    def clips_per_step(self) -> int:
        """The clips of an update, over all ranks together."""
        return self.batch_size * self.accumulate


_NOT_NEGATIVE = (
    "weight_decay",
    "rand_augment_ops",
    "mixup_alpha",
    "precise_bn_steps",
)

_AT_LEAST_1 = (
    "epochs",
    "batch_size",
    "accumulate",
    "base_batch_size",
    "evaluate_every",
    "checkpoint_every",
    "keep_checkpoints",
    "log_every",
)

_CHOICES = {
    "optimizer": tuple(optimizer.OPTIMIZERS),
    "schedule": tuple(schedule.SCHEDULES),
    "amp_level": _AMP_LEVELS,
    "trainable": _TRAINABLE,
    "sampling": tuple(SAMPLINGS),
    "train_frames": tuple(segments.RANDOM),
}
