"""Batch norm with the statistics of all ranks' clips.

MindSpore has such a cell for Ascend only; this one needs a sum over ranks and works
wherever there is one. Two ranks with half of a batch each then give what one rank gives
with all of it, but for rounding.
"""

from mindspore import Tensor, dtype, nn, ops

__all__ = ["synchronise"]


class SyncBatchNorm(nn.Cell):
    """A batch norm over all ranks, with the parameters of the one it replaces.

    Args:
      norm: whose parameters are used and updated.
      num_ranks: that have equally many clips each.
    """

    def __init__(self, norm: nn.BatchNorm2d, num_ranks: int) -> None:
        super().__init__(auto_prefix=False)
        self.gamma, self.beta = norm.gamma, norm.beta
        self.moving_mean = norm.moving_mean
        self.moving_variance = norm.moving_variance
        self.eps = norm.eps
        self.momentum = norm.momentum  # the part of the new statistics
        self.num_ranks = num_ranks
        self.all_reduce = ops.AllReduce(ops.ReduceOp.SUM)

    def construct(self, x: Tensor) -> Tensor:
        """Returns (N, C, H, W) of mean 0 and variance 1 by channel, then scaled."""
        if not self.training:
            scale = self.gamma / ops.sqrt(self.moving_variance + self.eps)
            offset = self.beta - self.moving_mean * scale
            return x * _by_channel(scale) + _by_channel(offset)
        clips, _, height, width = x.shape
        mean = self._mean(x)
        centred = x - _by_channel(mean)
        variance = self._mean(ops.square(centred))
        count = clips * height * width * self.num_ranks
        self._update_moving(mean, variance * (count / max(count - 1, 1)))
        scale = self.gamma / ops.sqrt(variance + self.eps)
        return centred * _by_channel(scale) + _by_channel(self.beta)

    def _mean(self, x: Tensor) -> Tensor:
        own = x.astype(dtype.float32).mean(axis=(0, 2, 3))
        return self.all_reduce(own) / self.num_ranks

    def _update_moving(self, mean: Tensor, unbiased_variance: Tensor) -> None:
        for moving, new in (
            (self.moving_mean, mean),
            (self.moving_variance, unbiased_variance),
        ):
            change = self.momentum * (ops.stop_gradient(new) - moving)
            ops.assign(moving, moving + change)


def synchronise(network: nn.Cell, num_ranks: int) -> int:
    """Replaces every batch norm that is not frozen by a SyncBatchNorm.

    Parameters keep their names. Returns how many there are.
    """
    names = {id(p): p.name for p in network.get_parameters()}
    places = [
        (parent, name, cell)
        for _, parent in network.cells_and_names()
        for name, cell in parent.name_cells().items()
        if isinstance(cell, nn.BatchNorm2d) and cell.use_batch_statistics is not False
    ]
    for parent, name, norm in places:
        synchronised = SyncBatchNorm(norm, num_ranks)
        if isinstance(parent, nn.SequentialCell):
            parent[int(name)] = synchronised
        else:
            setattr(parent, name, synchronised)
    for parameter in network.get_parameters():
        parameter.name = names[id(parameter)]
    return len(places)


def _by_channel(values: Tensor) -> Tensor:
    return values.reshape((1, -1, 1, 1))
