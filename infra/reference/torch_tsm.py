"""TSM in plain PyTorch, with which the tests compare this project's networks.

Written from the papers and from what the authors' code computes; its layers have the
names of their checkpoints. Only what the arithmetic needs is here: no training.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["TorchTSM"]

BLOCKS = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
}
NON_LOCAL = {"layer2": (0, 2), "layer3": (0, 2, 4)}


class Shift(nn.Module):
    """Moves channels between the segments of a clip in front of `net`."""

    def __init__(self, net: nn.Module, segments: int, div: int, mode: str) -> None:
        super().__init__()
        self.net, self.segments, self.div, self.mode = net, segments, div, mode

    def forward(self, x: Tensor) -> Tensor:
        clips = x.unflatten(0, (-1, self.segments))
        fold = x.shape[1] // self.div
        moved = clips.clone()
        if self.mode == "online":
            moved[:, 0, :fold] = 0
            moved[:, 1:, :fold] = clips[:, :-1, :fold]
        else:
            moved[:, -1, :fold] = 0
            moved[:, :-1, :fold] = clips[:, 1:, :fold]
            moved[:, 0, fold : 2 * fold] = 0
            moved[:, 1:, fold : 2 * fold] = clips[:, :-1, fold : 2 * fold]
        return self.net(moved.flatten(0, 1))


class Pool(nn.Module):
    """Halves the segments in front of `net`."""

    def __init__(self, net: nn.Module, segments: int) -> None:
        super().__init__()
        self.net, self.segments = net, segments

    def forward(self, x: Tensor) -> Tensor:
        clips = x.unflatten(0, (-1, self.segments)).transpose(1, 2)
        pooled = functional.max_pool3d(clips, (3, 1, 1), (2, 1, 1), (1, 0, 0))
        return self.net(pooled.transpose(1, 2).flatten(0, 1))


class NonLocal(nn.Module):
    """Embedded Gaussian attention over all pixels of all segments."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 2
        self.theta = nn.Conv3d(channels, inner, 1)
        self.g = nn.Sequential(nn.Conv3d(channels, inner, 1), nn.MaxPool3d((1, 2, 2)))
        self.phi = nn.Sequential(nn.Conv3d(channels, inner, 1), nn.MaxPool3d((1, 2, 2)))
        self.W = nn.Sequential(nn.Conv3d(inner, channels, 1), nn.BatchNorm3d(channels))

    def forward(self, x: Tensor) -> Tensor:
        query, key = self.theta(x).flatten(2), self.phi(x).flatten(2)
        attention = torch.einsum("ncq,nck->nqk", query, key).softmax(-1)
        y = torch.einsum("nqk,nck->ncq", attention, self.g(x).flatten(2))
        return x + self.W(y.unflatten(2, x.shape[2:]))


class WithNonLocal(nn.Module):
    """A block and a non-local block behind it."""

    def __init__(self, block: nn.Module, channels: int, segments: int) -> None:
        super().__init__()
        self.block, self.nl, self.segments = block, NonLocal(channels), segments

    def forward(self, x: Tensor) -> Tensor:
        clips = self.block(x).unflatten(0, (-1, self.segments)).transpose(1, 2)
        return self.nl(clips).transpose(1, 2).flatten(0, 1)


