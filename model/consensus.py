"""How the logits of T segments become those of a clip."""

from collections.abc import Callable

from mindspore import Tensor

__all__ = ["CONSENSUSES", "average", "identity"]


def average(logits: Tensor) -> Tensor:
    """Returns the mean over the segments: (N, T, K) -> (N, K)."""
    return logits.mean(axis=1)


def identity(logits: Tensor) -> Tensor:
    """Returns the segments' own logits: (N, T, K) -> (N, T, K)."""
    return logits


CONSENSUSES: dict[str, Callable[[Tensor], Tensor]] = {
    "avg": average,
    "identity": identity,
}
