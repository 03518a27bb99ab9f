"""Draws an epoch that goes through the shards one after the other, yet is shuffled.

For stores that charge by request and for disks that seek. Clips are placed in shards by
a hash, so that a shard is an equal range of it, and any range has clips of all labels.
Each epoch shuffles the ranges and deals them to lanes; a lane mixes the clips of a few
ranges at a time. A step is a slice of every lane, side by side, so that ranks, which
divide the slices, own whole lanes where their number divides that of the lanes.
"""

import itertools
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mindrecord_io.serving.clip_index import ClipIndex
from mindrecord_io.serving.clip_sampling import random_numbers
from mindrecord_io.shards import sharding

__all__ = ["BlockShuffle"]

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class BlockShuffle:
    """Each clip once, in an order that goes through few shards at a time.

    The order is a function of these values, the seed, the epoch and the clips. What
    is None or 0 is fitted to the version that is opened, and stands in a state: a
    training that goes on with another number of shards names `num_ranges` itself.

    Attributes:
      num_ranges: of the hash; None: as many as the split has shards.
      window: ranges whose clips are mixed in a lane.
      num_lanes: a multiple of the number of ranks, so that no two read one shard.
      batch_size: clips in a step, over all ranks together.
      salt: of the data set, which keys the hash.
    """

    num_ranges: int | None = None
    window: int = 3
    num_lanes: int = 8
    batch_size: int = 0
    salt: str = ""

    is_sequential: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("num_ranges", "window", "num_lanes"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1: {value}")

    def fitted(self, *, num_shards: int, salt: str, batch_size: int) -> "BlockShuffle":
        """Returns the sampling for a version's shards and a plan's batches."""
        num_ranges = self.num_ranges or num_shards
        return replace(self, num_ranges=num_ranges, salt=salt, batch_size=batch_size)

    def draw(self, index: ClipIndex, seed: int, epoch: int) -> Int64s:
        """Returns the rows of an epoch in their order."""
        if self.num_ranges is None or not self.batch_size:
            raise ValueError("a BlockShuffle must be fitted to a version: open_split")
        num_clips, by_id = len(index), index.clip_ids.order()
        numbers = random_numbers(2 * num_clips, seed, epoch, person=b"blocks")
        shuffled, mixing = numbers[:num_clips], numbers[num_clips:]
        places = self._places(index, seed, epoch)[by_id]
        in_turn = np.lexsort((shuffled, places))  # places in `by_id`
        uniform = (mixing >> np.uint64(11)).astype(np.float64) * 2.0**-53
        spread = (self.window - 1) * num_clips / self.num_ranges
        lanes = []
        for begin, end in self._lane_bounds(num_clips):
            lane = in_turn[begin:end]
            times = np.arange(len(lane)) + spread * uniform[lane]
            lanes.append(by_id[lane[np.argsort(times, kind="stable")]])
        return self._side_by_side(lanes, num_clips // self.batch_size)

    def _places(self, index: ClipIndex, seed: int, epoch: int) -> Int64s:
        """Returns by clip the place of its range among the shuffled ones."""
        assert self.num_ranges is not None  # it is fitted
        numbers = random_numbers(self.num_ranges, seed, epoch, person=b"ranges")
        places = np.empty(self.num_ranges, np.int64)
        places[np.argsort(numbers, kind="stable")] = np.arange(self.num_ranges)
        ranges = [
            sharding.shard_index(clip_id, self.num_ranges, self.salt)
            for clip_id in index.clip_ids
        ]
        by_clip: Int64s = places[ranges]
        return by_clip

    def _lane_bounds(self, num_clips: int) -> list[tuple[int, int]]:
        """Returns which clips, in the order of their ranges, each lane has."""
        num_steps, num_left = divmod(num_clips, self.batch_size)
        sizes = [
            num_steps * in_step + in_last
            for in_step, in_last in zip(
                self._slices(self.batch_size), self._slices(num_left), strict=True
            )
        ]
        ends = np.cumsum([0, *sizes]).tolist()
        return list(itertools.pairwise(ends))

    def _slices(self, size: int) -> list[int]:
        """Returns how many of a step's clips each lane has."""
        num_lanes = min(self.num_lanes, self.batch_size)
        bounds = [size * i // num_lanes for i in range(num_lanes + 1)]
        return [end - begin for begin, end in itertools.pairwise(bounds)]

    def _side_by_side(self, lanes: list[Int64s], num_steps: int) -> Int64s:
        sizes = self._slices(self.batch_size)
        whole = [
            lane[: num_steps * size].reshape(num_steps, size)
            for lane, size in zip(lanes, sizes, strict=True)
        ]
        left = [
            lane[num_steps * size :] for lane, size in zip(lanes, sizes, strict=True)
        ]
        order: Int64s = np.concatenate([np.hstack(whole).ravel(), *left])
        return order
