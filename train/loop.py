"""Epochs of steps, an evaluation and a checkpoint after each, a record of all."""

import logging
import math
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import tqdm
from mindspore import dataset

from eval.metrics import TopK
from model import checkpoint
from model.tsm import TSM
from train import config, loss, optimizer, run_folder, schedule, step

__all__ = [
    "OpenEpoch",
    "TrainResult",
    "TrainingError",
    "train",
]

logger = logging.getLogger(__name__)

OpenEpoch = Callable[[int], dataset.Dataset]
"""0-based epoch to a data set of batches `frames` (N, T, 3, H, W) and `label` (N,)."""


_FACTS = ("epoch", "step", "top1")  # of a line of metrics, kept in checkpoints


class TrainingError(RuntimeError):
    """Training cannot go on."""


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What the program's last line tells.

    Attributes:
      best_top1: of all evaluations; `best_epoch` is the 0-based first that had it.
      best_checkpoint: the network of that epoch.
      clips_per_second: trained, without the first step, which compiles.
    """

    epochs: int
    steps: int
    best_top1: float | None
    best_epoch: int
    best_checkpoint: str
    seconds: float
    clips_per_second: float


@dataclass(frozen=True, slots=True)
class _EpochStats:
    """One epoch of training; a rate counts `num_timed` clips in `seconds`."""

    loss: float
    top_k: TopK
    num_steps: int
    num_timed: int
    seconds: float


def train(
    network: TSM,
    settings: config.TrainConfig,
    *,
    open_epoch: OpenEpoch,
    score: Callable[[], TopK],
    folder: run_folder.RunFolder,
    description: Mapping[str, Any],
) -> TrainResult:
    """Trains `network`, which is changed.

    Args:
      open_epoch: called once an epoch; every epoch must have equally many steps.
      score: measures the network on the validation split.
      description: what `folder` and the checkpoints tell of how this came about.

    Raises:
      TrainingError: the loss is not finite; its message names the step.
      FileExistsError: the folder holds another training.
    """
    began = time.monotonic()
    steps_per_epoch = open_epoch(0).get_dataset_size()
    train_step, rates = _make_step(network, settings, steps_per_epoch)
    folder.begin(description)
    best: TopK | None = None
    best_epoch, history = 0, []
    for epoch in range(settings.epochs):
        stats = _train_epoch(train_step, open_epoch(epoch), epoch, settings)
        history.append(stats)
        num_steps = (epoch + 1) * steps_per_epoch
        top_k = _score_if_due(score, epoch, settings)
        line = _metrics(epoch, num_steps, float(rates[num_steps - 1]), stats, top_k)
        is_best = top_k is not None and (best is None or best.num_top1 < top_k.num_top1)
        if is_best:
            best, best_epoch = top_k, epoch
        facts = {key: line[key] for key in _FACTS} | {"run": description}
        _save(
            network, folder, facts, is_best=is_best, num_kept=settings.keep_checkpoints
        )
        folder.append_metrics(line)
        logger.info("epoch %d of %d: %s", epoch + 1, settings.epochs, _told(line))
    return TrainResult(
        epochs=settings.epochs,
        steps=settings.epochs * steps_per_epoch,
        best_top1=best.top1 if best else None,
        best_epoch=best_epoch,
        best_checkpoint=str(folder.best_checkpoint),
        seconds=round(time.monotonic() - began, 3),
        clips_per_second=_rate(*history),
    )


def _make_step(
    network: TSM, settings: config.TrainConfig, steps_per_epoch: int
) -> tuple[step.TrainStep, Any]:
    """Returns the step and the learning rate of each."""
    rates = schedule.learning_rates(
        settings.schedule,
        settings.learning_rate,
        num_epochs=settings.epochs,
        steps_per_epoch=steps_per_epoch,
        milestones=settings.milestones,
        warmup_epochs=settings.warmup_epochs,
    )
    groups = optimizer.parameter_groups(
        network.trainable_params(), is_classifier_faster=settings.is_classifier_faster
    )
    for group in groups:
        logger.info(
            "%s: %d tensors, learning rate x%g, weight decay x%g",
            group.name,
            len(group.parameters),
            group.rate_factor,
            group.decay_factor,
        )
    updates = optimizer.make_optimizer(
        settings.optimizer,
        groups,
        rates,
        weight_decay=settings.weight_decay,
        momentum=settings.momentum,
    )
    minimised = loss.make_loss(settings.label_smoothing)
    train_step = step.TrainStep(network, minimised, updates, settings.clip_gradient)
    return train_step, rates


def _train_epoch(
    train_step: step.TrainStep,
    batches: dataset.Dataset,
    epoch: int,
    settings: config.TrainConfig,
) -> _EpochStats:
    train_step.set_train(True)
    steps_per_epoch = batches.get_dataset_size()
    bar = tqdm.tqdm(
        batches.create_dict_iterator(num_epochs=1),
        desc=f"epoch {epoch + 1}/{settings.epochs}",
        total=steps_per_epoch,
        unit="step",
        file=sys.stderr,
        disable=None,  # unless standard error is a terminal
    )
    top_k, sum_loss, num_timed = TopK.empty(), 0.0, 0
    began = time.monotonic()
    for index, batch in enumerate(bar):
        loss_tensor, logits = train_step(batch["frames"], batch["label"])
        value = float(loss_tensor.asnumpy())
        if not math.isfinite(value):
            raise TrainingError(
                f"the loss is {value} at step {epoch * steps_per_epoch + index}, in "
                f"epoch {epoch}: try a lower learning_rate, a warm-up or clip_gradient"
            )
        top_k = top_k.merge(TopK.of(logits.asnumpy(), batch["label"].asnumpy()))
        sum_loss += value
        num_timed += len(logits)
        if epoch == 0 and index == 0:  # compiling is not training
            began, num_timed = time.monotonic(), 0
        bar.set_postfix(loss=f"{value:.3f}", refresh=False)
        if (index + 1) % settings.log_every == 0:
            logger.info("step %d of epoch %d: loss %.4f", index + 1, epoch + 1, value)
    seconds = time.monotonic() - began
    return _EpochStats(
        sum_loss / steps_per_epoch, top_k, steps_per_epoch, num_timed, seconds
    )


def _save(
    network: TSM,
    folder: run_folder.RunFolder,
    facts: Mapping[str, Any],
    *,
    is_best: bool,
    num_kept: int,
) -> None:
    epoch = facts["epoch"]
    checkpoint.save(network, folder.epoch_checkpoint(epoch), facts)
    if is_best:
        checkpoint.save(network, folder.best_checkpoint, facts)
    folder.epoch_checkpoint(epoch - num_kept).unlink(missing_ok=True)


def _score_if_due(
    score: Callable[[], TopK], epoch: int, settings: config.TrainConfig
) -> TopK | None:
    is_last = epoch + 1 == settings.epochs
    is_due = (epoch + 1) % settings.evaluate_every == 0 or is_last
    return score() if is_due else None


def _metrics(
    epoch: int,
    num_steps: int,
    learning_rate: float,
    stats: _EpochStats,
    top_k: TopK | None,
) -> dict[str, Any]:
    """Returns an epoch's line of metrics; `step` counts the steps done."""
    return {
        "epoch": epoch,
        "step": num_steps,
        "learning_rate": learning_rate,
        "loss": stats.loss,
        "train_top1": stats.top_k.top1,
        "top1": top_k.top1 if top_k else None,
        "top5": top_k.top5 if top_k else None,
        "num_clips": top_k.num_clips if top_k else 0,
        "seconds": round(stats.seconds, 3),
        "clips_per_second": _rate(stats),
    }


def _told(line: Mapping[str, Any]) -> str:
    text = (
        f"loss {line['loss']:.4f}, train top-1 {line['train_top1']:.4f}, "
        f"{line['clips_per_second']:.1f} clips/s"
    )
    if line["top1"] is None:
        return text
    return f"{text}, validation top-1 {line['top1']:.4f}, top-5 {line['top5']:.4f}"


def _rate(*stats: _EpochStats) -> float:
    seconds = sum(epoch.seconds for epoch in stats)
    num_timed = sum(epoch.num_timed for epoch in stats)
    return round(num_timed / seconds, 3) if seconds and num_timed else 0.0
