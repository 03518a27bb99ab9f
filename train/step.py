"""The compiled training step and its loss."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import mindspore
from mindspore import Parameter, Tensor, amp, nn, ops

from train import gradient_buckets

__all__ = ["AccumulatedStep", "Figures", "TrainStep", "make_loss"]


def make_loss(label_smoothing: float) -> Callable[[Tensor, Tensor], Tensor]:
    """Returns the mean cross entropy of logits (N, K) and label_ids (N,).

    With smoothing s the target is 1 - s + s / K for the label and s / K for the others.
    """
    loss: Callable[[Tensor, Tensor], Tensor] = nn.CrossEntropyLoss(
        label_smoothing=label_smoothing
    )
    return loss


class Figures(NamedTuple):
    """What a step computes besides the update; nothing here is waited for.

    Attributes:
      loss: mean over the clips of all ranks, before the update.
      norm: of all ranks' gradients together, before they are clipped.
      is_finite: whether no gradient overflowed, as the device finds that out.
      is_skipped: whether nothing was updated, as the loss scale was too high.
      logits: (N, K) of this rank's clips, before the update, for each part of them.
    """

    loss: Tensor
    norm: Tensor
    is_finite: Tensor
    is_skipped: Tensor
    logits: Sequence[Tensor]


class TrainStep(nn.Cell):  # type: ignore[misc]
    """Runs one training step on a batch: forward, gradients, clipping, update.

    It is compiled at its first call, for the shapes of that call.

    Args:
      network: frames (N, T, 3, H, W), and factors of its features where there is
        dropout, to logits (N, K).
      loss_function: of logits and label_ids (N,).
      optimizer: of the network's trainable parameters.
      clip_gradient: global norm above which all gradients are scaled down together;
        None: never.
      loss_scale: multiplies the loss, so that gradients of half precision do not
        vanish, and is taken out again. A scaler falls where a gradient overflows, and
        nothing is updated then; a number stays. None: no scale.
      num_ranks: processes whose gradients are averaged before they are clipped.
    """

    def __init__(
        self,
        network: nn.Cell,
        loss_function: Callable[[Tensor, Tensor], Tensor],
        optimizer: nn.Optimizer,
        *,
        clip_gradient: float | None = None,
        loss_scale: amp.DynamicLossScaler | float | None = None,
        num_ranks: int = 1,
    ) -> None:
        super().__init__(auto_prefix=False)  # parameters keep the network's names
        self.gradients = _Gradients(network, loss_function, optimizer, loss_scale)
        self.update = _Update(
            optimizer,
            _order_made(network, optimizer),
            clip_gradient=clip_gradient,
            loss_scale=_scaler(loss_scale),
            num_ranks=num_ranks,
        )

    def construct(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Returns loss, norm, is_finite, is_skipped and the logits; see Figures.

        Args:
          inputs: frames, label_ids (N,) and, with dropout, the features' factors.
        """
        loss, logits, gradients = self.gradients(*inputs)
        return (*self.update(loss, gradients), logits)

    def run(self, parts: Sequence[tuple[Tensor, ...]]) -> Figures:
        """Starts a step on a batch of one part and returns without waiting for it."""
        (inputs,) = parts
        loss, norm, is_finite, is_skipped, logits = self(*inputs)
        return Figures(loss, norm, is_finite, is_skipped, (logits,))


class AccumulatedStep:
    """Runs one training step on a batch in parts, which need less memory.

    The update is that of a TrainStep by the whole batch, but that batch norm takes its
    statistics from each part.

    Args:
      step: of which the pieces are used.
      num_parts: equally large parts of a batch.
    """

    def __init__(self, step: TrainStep, num_parts: int) -> None:
        self._add = _AddGradients(step.gradients, step.update.optimizer)
        self._apply = _ApplySums(self._add.sums, step.update, num_parts)

    def set_train(self, mode: bool = True) -> None:
        """Switches between training and use, as a cell does."""
        self._add.set_train(mode)
        self._apply.set_train(mode)

    def run(self, parts: Sequence[tuple[Tensor, ...]]) -> Figures:
        """Starts a step and returns without waiting for it."""
        losses, logits = zip(*(self._add(*inputs) for inputs in parts), strict=True)
        loss, norm, is_finite, is_skipped = self._apply(*losses)
        return Figures(loss, norm, is_finite, is_skipped, logits)


