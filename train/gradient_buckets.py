"""Averages gradients over the ranks in buckets, while others are still computed.

The backward pass makes the last layers' gradients first. Each bucket is summed by one
message that waits for its own gradients and for the message before it alone: so
messages overlap with the rest of the backward pass, and every rank sends them in the
same order.
"""

from collections.abc import Sequence

from mindspore import Tensor, nn, ops

__all__ = ["BUCKET_SIZE", "BucketMean", "buckets"]

BUCKET_SIZE = 6_000_000
"""Numbers in a message, at most but for a single larger gradient: 24 MB."""


def buckets(
    sizes: Sequence[int], order: Sequence[int], max_size: int
) -> tuple[tuple[int, ...], ...]:
    """Returns the indices of the gradients in each message.

    Args:
      sizes: numbers in each gradient.
      order: all indices, in the order in which the gradients are made.
      max_size: of a message, unless a single gradient is larger.
    """
    made: list[list[int]] = []
    room = 0
    for index in order:
        if sizes[index] > room or not made:
            made.append([])
            room = max_size
        made[-1].append(index)
        room -= sizes[index]
    return tuple(map(tuple, made))


class BucketMean(nn.Cell):  # type: ignore[misc]
    """Averages gradients over the ranks, bucket by bucket.

    Args:
      members: the indices of the gradients in each message, see `buckets`.
      num_ranks: that have gradients of the same shapes.
    """

    def __init__(self, members: tuple[tuple[int, ...], ...], num_ranks: int) -> None:
        super().__init__()
        self.members = members
        self.num_ranks = num_ranks
        flat = [index for bucket in members for index in bucket]
        self.places = tuple(flat.index(index) for index in range(len(flat)))
        self.all_reduce = ops.AllReduce(ops.ReduceOp.SUM)

    def construct(self, gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Returns the means, in the order of the gradients."""
        means, sent = [], None
        for bucket in self.members:
            flat = ops.cat([gradients[index].reshape((-1,)) for index in bucket])
            if sent is not None:
                flat = ops.depend(flat, sent)
            sent = self.all_reduce(flat)
            begin = 0
            for index in bucket:
                end = begin + gradients[index].size
                mean = sent[begin:end] / self.num_ranks
                means.append(mean.reshape(gradients[index].shape))
                begin = end
        return tuple([means[place] for place in self.places])
