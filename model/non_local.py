"""Non-local blocks (arXiv:1711.07971): attention between all positions of a clip.

The kind is TSM's: embedded Gaussian in space and time, half the channels inside, keys
and values from every second row and column. The convolutions are 1x1x1, so here they
are 1x1 on frames; names are those of the authors' code (`nl.theta`, `nl.W.0`).
"""

from mindspore import Tensor, nn, ops

__all__ = ["NonLocal", "WithNonLocal"]


class NonLocal(nn.Cell):
    """Adds to each position the mean of its clip, weighted by similarity.

    A new block changes nothing: its last norm begins with gamma zero.

    Args:
      channels: C of the (N*T, C, H, W) input.
      num_segments: T.
    """

    def __init__(self, channels: int, num_segments: int) -> None:
        super().__init__()
        inner = max(1, channels // 2)
        self.num_segments = num_segments
        self.inner = inner
        self.g = nn.SequentialCell(_conv(channels, inner), _halved())
        self.theta = _conv(channels, inner)
        self.phi = nn.SequentialCell(_conv(channels, inner), _halved())
        norm = nn.BatchNorm2d(channels, eps=1e-5, momentum=0.9, gamma_init="zeros")
        self.W = nn.SequentialCell(_conv(inner, channels), norm)

    def construct(self, x: Tensor) -> Tensor:
        """Returns (N*T, C, H, W) for x of that shape."""
        _, _, height, width = x.shape
        values = self._places(self.g(x))  # (N, T*H*W/4, C/2)
        queries = self._places(self.theta(x))  # (N, T*H*W, C/2)
        keys = self._places(self.phi(x))
        weights = ops.softmax(ops.matmul(queries, keys.transpose(0, 2, 1)), axis=-1)
        means = ops.matmul(weights, values).reshape((-1, height, width, self.inner))
        return self.W(means.transpose(0, 3, 1, 2)) + x

    def _places(self, x: Tensor) -> Tensor:
        """Returns (N, T*H*W, C) for (N*T, C, H, W)."""
        _, channels, height, width = x.shape
        num_places = self.num_segments * height * width
        return x.transpose(0, 2, 3, 1).reshape((-1, num_places, channels))


class WithNonLocal(nn.Cell):
    """A block of a frame network with a non-local block behind it.

    Args:
      block: puts out (N*T, channels, H, W).
      channels: of the block's output.
      num_segments: T.
    """

    def __init__(self, block: nn.Cell, *, channels: int, num_segments: int) -> None:
        super().__init__()
        self.block = block
        self.nl = NonLocal(channels, num_segments)

    def construct(self, x: Tensor) -> Tensor:
        """Returns the non-local block's output, of the same shape as the block's."""
        return self.nl(self.block(x))


def _conv(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 1, has_bias=True)


def _halved() -> nn.MaxPool2d:
    return nn.MaxPool2d(kernel_size=2, stride=2, pad_mode="valid")
