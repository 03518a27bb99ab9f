"""The learning rate of every step, computed before training."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["SCHEDULES", "cosine_factor", "learning_rates", "step_factor"]

_STEP_FACTOR = 0.1


def step_factor(epoch: float, num_epochs: int, milestones: Sequence[float]) -> float:
    """Returns 1, then a tenth of what it was from each milestone on."""
    num_passed = sum(epoch >= milestone for milestone in milestones)
    return float(_STEP_FACTOR**num_passed)


def cosine_factor(epoch: float, num_epochs: int, milestones: Sequence[float]) -> float:
    """Returns half a cosine wave from 1 at the beginning to 0 at the end."""
    return 0.5 * (1.0 + math.cos(math.pi * epoch / num_epochs))


SCHEDULES: dict[str, Callable[[float, int, Sequence[float]], float]] = {
    "step": step_factor,
    "cosine": cosine_factor,
}


def learning_rates(
    name: str,
    base: float,
    *,
    num_epochs: int,
    steps_per_epoch: int,
    milestones: Sequence[float] = (),
    warmup_epochs: float = 0.0,
) -> npt.NDArray[np.float32]:
    """Returns the learning rate of each of num_epochs * steps_per_epoch steps.

    Args:
      name: a key of SCHEDULES.
      base: what the schedule multiplies.
      milestones: in epochs; used by "step".
      warmup_epochs: the rate rises linearly until then; its first value is above zero.
    """
    factor = SCHEDULES[name]
    num_warmup_steps = round(warmup_epochs * steps_per_epoch)
    rates = np.array(
        [
            base * factor(step / steps_per_epoch, num_epochs, milestones)
            for step in range(num_epochs * steps_per_epoch)
        ],
        np.float32,
    )
    rising = np.arange(1, num_warmup_steps + 1, dtype=np.float32) / (
        num_warmup_steps + 1
    )
    rates[:num_warmup_steps] *= rising
    return rates
