"""How much later than the mean the last slot of a cluster ends, by the plan alone.

Places clips of 2 to 6 seconds in shards as a build does and compares the slot with most
seconds of clips to the mean, where shards come to the slots

    dealt          in turn, in an order drawn for each of several tries (Flink's
                   rebalance)
    sorted_dealt   in turn, the largest first
    taken          by whoever is free, in an order drawn
    sorted_taken   by whoever is free, the largest first

`python infra/benchmarks/balance.py` prints the worst of the tries.
"""

import argparse
import heapq
import json
import random
import sys
from collections.abc import Sequence

from mindrecord_io.shards import sharding

__all__ = ["dealt", "excess", "main", "shard_seconds", "taken"]

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
    ways = {"dealt": dealt, "taken": taken}
    largest_first = sorted(seconds, reverse=True)
    orders = {"": drawn_orders(seconds, flags.num_tries), "sorted_": [largest_first]}
    largest = {
        f"{prefix}{name}": {
            str(slots): round(max(excess(way(order, slots)) for order in tries), 3)
            for slots in flags.num_slots
        }
        for name, way in ways.items()
        for prefix, tries in orders.items()
    }
    print(json.dumps({"largest_excess_by_slots": largest}))  # noqa: T201
    return 0


def shard_seconds(num_clips: int, num_shards: int) -> list[float]:
    """Returns the seconds of video in each shard."""
    rng = random.Random(1)  # noqa: S311
    seconds = [0.0] * num_shards
    for clip_id in range(1, num_clips + 1):
        index = sharding.shard_index(str(clip_id), num_shards)
        seconds[index] += rng.uniform(*SECONDS)
    return seconds


def drawn_orders(seconds: Sequence[float], num_tries: int) -> list[list[float]]:
    """Returns the shards in an order for each try."""
    orders = []
    for seed in range(num_tries):
        order = list(seconds)
        random.Random(seed).shuffle(order)  # noqa: S311
        orders.append(order)
    return orders


def dealt(seconds: Sequence[float], num_slots: int) -> list[float]:
    """Returns the seconds of each slot where shards are dealt to them in turn."""
    return [sum(seconds[slot::num_slots]) for slot in range(num_slots)]


def taken(seconds: Sequence[float], num_slots: int) -> list[float]:
    """Returns the seconds of each slot where who is free takes the next shard."""
    loads = [0.0] * num_slots
    for of_shard in seconds:
        heapq.heapreplace(loads, loads[0] + of_shard)
    return loads


def excess(loads: Sequence[float]) -> float:
    """Returns by what share the busiest slot has more than the mean."""
    return max(loads) * len(loads) / sum(loads) - 1


if __name__ == "__main__":
    sys.exit(main())
