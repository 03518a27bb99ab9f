"""Temporal pooling: halves the segments after one stage of a network."""

from mindspore import Tensor, nn, ops

__all__ = ["TemporalPool", "temporal_pool"]


def temporal_pool(x: Tensor, num_segments: int) -> Tensor:
    """Returns every second segment, as the maximum of itself and its two neighbours.

    Args:
      x: (N*T, C, H, W), clip-major; T = num_segments, even.

    Returns:
      (N*T/2, C, H, W): segments 0, 2, 4, ... The first has only a later neighbour.
    """
    _, channels, height, width = x.shape
    pairs = x.reshape((-1, num_segments // 2, 2, channels, height, width))
    kept, later = pairs[:, :, 0], pairs[:, :, 1]  # (N, T/2, C, H, W)
    earlier = ops.cat((later[:, :1], later[:, :-1]), axis=1)
    pooled = ops.maximum(kept, ops.maximum(earlier, later))
    return pooled.reshape((-1, channels, height, width))


class TemporalPool(nn.Cell):
    """Halves the segments, then applies `net`, whose name is that of the authors' code.

    Args:
      net: what to apply to (N*T/2, C, H, W).
      num_segments: T of the input.
    """

    def __init__(self, net: nn.Cell, num_segments: int) -> None:
        super().__init__()
        if num_segments < 2 or num_segments % 2:
            raise ValueError(
                f"temporal pooling needs an even number of segments, got {num_segments}"
            )
        self.net = net
        self.num_segments = num_segments

    def construct(self, x: Tensor) -> Tensor:
        """Returns `net` of every second segment of x (N*T, C, H, W)."""
        return self.net(temporal_pool(x, self.num_segments))
