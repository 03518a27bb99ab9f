"""Residual networks for 2-D frames, with the temporal shift put into their blocks.

The arithmetic is torchvision's, which TSM was trained with: the stride is on the 3x3
convolution of a bottleneck, batch norm has eps 1e-5. Names are torchvision's too
(`layer1.0.conv1`, `downsample.0`), except batch norm's, which are MindSpore's.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from mindspore import Tensor, nn, ops

from model import layers, non_local, temporal_pool
from model.temporal import Temporal

__all__ = ["RESNETS", "ResNet"]

_NON_LOCAL_BLOCKS = ((), (0, 2), (0, 2, 4), ())  # by stage, as the authors chose


class BasicBlock(nn.Cell):
    """Two 3x3 convolutions and a shortcut (ResNet-18 and -34)."""

    expansion = 1

    def __init__(
        self, in_channels: int, channels: int, stride: int, shift: Any = None
    ) -> None:
        super().__init__()
        conv1 = layers.conv(in_channels, channels, 3, stride)
        self.conv1 = shift(conv1, in_channels=in_channels) if shift else conv1
        self.bn1 = layers.norm(channels)
        self.conv2 = layers.conv(channels, channels, 3)
        self.bn2 = layers.norm(channels)
        self.relu = nn.ReLU()
        self.downsample = _shortcut(in_channels, channels, stride)

    def construct(self, x: Tensor) -> Tensor:
        """Returns (N, channels, H / stride, W / stride)."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + self.downsample(x))


class Bottleneck(nn.Cell):
    """1x1, 3x3 and 1x1 convolutions and a shortcut (ResNet-50 and deeper)."""

    expansion = 4

    def __init__(
        self, in_channels: int, channels: int, stride: int, shift: Any = None
    ) -> None:
        super().__init__()
        out_channels = channels * self.expansion
        conv1 = layers.conv(in_channels, channels, 1)
        self.conv1 = shift(conv1, in_channels=in_channels) if shift else conv1
        self.bn1 = layers.norm(channels)
        self.conv2 = layers.conv(channels, channels, 3, stride)
        self.bn2 = layers.norm(channels)
        self.conv3 = layers.conv(channels, out_channels, 1)
        self.bn3 = layers.norm(out_channels)
        self.relu = nn.ReLU()
        self.downsample = _shortcut(in_channels, out_channels, stride)

    def construct(self, x: Tensor) -> Tensor:
        """Returns (N, 4 * channels, H / stride, W / stride)."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + self.downsample(x))


@dataclass(frozen=True, slots=True)
class ResNetLayout:
    """The blocks of a ResNet.

    Attributes:
      blocks: number of residual blocks in each of the four stages.
      shift_every: n shifts the first convolution's input in every n-th block of a
        stage; in place "block" all are shifted, as in the authors' code.
    """

    block: type[BasicBlock] | type[Bottleneck]
    blocks: tuple[int, int, int, int]
    shift_every: int = 1

    @property
    def has_non_local_room(self) -> bool:
        """Whether the stages are deep enough for the non-local blocks behind theirs."""
        return all(
            len(indices) == 0 or max(indices) < num_blocks
            for indices, num_blocks in zip(_NON_LOCAL_BLOCKS, self.blocks, strict=True)
        )


RESNETS: dict[str, ResNetLayout] = {
    "resnet18": ResNetLayout(BasicBlock, (2, 2, 2, 2)),
    "resnet34": ResNetLayout(BasicBlock, (3, 4, 6, 3)),
    "resnet50": ResNetLayout(Bottleneck, (3, 4, 6, 3)),
    "resnet101": ResNetLayout(Bottleneck, (3, 4, 23, 3), shift_every=2),
}


class ResNet(nn.Cell):
    """A ResNet without its classifier.

    Args:
      layout: an entry of RESNETS.
      width: channels of the stem; 64 is the published network.
      temporal: where segments are mixed.

    Attributes:
      num_features: length of the feature vector of a frame.
    """

    def __init__(self, layout: ResNetLayout, width: int, temporal: Temporal) -> None:
        super().__init__()
        self.conv1 = layers.conv(3, width, 7, stride=2)
        self.bn1 = layers.norm(width)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, pad_mode="valid")
        stages = [_stage(layout, width, temporal, index) for index in range(4)]
        if temporal.has_pool:
            stages[1] = temporal_pool.TemporalPool(stages[1], temporal.num_segments)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.num_features = (width << 3) * layout.block.expansion

    def construct(self, x: Tensor) -> Tensor:
        """Returns (N, num_features) for frames (N, 3, H, W), averaged over pixels."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.maxpool(_padded(x))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean(axis=(2, 3))


def _padded(x: Tensor) -> Tensor:
    """Returns (N, C, H + 2, W + 2): x in a frame of zeros.

    For pooling, which could not be exported to ONNX if it padded by itself; zeros equal
    -inf there because nothing after a ReLU is negative. Concatenation takes a tenth of
    the time of nn.Pad on a CPU.
    """
    row = ops.zeros_like(x[:, :, :1])
    x = ops.cat((row, x, row), axis=2)
    column = ops.zeros_like(x[:, :, :, :1])
    return ops.cat((column, x, column), axis=3)


def _stage(
    layout: ResNetLayout, width: int, temporal: Temporal, stage_index: int
) -> nn.SequentialCell:
    channels = width << stage_index
    out_channels = channels * layout.block.expansion
    in_channels = width if stage_index == 0 else out_channels // 2
    num_segments = (
        temporal.num_pooled_segments if stage_index else temporal.num_segments
    )
    blocks = []
    for block_index in range(layout.blocks[stage_index]):
        stride = 2 if stage_index > 0 and block_index == 0 else 1
        sizes = (in_channels, channels, stride)
        shift = partial(temporal.shift, num_segments=num_segments)
        if temporal.shift_place == "block":
            block = shift(layout.block(*sizes), in_channels=in_channels)
        elif (
            temporal.shift_place == "blockres" and not block_index % layout.shift_every
        ):
            block = layout.block(*sizes, shift)
        else:
            block = layout.block(*sizes)
        if temporal.has_non_local and block_index in _NON_LOCAL_BLOCKS[stage_index]:
            block = non_local.WithNonLocal(
                block, channels=out_channels, num_segments=num_segments
            )
        blocks.append(block)
        in_channels = out_channels
    return nn.SequentialCell(blocks)


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Cell:
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return nn.SequentialCell(
        layers.conv(in_channels, out_channels, 1, stride), layers.norm(out_channels)
    )
