"""How much later than the mean the last slot of a cluster ends, by the plan alone.

Places clips of 2 to 6 seconds in shards as a build does, deals the shards to the slots
in turn, in an order drawn for each of several tries (Flink's rebalance), and compares
the slot with most seconds of clips to the mean. `python infra/benchmarks/balance.py`
"""

import argparse
import json
import random
import sys
from collections.abc import Sequence

from mindrecord_io import sharding

__all__ = ["excess", "main", "shard_seconds"]

SECONDS = (2.0, 6.0)  # of a clip of Something-Something-v2


def main(argv: Sequence[str] | None = None) -> int:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--num_clips", type=int, default=220_847)
    parser.add_argument("--num_shards", type=int, default=512)
    parser.add_argument("--num_slots", type=int, nargs="+", default=[2, 16, 64])
    parser.add_argument("--num_tries", type=int, default=20)
    flags = parser.parse_args(argv)
    seconds = shard_seconds(flags.num_clips, flags.num_shards)
    tries = [random.Random(seed) for seed in range(flags.num_tries)]  # noqa: S311
    found = {
        str(slots): round(max(excess(seconds, slots, rng) for rng in tries), 3)
        for slots in flags.num_slots
    }
    print(json.dumps({"largest_excess_by_slots": found}))  # noqa: T201
    return 0


def shard_seconds(num_clips: int, num_shards: int) -> list[float]:
    """Returns the seconds of video in each shard."""
    rng = random.Random(1)  # noqa: S311
    seconds = [0.0] * num_shards
    for clip_id in range(1, num_clips + 1):
        index = sharding.shard_index(str(clip_id), num_shards)
        seconds[index] += rng.uniform(*SECONDS)
    return seconds


def excess(seconds: Sequence[float], num_slots: int, rng: random.Random) -> float:
    """Returns by what share the busiest slot has more than the mean."""
    dealt = list(seconds)
    rng.shuffle(dealt)
    loads = [sum(dealt[slot::num_slots]) for slot in range(num_slots)]
    return max(loads) * num_slots / sum(loads) - 1


if __name__ == "__main__":
    sys.exit(main())
