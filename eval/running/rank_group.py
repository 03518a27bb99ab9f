"""The ranks of one job: processes that msrun started, each with a part of every batch.

    msrun --worker_num=2 --local_worker_num=2 --join=True python -m train ...

A process that was started alone is rank 0 of 1, and everything here does nothing.
"""

import functools
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from mindspore import Parameter, Tensor, communication, nn, ops

from eval.running import config_file

__all__ = ["Ranks", "check_launcher", "join"]

_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "RANK_SIZE", "WORLD_SIZE")
"""How other launchers say how many processes they have started."""

_RANK_TABLE = "RANK_TABLE_FILE"

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those of its job.

    The methods are collective: every rank must call them, in the same order.
    """

    rank: int = 0
    num_ranks: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the rank that writes files."""
        return self.rank == 0

    def summed(self, values: Floats) -> Floats:
        """Returns the sum of all ranks' arrays, which have one shape."""
        if self.num_ranks == 1:
            return values
        total: Floats = _sum_over_ranks()(Tensor(values)).asnumpy()
        return total

    def average(self, parameters: Iterable[Parameter]) -> None:
        """Sets float32 parameters to their mean over the ranks."""
        if self.num_ranks > 1:
            _replace(parameters, lambda flat: self.summed(flat) / self.num_ranks)

    def equalise(self, parameters: Iterable[Parameter]) -> None:
        """Sets float32 parameters to what they are on the first rank."""
        # A sum in which all others are zero is exact, and needs no other operation.
        if self.num_ranks > 1:
            _replace(parameters, lambda flat: self.summed(flat * self.is_first))


def join() -> Ranks:
    """Joins the job of this process; returns Ranks(0, 1) without one.

    Call it once, after the device is chosen and before anything is run. In msrun's
    scheduler process it does not return before the job ends.

    Raises:
      config_file.ConfigError: another launcher than msrun has started several.
    """
    check_launcher(os.environ)
    if "MS_ROLE" not in os.environ:
        return Ranks()
    communication.init()
    return Ranks(communication.get_rank(), communication.get_group_size())


def check_launcher(environment: Mapping[str, str]) -> None:
    """Checks that no launcher but msrun has started several processes.

    Each would take itself for the only one and do all of the work.

    Raises:
      config_file.ConfigError: one has.
    """
    if "MS_ROLE" in environment:
        return
    sizes = {name: environment.get(name, "") for name in _SIZES}
    if _RANK_TABLE in environment:
        sizes[_RANK_TABLE] = str(_num_listed(Path(environment[_RANK_TABLE])))
    for name, size in sizes.items():
        if size.isdigit() and int(size) > 1:
            raise config_file.ConfigError(
                f"{name} is for {size} processes, which would each do all of the work "
                f"alone: start them by `msrun --worker_num={size} "
                f"--local_worker_num={size} --join=True`, without mpirun and rank "
                f"tables, or unset {name} for a single process"
            )


def _num_listed(rank_table: Path) -> int:
    """Returns the devices in a rank table; 1 if it cannot be read, as for one."""
    try:
        servers = json.loads(rank_table.read_text("utf-8"))["server_list"]
        return sum(len(server["device"]) for server in servers)
    except (OSError, ValueError, KeyError, TypeError):
        return 1


class _SumOverRanks(nn.Cell):
    def __init__(self) -> None:
        super().__init__()
        self.all_reduce = ops.AllReduce(ops.ReduceOp.SUM)

    def construct(self, x: Tensor) -> Tensor:
        return self.all_reduce(x)


@functools.cache
def _sum_over_ranks() -> nn.Cell:
    return _SumOverRanks()


def _replace(
    parameters: Iterable[Parameter], change: Callable[[Floats], Floats]
) -> None:
    """Changes parameters all at once: one array is one message between the ranks."""
    changed = list(parameters)
    arrays = [parameter.asnumpy() for parameter in changed]
    flat = change(np.concatenate([array.ravel() for array in arrays]))
    ends = np.cumsum([array.size for array in arrays])[:-1]
    for parameter, part in zip(changed, np.split(flat, ends), strict=True):
        values = part.reshape(parameter.shape).astype(np.float32)
        parameter.set_data(Tensor(values))
