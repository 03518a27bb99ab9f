"""Trains a network step by step: loss, optimizer, precision and dropout together."""

import contextlib
import dataclasses
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from mindspore import Parameter, Tensor, amp, dtype, nn

from eval.running.rank_group import Ranks
from model.tsm import TSM
from train import (
    checkpoints,
    config,
    dropout,
    mixup,
    optimizer,
    precise_norm,
    rand_augment,
    schedule,
    step,
    sync_norm,
)
from train.clips import Batch
from train.weight_average import WeightAverage

__all__ = ["Inputs", "Learner", "Outcome", "Pending"]

logger = logging.getLogger(__name__)

_SCALE_FACTOR = 2  # by which a loss scale rises and falls
_SCALE_STEPS = 1000  # without an overflow, after which it rises
_NORM_STATISTICS = ("moving_mean", "moving_variance")


Inputs = Sequence[tuple[Tensor, ...]]
"""What a step computes by: a tuple for each part of the batch, in their order."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """The figures of one step.

    Attributes:
      loss: mean over the clips of all ranks, before the update.
      norm: of all gradients together, before they are clipped.
      logits: (N, K) of this rank's clips, before the update.
      is_finite: no gradient overflowed, as the device finds that out.
      is_skipped: nothing was updated, as the loss scale was too high; it is halved.
    """

    loss: float
    norm: float
    logits: npt.NDArray[np.float32]
    is_finite: bool = True
    is_skipped: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Pending:
    """A step that a device may still be at work on.

    Attributes:
      batch: its clips; their memory is the reader's, and is not used for other clips
        while this refers to it.
    """

    batch: Batch
    inputs: Inputs
    figures: step.Figures

    def read(self) -> Outcome:
        """Waits for the step and returns its figures."""
        logits = [part.asnumpy().astype(np.float32) for part in self.figures.logits]
        return Outcome(
            float(self.figures.loss.asnumpy()),
            float(self.figures.norm.asnumpy()),
            np.concatenate(logits),
            is_finite=bool(self.figures.is_finite.asnumpy()),
            is_skipped=bool(self.figures.is_skipped.asnumpy()),
        )


class Learner:
    """Trains a network step by step.

    Attributes:
      network: as it is saved and used.
      rates: the learning rate of every step, before the groups' factors.
    """

    def __init__(
        self,
        network: TSM,
        settings: config.TrainConfig,
        steps_per_epoch: int,
        ranks: Ranks,
    ) -> None:
        self.network = network
        self.rates = schedule.learning_rates(
            settings.schedule,
            settings.scaled_learning_rate,
            num_epochs=settings.epochs,
            steps_per_epoch=steps_per_epoch,
            milestones=settings.milestones,
            warmup_epochs=settings.warmup_epochs,
        )
        self._ranks = ranks
        num_clips = settings.clips_per_step // ranks.num_ranks
        self._settings = settings
        self._num_parts = settings.accumulate
        self._first_clip = ranks.rank * num_clips
        self._dropout = dropout.Dropout(
            network, num_clips, first_clip=self._first_clip, seed=settings.seed
        )
        if settings.sync_norm and ranks.num_ranks > 1:
            sync_norm.synchronise(network, ranks.num_ranks)
        self._optimizer = _make_optimizer(network, settings, self.rates)
        trained, loss_scale = _at_precision(network, settings)
        self._loss_scale = None if isinstance(loss_scale, float) else loss_scale
        whole_step = step.TrainStep(
            trained,
            step.make_loss(settings.label_smoothing),
            self._optimizer,
            clip_gradient=settings.clip_gradient,
            loss_scale=loss_scale,
            num_ranks=ranks.num_ranks,
        )
        self._step: step.TrainStep | step.AccumulatedStep = whole_step
        if self._num_parts > 1:
            self._step = step.AccumulatedStep(whole_step, self._num_parts)
        self._average: WeightAverage | None = None
        if settings.ema_decay:
            self._average = WeightAverage(network, settings.ema_decay)

    def begin(self) -> None:
        """Makes all ranks begin with the network of the first."""
        self._ranks.equalise(self.network.get_parameters())
        if self._average is not None:
            self._average.restart()

    def prepare(self, batch: Batch, step_index: int) -> Inputs:
        """Returns what a step needs; `step_index` counts from 0 over all epochs."""
        arrays: list[npt.NDArray[Any]] = [*self._augmented(batch, step_index)]
        kept = self._dropout.draw(step_index)
        if kept is not None:
            arrays.append(kept)
        parts = [np.split(array, self._num_parts) for array in arrays]
        return [
            tuple(map(Tensor.from_numpy, part)) for part in zip(*parts, strict=True)
        ]

    def _augmented(self, batch: Batch, step_index: int) -> tuple[npt.NDArray[Any], ...]:
        """Returns frames and label_ids, or the labels' probabilities of mixed clips."""
        frames, label_ids = batch
        place = {"seed": self._settings.seed, "step": step_index}
        if self._settings.rand_augment_ops:
            changed = [
                rand_augment.augment(
                    clip,
                    rand_augment.draw(
                        self._settings.rand_augment_ops,
                        clip=self._first_clip + row,
                        **place,
                    ),
                    self._settings.rand_augment_magnitude,
                )
                for row, clip in enumerate(frames)
            ]
            frames = np.stack(changed)
        if not self._settings.mixup_alpha:
            return frames, label_ids
        own = mixup.shares(
            self._settings.mixup_alpha,
            len(frames),
            first_clip=self._first_clip,
            **place,
        )
        return mixup.mix(frames, label_ids, own, self.network.config.num_classes)

    def launch(self, batch: Batch, inputs: Inputs) -> Pending:
        """Starts a step by a batch's inputs and returns without waiting for it."""
        self._step.set_train(True)
        figures = self._step.run(inputs)
        if self._average is not None:
            self._average(figures.is_skipped)
        return Pending(batch, inputs, figures)

    def learn(self, batch: Batch, step_index: int) -> Outcome:
        """Trains by a batch and waits; `step_index` counts from 0 over all epochs."""
        return self.launch(batch, self.prepare(batch, step_index)).read()

    def tensors(self) -> dict[str, Parameter]:
        """Returns the tensors of the optimizer, loss scale and averages, by name."""
        own = {p.name for p in self.network.get_parameters()}
        all_tensors = {p.name: p for p in self._optimizer.get_parameters()}
        tensors = {
            name: p
            for name, p in all_tensors.items()
            # The rates are a function of the configuration, whose epochs may grow.
            if name not in own and not name.startswith(checkpoints.RATES)
        }
        if self._loss_scale is not None:
            tensors["loss_scale"] = self._loss_scale.scale_value
            tensors["loss_scale_counter"] = self._loss_scale.counter
        if self._average is not None:
            tensors |= self._average.tensors()
        return tensors

    @contextlib.contextmanager
    def as_evaluated(self, batches: Iterable[Batch]) -> Iterator[None]:
        """Sets the network to what is evaluated during the block: see its card.

        The averages of its weights, where there are any, and batch norm's statistics by
        these weights. After the block all is as it was.

        Args:
          batches: by which precise statistics are made, where they are.
        """
        card, parts = self.network.card, []
        with contextlib.ExitStack() as stack:
            if self._average is not None:
                stack.enter_context(self._average.in_use())
                parts.append(f"averaged with decay {self._settings.ema_decay}")
            if self._settings.precise_bn_steps:
                inputs = self._undropped(batches)
                stack.enter_context(
                    precise_norm.in_use(self.network, inputs, self._ranks)
                )
                num_steps = self._settings.precise_bn_steps
                parts.append(f"batch norm's statistics of {num_steps} steps")
            if parts:
                state = "; ".join(parts)
                self.network.card = dataclasses.replace(card, parameters=state)
            try:
                yield
            finally:
                self.network.card = card

    def _undropped(self, batches: Iterable[Batch]) -> Iterator[tuple[Tensor, ...]]:
        """Yields what the network computes by, without changes and with no dropout."""
        for frames, _ in batches:
            for part in np.split(frames, self._num_parts):
                kept = self._dropout.none(len(part))
                yield tuple(map(Tensor, (part,) if kept is None else (part, kept)))

    def synchronise_norms(self) -> None:
        """Sets batch norm's running statistics to their means over the ranks."""
        averages = () if self._average is None else self._average.averages
        self._ranks.average(
            parameter
            for parameter in (*self.network.get_parameters(), *averages)
            if parameter.name.endswith(_NORM_STATISTICS)
        )

    @property
    def loss_scale(self) -> float | None:
        """The loss scale at this moment, None where none moves; waits for the steps."""
        scale = self._loss_scale
        return None if scale is None else float(scale.scale_value.asnumpy())


def _at_precision(
    network: TSM, settings: config.TrainConfig
) -> tuple[nn.Cell, amp.DynamicLossScaler | float | None]:
    trained = network
    if settings.amp_level != "O0":
        trained = amp.auto_mixed_precision(network, settings.amp_level, dtype.float16)
    if settings.static_loss_scale is not None or settings.amp_level == "O0":
        return trained, settings.static_loss_scale
    scale = amp.DynamicLossScaler(settings.loss_scale, _SCALE_FACTOR, _SCALE_STEPS)
    return trained, scale


def _make_optimizer(
    network: TSM, settings: config.TrainConfig, rates: npt.NDArray[np.float32]
) -> nn.Optimizer:
    groups = optimizer.parameter_groups(
        network.trainable_params(), is_classifier_faster=settings.is_classifier_faster
    )
    for group in groups:
        logger.debug(
            "%s: %d tensors, learning rate x%g, weight decay x%g",
            group.name,
            len(group.parameters),
            group.rate_factor,
            group.decay_factor,
        )
    return optimizer.make_optimizer(
        settings.optimizer,
        groups,
        rates,
        weight_decay=settings.weight_decay,
        momentum=settings.momentum,
    )