class Residual(nn.Module):
    """A block of a ResNet: `kernels` (3, 3) or (1, 3, 1)."""

    def __init__(
        self, c_in: int, c: int, stride: int, kernels: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.num = len(kernels)
        c_out = c if self.num == 2 else 4 * c
        sizes = [c_in, *[c] * (self.num - 1), c_out]
        strided = 0 if self.num == 2 else 1  # the first 3x3 convolution
        for i, kernel in enumerate(kernels):
            step = stride if i == strided else 1
            conv = nn.Conv2d(
                sizes[i], sizes[i + 1], kernel, step, kernel // 2, bias=False
            )
            setattr(self, f"conv{i + 1}", conv)
            setattr(self, f"bn{i + 1}", nn.BatchNorm2d(sizes[i + 1]))
        self.downsample = nn.Sequential()
        if stride > 1 or c_in != c_out:
            self.downsample = nn.Sequential(
                nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for i in range(1, self.num + 1):
            out = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(out))
            out = out.relu() if i < self.num else out
        return (out + self.downsample(x)).relu()


class Inverted(nn.Module):
    """A block of MobileNetV2."""

    def __init__(self, c_in: int, c_out: int, stride: int, expansion: int) -> None:
        super().__init__()
        c = c_in * expansion
        layers = [] if expansion == 1 else activated(c_in, c, 1, 1)
        layers += activated(c, c, 3, stride, groups=c)
        layers += [nn.Conv2d(c, c_out, 1, bias=False), nn.BatchNorm2d(c_out)]
        self.conv = nn.Sequential(*layers)
        self.adds = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.adds else self.conv(x)


def activated(
    c_in: int, c_out: int, kernel: int, stride: int, groups: int = 1
) -> list[nn.Module]:
    conv = nn.Conv2d(
        c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False
    )
    return [conv, nn.BatchNorm2d(c_out), nn.ReLU6()]


class ResNet(nn.Module):
    """A ResNet up to its features."""

    def __init__(self, case: dict[str, Any]) -> None:
        super().__init__()
        width, arch, segments = case["width"], case["arch"], case["num_segments"]
        kernels = (3, 3) if arch in ("resnet18", "resnet34") else (1, 3, 1)
        expansion = 1 if len(kernels) == 2 else 4
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        c_in = width
        for stage, num_blocks in enumerate(BLOCKS[arch]):
            name, c = f"layer{stage + 1}", width * 2**stage
            t = segments // 2 if case.get("temporal_pool") and stage else segments
            blocks: list[nn.Module] = []
            for i in range(num_blocks):
                stride = 2 if stage and i == 0 else 1
                block: nn.Module = Residual(c_in, c, stride, kernels)
                block = with_shift(block, i, case, t)
                if case.get("non_local") and i in NON_LOCAL.get(name, ()):
                    block = WithNonLocal(block, c * expansion, t)
                blocks.append(block)
                c_in = c * expansion
            layer: nn.Module = nn.Sequential(*blocks)
            if case.get("temporal_pool") and stage == 1:
                layer = Pool(layer, segments)
            setattr(self, name, layer)
        self.num_features = c_in

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean((2, 3))


def with_shift(block: Any, index: int, case: dict[str, Any], t: int) -> nn.Module:
    div, mode = case["shift_div"], case.get("shift_mode", "offline")
    if case["shift_place"] == "block":
        return Shift(block, t, div, mode)
    every = 2 if case["arch"] == "resnet101" else 1
    if case["shift_place"] == "blockres" and index % every == 0:
        block.conv1 = Shift(block.conv1, t, div, mode)
    return block


class MobileNetV2(nn.Module):
    """MobileNetV2 up to its features."""

    SETTINGS = (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )

    def __init__(self, case: dict[str, Any]) -> None:
        super().__init__()
        t, div = case["num_segments"], case["shift_div"]
        mode, place = case.get("shift_mode", "offline"), case["shift_place"]
        layers: list[nn.Module] = [nn.Sequential(*activated(3, 32, 3, 2))]
        c_in = 32
        for expansion, c, n, stride in self.SETTINGS:
            c_out = c
            if expansion > 1:
                c_out = int(-(-c * case["width"] / 64 // 8)) * 8
            for i in range(n):
                block: Any = Inverted(c_in, c_out, 1 if i else stride, expansion)
                if block.adds and len(block.conv) == 8:
                    if place == "blockres":
                        block.conv[0] = Shift(block.conv[0], t, div, mode)
                    if place == "block":
                        block = Shift(block, t, div, mode)
                layers.append(block)
                c_in = c_out
        layers.append(nn.Sequential(*activated(c_in, 1280, 1, 1)))
        self.features = nn.Sequential(*layers)
        self.num_features = 1280

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x).mean((2, 3))


class TorchTSM(nn.Module):
    """Normalised frames (N, T, 3, H, W) to logits (N, K), or (N, T, K) of segments."""

    def __init__(self, case: dict[str, Any], num_classes: int) -> None:
        super().__init__()
        is_mobile = case["arch"] == "mobilenetv2"
        self.base_model = MobileNetV2(case) if is_mobile else ResNet(case)
        self.new_fc = nn.Linear(self.base_model.num_features, num_classes)
        self.averages = case["consensus"] == "avg"

    def forward(self, clips: Tensor) -> Tensor:
        """Returns the logits of clips."""
        logits = self.new_fc(self.base_model(clips.flatten(0, 1)))
        logits = logits.unflatten(0, (len(clips), -1))
        return logits.mean(1) if self.averages else logits
