"""How a network is trained: the section `training` of a configuration file."""

from dataclasses import dataclass

from train import optimizer, schedule

__all__ = ["TrainConfig"]


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How a network is trained.

    Attributes:
      batch_size: clips in a step; the learning rate belongs to it.
      optimizer: one of `optimizer.OPTIMIZERS`.
      learning_rate: after the warm-up, at the beginning.
      momentum: of sgd.
      schedule: one of `schedule.SCHEDULES`.
      milestones: epochs at whose beginning "step" divides the learning rate by 10.
      warmup_epochs: epochs, or parts of one, in which it rises linearly from zero.
      is_classifier_faster: TSM's `fc_lr5`: 5 and 10 times the learning rate for the
        classifier's weight and bias.
      clip_gradient: global norm above which gradients are scaled down; null: never.
      label_smoothing: probability mass taken from the label and spread over all.
      scales: sides of the random crop as parts of the frame's short side.
      flip: mirror half of the clips, where their label tells what they become.
      seed: of the weights, the order, the frames and the crops.
      evaluate_every: epochs from one evaluation to the next; the last epoch has one.
      keep_checkpoints: newest epochs whose checkpoints stay, besides the best one.
      log_every: steps from one log line to the next.
    """

    epochs: int = 50
    batch_size: int = 64
    optimizer: str = "sgd"
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: str = "step"
    milestones: tuple[float, ...] = (20.0, 40.0)
    warmup_epochs: float = 0.0
    is_classifier_faster: bool = True
    clip_gradient: float | None = 20.0
    label_smoothing: float = 0.0
    scales: tuple[float, ...] = (1.0, 0.875, 0.75, 0.66)
    flip: bool = False
    seed: int = 1
    evaluate_every: int = 1
    keep_checkpoints: int = 5
    log_every: int = 20

    def __post_init__(self) -> None:
        for name in (
            "epochs",
            "batch_size",
            "evaluate_every",
            "keep_checkpoints",
            "log_every",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1: {getattr(self, name)}")
        for name in ("momentum", "label_smoothing"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ValueError(f"{name} must be in [0, 1): {getattr(self, name)}")
        if self.learning_rate <= 0.0:
            raise ValueError(f"learning_rate must be positive: {self.learning_rate}")
        if self.weight_decay < 0.0:
            raise ValueError(f"weight_decay cannot be negative: {self.weight_decay}")
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
        _check_choice("optimizer", self.optimizer, tuple(optimizer.OPTIMIZERS))
        _check_choice("schedule", self.schedule, tuple(schedule.SCHEDULES))


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {choices}, got {value!r}")
