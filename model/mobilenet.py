"""MobileNetV2 (arXiv:1801.04381) for frames, with the temporal shift in its blocks.

Arithmetic and names (`features.3.conv.0`) are those of the network that TSM was trained
with, except batch norm's names, which are MindSpore's.
"""

from functools import partial
from typing import Any

from mindspore import Tensor, nn

from model import layers
from model.temporal import Temporal

__all__ = ["FIRST_SHIFTED_CHANNELS", "MobileNetV2", "num_channels"]

# By stage: expansion inside a block, channels, blocks, stride of the first block.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_STEM_CHANNELS = 32
_NUM_FEATURES = 1280
_PUBLISHED_WIDTH = 64
FIRST_SHIFTED_CHANNELS = _STAGES[1][1]


def num_channels(published: int, width: int) -> int:
    """Returns the channels of a published layer at `width`, a multiple of 8."""
    return -(-published * width // (8 * _PUBLISHED_WIDTH)) * 8


class InvertedResidual(nn.Cell):
    """1x1, depthwise 3x3 and 1x1 convolutions, and a shortcut where sizes agree.

    Args:
      sizes: channels of the input, of the output, and the stride.
      expansion: inner channels over input channels; with 1 there is no first
        convolution.
      shift: wraps the first convolution.
    """

    def __init__(
        self, sizes: tuple[int, int, int], expansion: int, shift: Any = None
    ) -> None:
        super().__init__()
        in_channels, out_channels, stride = sizes
        inner = in_channels * expansion
        cells = []
        if expansion > 1:
            first = layers.conv(in_channels, inner, 1)
            cells += _activated(
                shift(first, in_channels=in_channels) if shift else first, inner
            )
        cells += _activated(layers.conv(inner, inner, 3, stride, groups=inner), inner)
        cells += [layers.conv(inner, out_channels, 1), layers.norm(out_channels)]
        self.conv = nn.SequentialCell(cells)
        self.has_shortcut = stride == 1 and in_channels == out_channels

    def construct(self, x: Tensor) -> Tensor:
        """Returns (N, out_channels, H / stride, W / stride)."""
        out = self.conv(x)
        return x + out if self.has_shortcut else out


class MobileNetV2(nn.Cell):
    """MobileNetV2 without its classifier.

    Args:
      width: 64 is the published network; the blocks' channels are in proportion, those
        of the stem and of the end are not (but grow with a width over 64).
      temporal: where segments are mixed; pooling and non-local blocks are not
        defined for this network.

    Attributes:
      num_features: length of the feature vector of a frame.
    """

    def __init__(self, width: int, temporal: Temporal) -> None:
        super().__init__()
        cells = [_layer(3, _STEM_CHANNELS, 3, stride=2)]
        in_channels = _STEM_CHANNELS
        for expansion, published, num_blocks, first_stride in _STAGES:
            channels = published if expansion == 1 else num_channels(published, width)
            for index in range(num_blocks):
                sizes = (in_channels, channels, 1 if index else first_stride)
                cells.append(_block(sizes, expansion, temporal))
                in_channels = channels
        self.num_features = max(_NUM_FEATURES, num_channels(_NUM_FEATURES, width))
        cells.append(_layer(in_channels, self.num_features, 1))
        self.features = nn.SequentialCell(cells)

    def construct(self, x: Tensor) -> Tensor:
        """Returns (N, num_features) for frames (N, 3, H, W), averaged over pixels."""
        return self.features(x).mean(axis=(2, 3))


def _block(sizes: tuple[int, int, int], expansion: int, temporal: Temporal) -> nn.Cell:
    """Returns a block, shifted if it has a shortcut around a first convolution."""
    in_channels, out_channels, stride = sizes
    is_shifted = expansion > 1 and stride == 1 and in_channels == out_channels
    shift = partial(temporal.shift, num_segments=temporal.num_segments)
    if is_shifted and temporal.shift_place == "blockres":
        return InvertedResidual(sizes, expansion, shift)
    block = InvertedResidual(sizes, expansion)
    if is_shifted and temporal.shift_place == "block":
        return shift(block, in_channels=in_channels)
    return block


def _layer(
    in_channels: int, out_channels: int, kernel_size: int, stride: int = 1
) -> nn.SequentialCell:
    conv = layers.conv(in_channels, out_channels, kernel_size, stride)
    return nn.SequentialCell(_activated(conv, out_channels))


def _activated(conv: nn.Cell, channels: int) -> list[nn.Cell]:
    return [conv, layers.norm(channels), nn.ReLU6()]
