"""Trains a network step by step: loss, optimizer, precision and dropout together."""

import logging
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from mindspore import Parameter, Tensor, amp, dtype, nn

from eval.running.rank_group import Ranks
from model.tsm import TSM
from train import checkpoints, config, dropout, optimizer, schedule, step, sync_norm
from train.clips import Batch

__all__ = ["Learner", "Outcome"]

logger = logging.getLogger(__name__)

_SCALE_FACTOR = 2  # by which a loss scale rises and falls
_SCALE_STEPS = 1000  # without an overflow, after which it rises
_NORM_STATISTICS = ("moving_mean", "moving_variance")


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """The figures of one step.

    Attributes:
      loss: mean over the clips of all ranks, before the update.
      norm: of all gradients together, before they are clipped.
      logits: (N, K) of this rank's clips, before the update.
      is_skipped: nothing was updated, as the loss scale was too high; it is halved.
    """

    loss: float
    norm: float
    logits: npt.NDArray[np.float32]
    is_skipped: bool


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
        num_clips = settings.batch_size // ranks.num_ranks
        self._dropout = dropout.Dropout(
            network, num_clips, first_clip=ranks.rank * num_clips, seed=settings.seed
        )
        if settings.sync_norm and ranks.num_ranks > 1:
            sync_norm.synchronise(network, ranks.num_ranks)
        self._optimizer = _make_optimizer(network, settings, self.rates)
        trained, self._loss_scale = _at_precision(network, settings)
        self._step = step.TrainStep(
            trained,
            step.make_loss(settings.label_smoothing),
            self._optimizer,
            clip_gradient=settings.clip_gradient,
            loss_scale=self._loss_scale,
            num_ranks=ranks.num_ranks,
        )

    def learn(self, batch: Batch, step_index: int) -> Outcome:
        """Trains by a batch; `step_index` counts from 0 over all epochs."""
        self._dropout.choose(step_index)
        self._step.set_train(True)
        frames, label_ids = map(Tensor.from_numpy, batch)
        loss_value, logits, norm = self._step(frames, label_ids)
        norm_value = float(norm.asnumpy())
        return Outcome(
            float(loss_value.asnumpy()),
            norm_value,
            logits.asnumpy().astype(np.float32),
            is_skipped=not np.isfinite(norm_value) and self._can_scale_down(),
        )

    def tensors(self) -> dict[str, Parameter]:
        """Returns the tensors of the optimizer and of the loss scale, by name."""
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
        return tensors

    def synchronise_norms(self) -> None:
        """Sets batch norm's running statistics to their means over the ranks."""
        self._ranks.average(
            parameter
            for parameter in self.network.get_parameters()
            if parameter.name.endswith(_NORM_STATISTICS)
        )

    def _can_scale_down(self) -> bool:
        scale = self._loss_scale
        return scale is not None and float(scale.scale_value.asnumpy()) > 1.0


def _at_precision(
    network: TSM, settings: config.TrainConfig
) -> tuple[nn.Cell, amp.DynamicLossScaler | None]:
    if settings.amp_level == "O0":
        return network, None
    trained = amp.auto_mixed_precision(network, settings.amp_level, dtype.float16)
    scale = amp.DynamicLossScaler(settings.loss_scale, _SCALE_FACTOR, _SCALE_STEPS)
    return trained, scale


def _make_optimizer(
    network: TSM, settings: config.TrainConfig, rates: npt.NDArray[np.float32]
) -> nn.Optimizer:
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
    return optimizer.make_optimizer(
        settings.optimizer,
        groups,
        rates,
        weight_decay=settings.weight_decay,
        momentum=settings.momentum,
    )
