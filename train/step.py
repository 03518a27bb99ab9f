"""One step of training."""

from collections.abc import Callable

import mindspore
from mindspore import Tensor, nn, ops

__all__ = ["TrainStep"]


class TrainStep(nn.Cell):  # type: ignore[misc]
    """Trains a network by one batch: forward, gradients, clipping, update.

    It is compiled at its first call, for the shapes of that call.

    Args:
      network: frames (N, T, 3, H, W) to logits (N, K).
      loss_function: of logits and label_ids (N,).
      optimizer: of the network's trainable parameters.
      clip_gradient: global norm above which all gradients are scaled down together;
        None: never.
    """

    def __init__(
        self,
        network: nn.Cell,
        loss_function: Callable[[Tensor, Tensor], Tensor],
        optimizer: nn.Optimizer,
        clip_gradient: float | None,
    ) -> None:
        super().__init__(auto_prefix=False)  # parameters keep the network's names
        self.network = network
        self.optimizer = optimizer
        self.clip_gradient = clip_gradient

        def forward(frames: Tensor, label_ids: Tensor) -> tuple[Tensor, Tensor]:
            logits = network(frames)
            return loss_function(logits, label_ids), logits

        self.value_and_grad = mindspore.value_and_grad(
            forward, None, optimizer.parameters, has_aux=True
        )

    def construct(self, frames: Tensor, label_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the loss and the logits (N, K), both of before the update."""
        (loss, logits), gradients = self.value_and_grad(frames, label_ids)
        if self.clip_gradient is not None:
            gradients = ops.clip_by_global_norm(gradients, self.clip_gradient)
        self.optimizer(gradients)
        return loss, logits
