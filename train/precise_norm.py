"""Precise batch norm (arXiv:2105.07576, section 3): statistics of many batches.

Running statistics are of the last few batches, each of other weights. Before a network
is evaluated, they are replaced by those of many batches by the weights of that moment:
the mean of the batches' means m, and the mean of their variances, as batch norm itself
has them, plus the variance of m.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from mindspore import Parameter, Tensor, nn

from eval.running.rank_group import Ranks
from train.sync_norm import SyncBatchNorm

__all__ = ["in_use", "norms_of"]

Inputs = tuple[Tensor, ...]
_Floats = npt.NDArray[np.float32]


def norms_of(network: nn.Cell) -> list[nn.Cell]:
    """Returns the batch norms that are not frozen."""
    return [
        cell
        for _, cell in network.cells_and_names()
        if isinstance(cell, SyncBatchNorm)
        or (isinstance(cell, nn.BatchNorm2d) and cell.use_batch_statistics is not False)
    ]


@contextlib.contextmanager
def in_use(
    network: nn.Cell, batches: Iterable[Inputs], ranks: Ranks | None = None
) -> Iterator[None]:
    """Sets a network's running statistics to the precise ones during the block.

    Args:
      batches: what the network is called with, each rank's equally many; nothing else
        of the network changes by that.
    """
    norms = norms_of(network)
    kept = [_copy(parameter) for parameter in _statistics(norms)]
    try:
        precise = _precise(network, norms, batches, ranks or Ranks())
        _set(_statistics(norms), precise)
        yield
    finally:
        _set(_statistics(norms), kept)


def _precise(
    network: nn.Cell, norms: Sequence[nn.Cell], batches: Iterable[Inputs], ranks: Ranks
) -> list[_Floats]:
    """Returns mean and variance of each norm in turn."""
    seen: list[list[_Floats]] = [[] for _ in _statistics(norms)]
    zeros = [np.zeros(p.shape, np.float32) for p in _statistics(norms)]
    was_training = network.training
    network.set_train(True)
    try:
        for inputs in batches:
            # From zero, the running statistics become the batch's times `momentum`.
            _set(_statistics(norms), zeros)
            network(*inputs)
            for values, parameter in zip(seen, _statistics(norms), strict=True):
                values.append(_copy(parameter))
    finally:
        network.set_train(was_training)
    precise = []
    for norm, means, variances in zip(norms, seen[::2], seen[1::2], strict=True):
        own = np.stack(means, dtype=np.float64) / norm.momentum
        own_mean = own.mean(axis=0)
        own_variance = np.mean(variances, axis=0, dtype=np.float64) / norm.momentum
        own_variance += own.var(axis=0)
        mean = _over_ranks(own_mean, ranks)
        # Of ranks as of batches: the mean variance and the variance of the means.
        precise += [mean, _over_ranks(own_variance + (own_mean - mean) ** 2, ranks)]
    return precise


def _over_ranks(values: npt.NDArray[np.float64], ranks: Ranks) -> _Floats:
    return ranks.summed(values.astype(np.float32)) / np.float32(ranks.num_ranks)


def _statistics(norms: Sequence[nn.Cell]) -> list[Parameter]:
    return [p for norm in norms for p in (norm.moving_mean, norm.moving_variance)]


def _copy(parameter: Parameter) -> _Floats:
    values: _Floats = parameter.asnumpy().copy()
    return values


def _set(parameters: Sequence[Parameter], arrays: Sequence[_Floats]) -> None:
    for parameter, array in zip(parameters, arrays, strict=True):
        parameter.set_data(Tensor(array))
