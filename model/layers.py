"""The convolution and the batch norm of both frame networks, as in torchvision."""

from mindspore import nn
from mindspore.common.initializer import HeNormal

__all__ = ["conv", "norm"]


def conv(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    stride: int = 1,
    *,
    groups: int = 1,
) -> nn.Conv2d:
    """Returns a convolution without bias that keeps H and W, but for its stride."""
    return nn.Conv2d(
        in_channels,
        out_channels,
        kernel_size,
        stride=stride,
        pad_mode="pad",
        padding=kernel_size // 2,
        group=groups,
        weight_init=HeNormal(mode="fan_out", nonlinearity="relu"),
    )


def norm(channels: int) -> nn.BatchNorm2d:
    """Returns a batch norm with eps 1e-5; its scale begins at one.

    Not at zero in a block's last norm: the shift is in the block and would do nothing.
    """
    # MindSpore's momentum is one less PyTorch's: 0.9 here is its 0.1.
    return nn.BatchNorm2d(channels, eps=1e-5, momentum=0.9)
