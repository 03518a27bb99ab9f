"""Residual networks for 2-D frames, with the temporal shift put into their blocks.

The arithmetic is torchvision's, which TSM was trained with: the stride is on the 3x3
convolution of a bottleneck, batch norm has eps 1e-5. Names are torchvision's too
(`layer1.0.conv1`, `downsample.0`), except batch norm's, which are MindSpore's.
"""

from collections.abc import Callable
from dataclasses import dataclass

from mindspore import Tensor, nn, ops
from mindspore.common.initializer import HeNormal

__all__ = ["RESNETS", "SHIFT_PLACES", "BasicBlock", "Bottleneck", "ResNet", "Shift"]

SHIFT_PLACES = ("blockres", "block", "none")
"""Before a block's first convolution, before the whole block, or nowhere (TSN)."""

Shift = Callable[[nn.Cell, int], nn.Cell]
"""Wraps a cell that takes that many channels, so that its input is shifted."""


class BasicBlock(nn.Cell):  # type: ignore[misc]
    """Two 3x3 convolutions and a shortcut (ResNet-18 and -34)."""

    expansion = 1

    def __init__(
        self, in_channels: int, channels: int, stride: int, shift: Shift | None
    ) -> None:
        super().__init__()
        conv1 = _conv(in_channels, channels, 3, stride)
        self.conv1 = shift(conv1, in_channels) if shift else conv1
        self.bn1 = _norm(channels)
        self.conv2 = _conv(channels, channels, 3)
        self.bn2 = _norm(channels)
        self.relu = nn.ReLU()
        self.downsample = _shortcut(in_channels, channels, stride)

    def construct(self, x: Tensor) -> Tensor:
        """Returns (N, channels, H / stride, W / stride)."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + self.downsample(x))


class Bottleneck(nn.Cell):  # type: ignore[misc]
    """1x1, 3x3 and 1x1 convolutions and a shortcut (ResNet-50 and deeper)."""

    expansion = 4

    def __init__(
        self, in_channels: int, channels: int, stride: int, shift: Shift | None
    ) -> None:
        super().__init__()
        out_channels = channels * self.expansion
        conv1 = _conv(in_channels, channels, 1)
        self.conv1 = shift(conv1, in_channels) if shift else conv1
        self.bn1 = _norm(channels)
        self.conv2 = _conv(channels, channels, 3, stride)
        self.bn2 = _norm(channels)
        self.conv3 = _conv(channels, out_channels, 1)
        self.bn3 = _norm(out_channels)
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
    """Which blocks a ResNet is made of.

    Attributes:
      blocks: number of residual blocks in each of the four stages.
      shift_every: every how many blocks of a stage the input is shifted.
    """

    block: type[BasicBlock] | type[Bottleneck]
    blocks: tuple[int, int, int, int]
    shift_every: int = 1


RESNETS: dict[str, ResNetLayout] = {
    "resnet18": ResNetLayout(BasicBlock, (2, 2, 2, 2)),
    "resnet34": ResNetLayout(BasicBlock, (3, 4, 6, 3)),
    "resnet50": ResNetLayout(Bottleneck, (3, 4, 6, 3)),
    "resnet101": ResNetLayout(Bottleneck, (3, 4, 23, 3), shift_every=2),
}


class ResNet(nn.Cell):  # type: ignore[misc]
    """A ResNet without its classifier.

    Args:
      layout: an entry of RESNETS.
      width: channels of the stem; 64 is the published network.
      shift: what puts the temporal shift in front of a cell.
      shift_place: one of SHIFT_PLACES.

    Attributes:
      num_features: length of the feature vector of a frame.
    """

    def __init__(
        self, layout: ResNetLayout, width: int, shift: Shift, shift_place: str
    ) -> None:
        super().__init__()
        self.conv1 = _conv(3, width, 7, stride=2)
        self.bn1 = _norm(width)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, pad_mode="valid")
        in_channels = width
        stages = []
        for stage_index, num_blocks in enumerate(layout.blocks):
            channels = width << stage_index
            blocks = []
            for block_index in range(num_blocks):
                stride = 2 if stage_index > 0 and block_index == 0 else 1
                is_shifted = block_index % layout.shift_every == 0
                place = shift_place if is_shifted else "none"
                blocks.append(
                    _block(layout, (in_channels, channels, stride), shift, place)
                )
                in_channels = channels * layout.block.expansion
            stages.append(nn.SequentialCell(blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.num_features = in_channels

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
    clips, channels, height, width = x.shape
    row = ops.zeros((clips, channels, 1, width), x.dtype)
    x = ops.cat((row, x, row), axis=2)
    column = ops.zeros((clips, channels, height + 2, 1), x.dtype)
    return ops.cat((column, x, column), axis=3)


def _block(
    layout: ResNetLayout, sizes: tuple[int, int, int], shift: Shift, place: str
) -> nn.Cell:
    """Returns a block of (in_channels, channels, stride), shifted at `place`."""
    if place == "blockres":
        return layout.block(*sizes, shift)
    if place == "block":
        return shift(layout.block(*sizes, None), sizes[0])
    if place == "none":
        return layout.block(*sizes, None)
    raise ValueError(f"shift_place must be one of {SHIFT_PLACES}, got {place!r}")


def _conv(
    in_channels: int, out_channels: int, kernel_size: int, stride: int = 1
) -> nn.Conv2d:
    return nn.Conv2d(
        in_channels,
        out_channels,
        kernel_size,
        stride=stride,
        pad_mode="pad",
        padding=kernel_size // 2,
        weight_init=HeNormal(mode="fan_out", nonlinearity="relu"),
    )


def _norm(channels: int) -> nn.BatchNorm2d:
    # MindSpore's momentum is one less PyTorch's: 0.9 here is its 0.1. A block's last
    # norm does not begin at zero: the shift is in the blocks, and would do nothing.
    return nn.BatchNorm2d(channels, eps=1e-5, momentum=0.9)


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Cell:
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return nn.SequentialCell(
        _conv(in_channels, out_channels, 1, stride), _norm(out_channels)
    )
