"""What a network takes in the file that is made of it.

uint8      frames (N, T, 3, H, W), RGB bytes: the network normalises them
float24    (N, T * 3, H, W) float32, normalised, as the model zoo's TSM takes them
float3     (N * T, 3, H, W) float32, normalised: images that an Ascend's AIPP makes
streaming  a frame (N, 3, H, W) of bytes, and what the shifts keep of the one before
"""

from collections.abc import Callable, Sequence

import mindspore
import numpy as np
import numpy.typing as npt
from mindspore import Parameter, Tensor, nn, ops

from model.cards import PIXEL_MEAN, PIXEL_STD
from model.temporal_shift import TemporalShift
from model.tsm import TSM

__all__ = [
    "INPUTS",
    "AsInput",
    "PackedClips",
    "StatefulFrame",
    "bytes_for_aipp",
    "noise",
    "packed",
    "packed_network",
]

INPUTS = ("uint8", "float24", "float3")

AsInput = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.generic]]
"""Makes clips of bytes (N, T, 3, H, W) what a network takes."""


def packed(frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Returns clips (N, T, 3, H, W) normalised in float32, as (N, T * 3, H, W)."""
    shape = (3, 1, 1)
    mean = np.array(PIXEL_MEAN, np.float32).reshape(shape)
    std = np.array(PIXEL_STD, np.float32).reshape(shape)
    num_clips, num_segments, channels, height, width = frames.shape
    values: npt.NDArray[np.float32]
    values = (frames.astype(np.float32) / np.float32(255) - mean) / std
    return values.reshape((num_clips, num_segments * channels, height, width))


def _images(frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.generic]:
    """Returns clips (N, T, 3, H, W) normalised in float32, as (N * T, 3, H, W)."""
    return packed(frames).reshape((-1, *frames.shape[2:]))


def bytes_for_aipp(frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.generic]:
    """Returns clips (N, T, 3, H, W) as AIPP takes them: (N * T, H, W, 3)."""
    return frames.reshape((-1, *frames.shape[2:])).transpose((0, 2, 3, 1))


def noise(shape: Sequence[int]) -> npt.NDArray[np.uint8]:
    """Returns the same random bytes every time, to compare networks by."""
    values: npt.NDArray[np.uint8]
    values = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return values


class PackedClips(nn.Cell):
    """A network for normalised clips (N, T * 3, H, W) or (N * T, 3, H, W)."""

    def __init__(self, network: TSM) -> None:
        super().__init__()
        self.network = network
        self.num_segments = network.config.num_segments

    def construct(self, frames: Tensor) -> Tensor:
        """Returns the logits of the clips; `frames` names the input of a .mindir."""
        _, _, height, width = frames.shape
        return self.network(frames.reshape((-1, self.num_segments, 3, height, width)))


def packed_network(network: TSM) -> PackedClips:
    """Returns a copy of a network that takes what `packed` returns."""
    copy = _copied(network)
    # Times one and plus nothing: such pixels stay what they are, bit for bit.
    copy.pixel_scale = Tensor(np.ones((1, 3, 1, 1), np.float32))
    copy.pixel_offset = Tensor(np.zeros((1, 3, 1, 1), np.float32))
    cell = PackedClips(copy)
    cell.set_train(False)
    return cell


class StatefulFrame(nn.Cell):
    """A copy of an online network that looks at one frame.

    What each shift has from the frame before is a parameter of its own, which an export
    makes an input of.

    Args:
      shapes: of what the shifts keep, in the order of the network's cells.
    """

    def __init__(self, network: TSM, shapes: Sequence[tuple[int, ...]]) -> None:
        super().__init__()
        copy = _copied(network)
        shifts = [
            cell
            for _, cell in copy.cells_and_names()
            if isinstance(cell, TemporalShift)
        ]
        for shift, shape in zip(shifts, shapes, strict=True):
            shift.shift = _ShiftFromState(shape)
        self.network = copy  # last: this gives every parameter the name of its place
        self.set_train(False)
        self.state_names = [
            name
            for name, _ in self.parameters_and_names()
            if name.endswith("shift.previous")
        ]

    def construct(self, frame: Tensor) -> Tensor:
        """Returns the logits of frames (N, 3, H, W)."""
        return self.network.frame_logits(frame)


class _ShiftFromState(nn.Cell):
    """The online shift of one frame."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.previous = Parameter(Tensor(np.zeros(shape, np.float32)), name="previous")

    def construct(self, x: Tensor, num_segments: int, shift_div: int) -> Tensor:
        fold = x.shape[1] // shift_div
        return ops.cat((self.previous, x[:, fold:]), axis=1)


def _copied(network: TSM) -> TSM:
    copy = TSM(network.config)
    values = {parameter.name: parameter for parameter in network.get_parameters()}
    for parameter in copy.get_parameters():
        parameter.set_data(Tensor(values[parameter.name].asnumpy()))
    copy.set_train(False)
    return copy


AS_INPUT: dict[str, AsInput] = {
    "uint8": lambda frames: frames,
    "float24": packed,
    "float3": _images,
}
"""Clips of bytes (N, T, 3, H, W) to what a file of each kind of input takes."""


def input_shape(
    input_kind: str, batch_size: int | None, num_segments: int, crop_px: int
) -> tuple[int | None, ...]:
    """Returns the shape of a file's input; None stands for any number of clips."""
    if input_kind == "float24":
        return (batch_size, 3 * num_segments, crop_px, crop_px)
    if input_kind == "float3":
        num_frames = None if batch_size is None else batch_size * num_segments
        return (num_frames, 3, crop_px, crop_px)
    return (batch_size, num_segments, 3, crop_px, crop_px)


def input_dtype(input_kind: str) -> mindspore.dtype.Type:
    """Returns MindSpore's type of the values of a file's input."""
    return mindspore.uint8 if input_kind == "uint8" else mindspore.float32
