"""The exponential moving average of a network's weights, which is then evaluated.

After the update with the 0-based number n

    average += (1 - d) (weight - average),   d = min(decay, (1 + n) / (10 + n))

so that the first weights, which are no good, soon have no part in it; TensorFlow's
ExponentialMovingAverage has that rule for d. Batch norm's running statistics are
averaged as the weights are.
"""

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from mindspore import Parameter, ParameterTuple, Tensor, dtype, nn, ops

__all__ = ["WeightAverage"]

_PREFIX = "average."


class WeightAverage(nn.Cell):  # type: ignore[misc]
    """The averages of a network's parameters, which begin with these as they are.

    Args:
      decay: in [0, 1), of an average from one update to the next.
    """

    def __init__(self, network: nn.Cell, decay: float) -> None:
        super().__init__(auto_prefix=False)
        self.decay = decay
        self.values = ParameterTuple(network.get_parameters())
        self.averages = ParameterTuple(
            Parameter(
                Tensor(value.asnumpy()),
                name=f"{_PREFIX}{value.name}",
                requires_grad=False,
            )
            for value in self.values
        )
        self.num_updates = Parameter(
            Tensor(0.0, dtype.float32), name=f"{_PREFIX}updates", requires_grad=False
        )

    def construct(self, is_skipped: Tensor) -> Tensor:
        """Averages once more; after a skipped step nothing changes."""
        number = self.num_updates + 0.0
        decay = ops.minimum((1.0 + number) / (10.0 + number), self.decay)
        updates = 1.0 - is_skipped.astype(dtype.float32)
        part = (1.0 - decay) * updates
        for average, value in zip(self.averages, self.values):  # noqa: B905
            ops.assign_add(average, part * (value - average))
        return ops.assign_add(self.num_updates, updates)

    def restart(self) -> None:
        """Begins anew with the network's parameters of this moment."""
        _set(self.averages, _copies(self.values))
        self.num_updates.set_data(Tensor(0.0, dtype.float32))

    def tensors(self) -> dict[str, Parameter]:
        """Returns the averages and the number of updates, by name."""
        return {p.name: p for p in (*self.averages, self.num_updates)}

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Sets the network to the averages during the block."""
        kept = _copies(self.values)
        _set(self.values, _copies(self.averages))
        try:
            yield
        finally:
            _set(self.values, kept)


def _copies(parameters: Sequence[Parameter]) -> list[npt.NDArray[np.float32]]:
    return [parameter.asnumpy().copy() for parameter in parameters]


def _set(
    parameters: Sequence[Parameter], arrays: Sequence[npt.NDArray[np.float32]]
) -> None:
    for parameter, array in zip(parameters, arrays, strict=True):
        parameter.set_data(Tensor(array))
