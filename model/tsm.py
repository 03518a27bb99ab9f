"""The temporal shift network: a frame network, shifts along time, and a consensus."""

from functools import partial

import numpy as np
from mindspore import Tensor, dtype, nn
from mindspore.common.initializer import Normal

from model import consensus, freezing, mobilenet, resnet, temporal, temporal_shift
from model.cards import PIXEL_MEAN, PIXEL_STD, ModelCard
from model.config import TSMConfig

__all__ = ["TSM", "TSMConfig"]


class TSM(nn.Cell):
    """A temporal shift network: clips to logits.

    Input: (N, T, 3, H, W), RGB pixels in [0, 255], uint8 or float.
    Output: (N, K) float32 logits; (N, T, K) with the "identity" consensus, T / 2 of
    them a clip with temporal pooling.

    Attributes:
      card: how it is used and where it comes from; checkpoints keep it.
    """

    def __init__(self, config: TSMConfig) -> None:
        super().__init__()
        self.config = config
        self.card = ModelCard()
        self.num_segments = config.num_segments
        self.num_pooled_segments = config.num_pooled_segments
        self.num_classes = config.num_classes
        self.base_model = _frame_network(config)
        if config.partial_bn:
            freezing.freeze_norms_but_first(self.base_model)
        self.dropout = nn.Dropout(p=config.dropout)
        self.new_fc = nn.Dense(
            self.base_model.num_features,
            config.num_classes,
            weight_init=Normal(0.001),
            bias_init="zeros",
        )
        self.consensus = consensus.CONSENSUSES[config.consensus]
        scale = 1.0 / (255.0 * np.array(PIXEL_STD))
        offset = -np.array(PIXEL_MEAN) / np.array(PIXEL_STD)
        self.pixel_scale = Tensor(scale.reshape(1, 3, 1, 1), dtype.float32)
        self.pixel_offset = Tensor(offset.reshape(1, 3, 1, 1), dtype.float32)

    def construct(self, frames: Tensor, kept: Tensor | None = None) -> Tensor:
        """Returns the logits of clips (N, T, 3, H, W).

        Args:
          kept: (N*T, C), factors of the features in place of this network's dropout.
        """
        _, segments, channels, height, width = frames.shape
        if segments != self.num_segments:
            raise ValueError(
                f"clips must have {self.num_segments} segments, got {segments}"
            )
        frames = frames.reshape((-1, channels, height, width))
        logits = self.frame_logits(frames, kept)
        return self.consensus(
            logits.reshape((-1, self.num_pooled_segments, self.num_classes))
        )

    def frame_logits(self, frames: Tensor, kept: Tensor | None = None) -> Tensor:
        """Returns the logits (N*T, K) of clip-major frames (N*T, 3, H, W)."""
        x = frames.astype(dtype.float32) * self.pixel_scale + self.pixel_offset
        x = self.base_model(x)
        x = self.dropout(x) if kept is None else x * kept.astype(x.dtype)
        return self.new_fc(x)


def _frame_network(config: TSMConfig) -> nn.Cell:
    where = temporal.Temporal(
        shift=partial(
            temporal_shift.TemporalShift,
            shift_div=config.shift_div,
            mode=config.shift_mode,
        ),
        shift_place=config.shift_place,
        num_segments=config.num_segments,
        has_pool=config.temporal_pool,
        has_non_local=config.non_local,
    )
    if config.arch == "mobilenetv2":
        return mobilenet.MobileNetV2(config.width, where)
    return resnet.ResNet(resnet.RESNETS[config.arch], config.width, where)