class _Gradients(nn.Cell):  # type: ignore[misc]
    """Loss, logits and gradients of a batch, without the loss scale."""

    def __init__(
        self,
        network: nn.Cell,
        loss_function: Callable[[Tensor, Tensor], Tensor],
        optimizer: nn.Optimizer,
        loss_scale: amp.DynamicLossScaler | float | None,
    ) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.scaler = _scaler(loss_scale)
        self.factor = loss_scale if self.scaler is None else None
        scaler, factor = self.scaler, self.factor

        def forward(
            frames: Tensor, label_ids: Tensor, *kept: Tensor
        ) -> tuple[Tensor, ...]:
            logits = network(frames, *kept)
            loss = loss_function(logits, label_ids)
            scaled = loss
            if scaler is not None:
                scaled = scaler.scale(loss)
            elif factor is not None:
                scaled = loss * factor
            return scaled, loss, logits

        self.value_and_grad = mindspore.value_and_grad(
            forward, None, optimizer.parameters, has_aux=True
        )

    def construct(self, *inputs: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        (_, loss, logits), gradients = self.value_and_grad(*inputs)
        if self.scaler is not None:
            gradients = self.scaler.unscale(gradients)
        elif self.factor is not None:
            gradients = tuple([gradient / self.factor for gradient in gradients])
        return loss, logits, gradients


class _Update(nn.Cell):  # type: ignore[misc]
    """Averages over the ranks, clips, and updates; returns a step's figures."""

    def __init__(
        self,
        optimizer: nn.Optimizer,
        order: Sequence[int],
        *,
        clip_gradient: float | None,
        loss_scale: amp.DynamicLossScaler | None,
        num_ranks: int,
    ) -> None:
        super().__init__(auto_prefix=False)
        self.optimizer = optimizer
        self.clip_gradient = clip_gradient
        self.loss_scale = loss_scale
        self.num_ranks = num_ranks
        if num_ranks > 1:
            sizes = [parameter.size for parameter in optimizer.parameters]
            members = gradient_buckets.buckets(
                sizes, order, gradient_buckets.BUCKET_SIZE
            )
            self.mean = gradient_buckets.BucketMean(members, num_ranks)
            self.all_reduce = ops.AllReduce(ops.ReduceOp.SUM)

    def construct(
        self, loss: Tensor, gradients: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if self.num_ranks > 1:
            gradients = self.mean(gradients)
        # MindSpore's own: an Ascend 910 has no infinity, but a status to ask for.
        is_finite = amp.all_finite(gradients)
        if self.num_ranks > 1:
            loss, is_finite = self._of_all_ranks(loss, is_finite, gradients[0])
        norm = ops.sqrt(sum([ops.square(gradient).sum() for gradient in gradients]))
        is_finite = ops.logical_and(is_finite, ops.isfinite(norm))
        if self.clip_gradient is not None:
            factor = self.clip_gradient / ops.maximum(norm, self.clip_gradient)
            gradients = tuple([gradient * factor for gradient in gradients])
        if self.loss_scale is None:
            self.optimizer(gradients)
            return loss, norm, is_finite, ops.zeros_like(is_finite)
        can_fall = self.loss_scale.scale_value > 1.0
        is_skipped = ops.logical_and(ops.logical_not(is_finite), can_fall)
        self.loss_scale.adjust(is_finite)
        if is_finite:
            self.optimizer(gradients)
        return loss, norm, is_finite, is_skipped

    def _of_all_ranks(
        self, loss: Tensor, is_finite: Tensor, last_sent: Tensor
    ) -> tuple[Tensor, Tensor]:
        overflow = 1.0 - is_finite.astype(loss.dtype)
        both = ops.stack([loss.reshape(()), overflow.reshape(())])
        # After the gradients' messages on every rank.
        both = self.all_reduce(ops.depend(both, last_sent))
        return both[0] / self.num_ranks, both[1] == 0.0


class _AddGradients(nn.Cell):  # type: ignore[misc]
    """Adds the gradients of a part of a batch to sums; returns loss and logits."""

    def __init__(self, gradients: _Gradients, optimizer: nn.Optimizer) -> None:
        super().__init__(auto_prefix=False)
        self.gradients = gradients
        self.sums = mindspore.ParameterTuple(
            Parameter(ops.zeros_like(p), name=f"sum.{p.name}", requires_grad=False)
            for p in optimizer.parameters
        )

    def construct(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        loss, logits, gradients = self.gradients(*inputs)
        for total, gradient in zip(self.sums, gradients):  # noqa: B905
            ops.assign_add(total, gradient)
        return loss, logits


class _ApplySums(nn.Cell):  # type: ignore[misc]
    """Updates by the mean of the summed gradients, then clears the sums."""

    def __init__(
        self, sums: mindspore.ParameterTuple, update: _Update, num_parts: int
    ) -> None:
        super().__init__(auto_prefix=False)
        self.sums, self.update, self.num_parts = sums, update, num_parts

    def construct(self, *losses: Tensor) -> tuple[Tensor, ...]:
        loss = sum(losses) / self.num_parts
        means = tuple([total / self.num_parts for total in self.sums])
        figures: tuple[Tensor, ...] = self.update(loss, means)
        for total in self.sums:
            ops.assign(total, ops.zeros_like(total))
        return figures


def _scaler(
    loss_scale: amp.DynamicLossScaler | float | None,
) -> amp.DynamicLossScaler | None:
    is_number = loss_scale is None or isinstance(loss_scale, float)
    return None if is_number else loss_scale


def _order_made(network: nn.Cell, optimizer: nn.Optimizer) -> list[int]:
    """Returns the indices of the optimizer's parameters, the last layers' first."""
    depth = {p.name: place for place, p in enumerate(network.trainable_params())}
    names = [parameter.name for parameter in optimizer.parameters]
    return sorted(range(len(names)), key=lambda index: -depth[names[index]])
