"""The loss of training."""

from collections.abc import Callable

from mindspore import Tensor, nn

__all__ = ["make_loss"]


def make_loss(label_smoothing: float) -> Callable[[Tensor, Tensor], Tensor]:
    """Returns the mean cross entropy of logits (N, K) and label_ids (N,).

    With smoothing s the target is 1 - s + s / K for the label and s / K for the others.
    """
    loss: Callable[[Tensor, Tensor], Tensor] = nn.CrossEntropyLoss(
        label_smoothing=label_smoothing
    )
    return loss
