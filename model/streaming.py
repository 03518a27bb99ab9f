"""Runs an online network on a stream: one frame in, its logits out.

What the online shift takes from the frame before is kept from one frame to the next, so
the n-th frame's logits are those that the network has for the n-th of a whole clip.
"""

from types import TracebackType

import mindspore
import numpy as np
import numpy.typing as npt
from mindspore import Tensor, ops

from model.temporal_shift import TemporalShift
from model.tsm import TSM

__all__ = ["Stream"]


class Stream:
    """Runs a network with the online shift frame by frame.

    It computes eagerly: MindSpore must not be in graph mode. The network is not copied:
    training it further changes the stream.

    Args:
      network: its `shift_mode` is "online", or it has no shift at all.

    Raises:
      ValueError: the network looks at later segments.
    """

    def __init__(self, network: TSM) -> None:
        config = network.config
        if config.shift_place != "none" and config.shift_mode != "online":
            raise ValueError(
                f"a stream needs shift_mode 'online', got {config.shift_mode!r}"
            )
        if config.temporal_pool or config.non_local:
            raise ValueError("temporal_pool and non_local look at later segments")
        self._network = network
        self._memories = {
            cell: _Memory()
            for _, cell in network.cells_and_names()
            if isinstance(cell, TemporalShift)
        }

    def push(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Returns the logits (N, K) of the next frame of N streams, (N, 3, H, W).

        Raises:
          ValueError: the frames before had another shape.
          RuntimeError: MindSpore is in graph mode.
        """
        if mindspore.get_context("mode") != mindspore.PYNATIVE_MODE:
            raise RuntimeError("a stream needs mindspore.PYNATIVE_MODE")
        was_training = self._network.training
        self._network.set_train(False)
        try:
            with _Remembering(self._memories):
                logits = self._network.frame_logits(Tensor(frames))
        finally:
            self._network.set_train(was_training)
        values: npt.NDArray[np.float32] = logits.asnumpy()
        return values

    @property
    def state_shapes(self) -> list[tuple[int, ...]]:
        """The shapes of what the shifts keep of a frame, once there was one."""
        kept = (memory.previous for memory in self._memories.values())
        return [tuple(state.shape) for state in kept if state is not None]

    def reset(self) -> None:
        """Starts anew: the next frame is the first of its clip."""
        for memory in self._memories.values():
            memory.previous = None


class _Memory:
    """The online shift of one frame, from what the frame before left."""

    def __init__(self) -> None:
        self.previous: Tensor | None = None

    def __call__(self, x: Tensor, num_segments: int, shift_div: int) -> Tensor:
        fold = x.shape[1] // shift_div
        own, previous = x[:, :fold], self.previous
        if previous is None:
            previous = ops.zeros_like(own)
        if previous.shape != own.shape:
            raise ValueError(
                f"frames must keep their number and size, or call reset(): the first "
                f"shift has {own.shape}, had {previous.shape}"
            )
        self.previous = own
        return ops.cat((previous, x[:, fold:]), axis=1)


class _Remembering:
    """Within it, the cells shift from their memories instead of along segments."""

    def __init__(self, memories: dict[TemporalShift, _Memory]) -> None:
        self._memories = memories
        self._shifts = {cell: cell.shift for cell in memories}

    def __enter__(self) -> None:
        for cell, memory in self._memories.items():
            cell.shift = memory

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for cell, shift in self._shifts.items():
            cell.shift = shift
