"""The compiled training step and its loss."""

from collections.abc import Callable

import mindspore
from mindspore import Tensor, amp, nn, ops

__all__ = ["TrainStep", "make_loss"]


def make_loss(label_smoothing: float) -> Callable[[Tensor, Tensor], Tensor]:
    """Returns the mean cross entropy of logits (N, K) and label_ids (N,).

    With smoothing s the target is 1 - s + s / K for the label and s / K for the others.
    """
    loss: Callable[[Tensor, Tensor], Tensor] = nn.CrossEntropyLoss(
        label_smoothing=label_smoothing
    )
    return loss


class TrainStep(nn.Cell):
    """Runs one training step on a batch: forward, gradients, clipping, update.

    It is compiled at its first call, for the shapes of that call.

    Args:
      network: frames (N, T, 3, H, W) to logits (N, K).
      loss_function: of logits and label_ids (N,).
      optimizer: of the network's trainable parameters.
      clip_gradient: global norm above which all gradients are scaled down together;
        None: never.
      loss_scale: multiplies the loss, so that gradients of half precision do not
        vanish, and is taken out again. It falls where a gradient overflows, and nothing
        is updated then. None: no scale.
      num_ranks: processes whose gradients are averaged before they are clipped.
    """

    def __init__(
        self,
        network: nn.Cell,
        loss_function: Callable[[Tensor, Tensor], Tensor],
        optimizer: nn.Optimizer,
        *,
        clip_gradient: float | None = None,
        loss_scale: amp.DynamicLossScaler | None = None,
        num_ranks: int = 1,
    ) -> None:
        super().__init__(auto_prefix=False)  # parameters keep the network's names
        self.network = network
        self.optimizer = optimizer
        self.clip_gradient = clip_gradient
        self.loss_scale = loss_scale
        self.num_ranks = num_ranks
        if num_ranks > 1:
            self.all_reduce = ops.AllReduce(ops.ReduceOp.SUM)

        def forward(frames: Tensor, label_ids: Tensor) -> tuple[Tensor, ...]:
            logits = network(frames)
            loss = loss_function(logits, label_ids)
            scaled = loss if loss_scale is None else loss_scale.scale(loss)
            return scaled, loss, logits

        self.value_and_grad = mindspore.value_and_grad(
            forward, None, optimizer.parameters, has_aux=True
        )

    def construct(
        self, frames: Tensor, label_ids: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the loss, the logits (N, K), both of before the update, and the norm.

        The norm is of all gradients together, before they are clipped. Loss and norm
        are of all ranks' clips, the logits of this rank's.
        """
        (_, loss, logits), gradients = self.value_and_grad(frames, label_ids)
        if self.loss_scale is not None:
            gradients = self.loss_scale.unscale(gradients)
        if self.num_ranks > 1:
            loss, gradients = self._averaged(loss, gradients)
        norm = ops.sqrt(sum([ops.square(gradient).sum() for gradient in gradients]))
        if self.clip_gradient is not None:
            factor = self.clip_gradient / ops.maximum(norm, self.clip_gradient)
            gradients = tuple([gradient * factor for gradient in gradients])
        if self.loss_scale is None:
            self.optimizer(gradients)
        else:
            is_finite = ops.isfinite(norm)
            self.loss_scale.adjust(is_finite)
            if is_finite:
                self.optimizer(gradients)
        return loss, logits, norm

    def _averaged(
        self, loss: Tensor, gradients: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        # One message: several could be sent in another order by every rank.
        parts = [gradient.reshape((-1,)) for gradient in gradients]
        flat = ops.cat([loss.reshape((1,)), *parts])
        flat = self.all_reduce(flat) / self.num_ranks
        averaged, begin = [], 1
        for gradient in gradients:
            end = begin + gradient.size
            averaged.append(flat[begin:end].reshape(gradient.shape))
            begin = end
        return flat[0], tuple(averaged)
