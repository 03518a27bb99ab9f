"""The temporal shift network: a frame network, shifts along time, and a consensus."""

import dataclasses
from dataclasses import dataclass
from functools import partial

import numpy as np
from mindspore import Tensor, dtype, nn
from mindspore.common.initializer import Normal

from model import consensus, resnet, temporal_shift

__all__ = ["TSM", "TSMConfig"]

# Mean and deviation of ImageNet's RGB, for pixels in [0, 1].
_PIXEL_MEAN = (0.485, 0.456, 0.406)
_PIXEL_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class TSMConfig:
    """Everything that decides a network's parameters and what it computes.

    Attributes:
      num_classes: K, the length of the logits.
      arch: the frame network, one of `resnet.RESNETS`.
      width: channels of its stem; 64 is the published network, less makes it slimmer.
      num_segments: T, frames of a clip.
      shift_div: 1 / shift_div of the channels move each way.
      shift_place: one of `resnet.SHIFT_PLACES`; "none" is TSN, blind to order.
      consensus: one of `consensus.CONSENSUSES`.
      dropout: probability to drop a feature before the classifier.
    """

    num_classes: int
    arch: str = "resnet50"
    width: int = 64
    num_segments: int = 8
    shift_div: int = 8
    shift_place: str = "blockres"
    consensus: str = "avg"
    dropout: float = 0.5

    def __post_init__(self) -> None:
        _check_choice("arch", self.arch, tuple(resnet.RESNETS))
        _check_choice("shift_place", self.shift_place, resnet.SHIFT_PLACES)
        _check_choice("consensus", self.consensus, tuple(consensus.CONSENSUSES))
        if self.num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, got {self.num_classes}")
        if self.width < 4:
            raise ValueError(f"width must be at least 4, got {self.width}")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        if self.num_segments < 1:
            raise ValueError(
                f"num_segments must be at least 1, got {self.num_segments}"
            )
        if self.shift_place == "none":
            return
        if self.num_segments < 2:
            raise ValueError("num_segments must be at least 2 to shift along time")
        if not 2 <= self.shift_div <= self.width:
            raise ValueError(
                f"shift_div must be in [2, width = {self.width}], got {self.shift_div}"
            )

    def disagreements(self, fields: dict[str, object]) -> list[str]:
        """Returns a sentence for each of `fields` that has another value here."""
        own = dataclasses.asdict(self)
        return [
            f"{name} is {own[name]!r} here and {value!r} there"
            for name, value in fields.items()
            if own[name] != value
        ]


class TSM(nn.Cell):  # type: ignore[misc]
    """Clips in, logits out.

    Input: (N, T, 3, H, W), RGB pixels in [0, 255], uint8 or float.
    Output: (N, K) float32 logits; (N, T, K) with the "identity" consensus.
    """

    def __init__(self, config: TSMConfig) -> None:
        super().__init__()
        self.config = config
        self.num_segments = config.num_segments
        self.base_model = resnet.ResNet(
            resnet.RESNETS[config.arch],
            config.width,
            partial(_shifted, config=config),
            config.shift_place,
        )
        self.dropout = nn.Dropout(p=config.dropout)
        self.new_fc = nn.Dense(
            self.base_model.num_features,
            config.num_classes,
            weight_init=Normal(0.001),
            bias_init="zeros",
        )
        self.consensus = consensus.CONSENSUSES[config.consensus]
        scale = 1.0 / (255.0 * np.array(_PIXEL_STD))
        offset = -np.array(_PIXEL_MEAN) / np.array(_PIXEL_STD)
        self.pixel_scale = Tensor(scale.reshape(1, 3, 1, 1), dtype.float32)
        self.pixel_offset = Tensor(offset.reshape(1, 3, 1, 1), dtype.float32)

    def construct(self, frames: Tensor) -> Tensor:
        """Returns the logits of clips (N, T, 3, H, W)."""
        clips, segments, channels, height, width = frames.shape
        x = frames.reshape((clips * segments, channels, height, width))
        x = x.astype(dtype.float32) * self.pixel_scale + self.pixel_offset
        x = self.dropout(self.base_model(x))  # (N*T, F)
        logits = self.new_fc(x).reshape((clips, segments, -1))  # (N, T, K)
        return self.consensus(logits)


def _shifted(net: nn.Cell, in_channels: int, config: TSMConfig) -> nn.Cell:
    return temporal_shift.TemporalShift(
        net,
        in_channels=in_channels,
        num_segments=config.num_segments,
        shift_div=config.shift_div,
    )


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {choices}, got {value!r}")
