"""The temporal shift (TSM, arXiv:1811.08383, section 3): channels move along time.

Offline, when all segments of a clip are at hand, with fold = C // shift_div:

    channels    0 .. fold      come from the next segment; the last segment gets zeros
             fold .. 2 fold    come from the previous one; the first segment gets zeros
           2 fold .. C         stay

Online, when a segment may use only those before it:

    channels    0 .. fold      come from the previous segment; the first gets zeros
             fold .. C         stay

The directions are those of the authors' code, which offline are opposite to the paper's
figure; trained weights depend on them.
"""

from collections.abc import Callable

from mindspore import Tensor, nn, ops

__all__ = ["SHIFT_MODES", "TemporalShift", "online_shift", "temporal_shift"]


def temporal_shift(x: Tensor, num_segments: int, shift_div: int) -> Tensor:
    """Moves two channel folds one segment along time, one each way.

    Args:
      x: (N*T, C, H, W), clip-major; T = num_segments.
      num_segments: at least 2, else there is nowhere to shift.
      shift_div: C // shift_div channels move each way; at least 1, at most C / 2.

    Returns:
      The same shape; the segments that nothing moves into are zero.
    """
    _, channels, height, width = x.shape
    fold = channels // shift_div
    x = x.reshape((-1, num_segments, channels, height, width))  # (N, T, C, H, W)
    # Split, not sliced: the gradient of every slice is as large as x, and they are
    # added up, which took 10 percent of a step of ResNet-50 (CPU), not 3 to 5.
    folds = ops.split(x, fold, axis=2)
    blank = ops.zeros_like(folds[0][:, :1])
    from_next = ops.cat((folds[0][:, 1:], blank), axis=1)
    from_previous = ops.cat((blank, folds[1][:, :-1]), axis=1)
    moved = ops.cat((from_next, from_previous, *folds[2:]), axis=2)
    return moved.reshape((-1, channels, height, width))


def online_shift(x: Tensor, num_segments: int, shift_div: int) -> Tensor:
    """Moves one channel fold one segment ahead, so that none sees a later one.

    Args:
      x: (N*T, C, H, W), clip-major; T = num_segments.
      num_segments: at least 2, else there is nowhere to shift.
      shift_div: C // shift_div channels move; at least 2, at most C.

    Returns:
      The same shape; what moves into the first segment is zero.
    """
    _, channels, height, width = x.shape
    fold = channels // shift_div
    x = x.reshape((-1, num_segments, channels, height, width))  # (N, T, C, H, W)
    folds = ops.split(x, fold, axis=2)
    blank = ops.zeros_like(folds[0][:, :1])
    from_previous = ops.cat((blank, folds[0][:, :-1]), axis=1)
    moved = ops.cat((from_previous, *folds[1:]), axis=2)
    return moved.reshape((-1, channels, height, width))


SHIFT_MODES: dict[str, Callable[[Tensor, int, int], Tensor]] = {
    "offline": temporal_shift,
    "online": online_shift,
}


class TemporalShift(nn.Cell):
    """Shifts its input along time, then applies `net`.

    The wrapped cell is called `net`, as in the authors' code, so that parameter names
    agree with published checkpoints: `layer1.0.conv1.net.weight`.

    Args:
      net: what to apply to the shifted input.
      in_channels: channels of the input.
      num_segments: T of the clip-major (N*T, C, H, W) input.
      shift_div: in_channels // shift_div channels move, offline each way.
      mode: a key of SHIFT_MODES.
    """

    def __init__(
        self,
        net: nn.Cell,
        *,
        in_channels: int,
        num_segments: int,
        shift_div: int,
        mode: str = "offline",
    ) -> None:
        super().__init__()
        if num_segments < 2:
            raise ValueError(
                f"a temporal shift needs at least 2 segments, got {num_segments}"
            )
        _check_shift_div(shift_div, in_channels)
        self.net = net
        self.num_segments = num_segments
        self.shift_div = shift_div
        self.shift = SHIFT_MODES[mode]

    def construct(self, x: Tensor) -> Tensor:
        """Returns `net` of the shifted input; x is (N*T, C, H, W)."""
        return self.net(self.shift(x, self.num_segments, self.shift_div))


def _check_shift_div(shift_div: int, in_channels: int) -> None:
    """Checks that a shift moves at least one channel and not every one."""
    if not 2 <= shift_div <= in_channels:
        raise ValueError(
            f"shift_div must be in [2, {in_channels}], the number of channels, "
            f"or nothing would move: got {shift_div}"
        )
