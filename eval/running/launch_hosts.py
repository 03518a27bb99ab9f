"""The hosts of a job on several machines, and which of them this one is.

--hosts a,b, or --hostfile FILE     a list; --node_rank where the names do not tell
Slurm                               SLURM_JOB_NODELIST and SLURM_NODEID
Kubernetes with Volcano             VC_WORKER_HOSTS and VC_TASK_INDEX
Kubernetes' indexed jobs            a list, and JOB_COMPLETION_INDEX
"""

import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Hosts", "choose", "expand", "read_hostfile"]

_RANKS = ("SLURM_NODEID", "VC_TASK_INDEX", "JOB_COMPLETION_INDEX")


@dataclass(frozen=True, slots=True)
class Hosts:
    """The hosts of a job, the first of which has msrun's scheduler.

    Attributes:
      names: names or addresses, in the order of the ranks.
      own_rank: which of them this host is; None where that is unknown.
    """

    names: tuple[str, ...]
    own_rank: int | None

    def __post_init__(self) -> None:
        twice = {name for name in self.names if self.names.count(name) > 1}
        if not self.names or twice:
            raise ValueError(
                f"hosts must be at least one and each named once, got "
                f"{', '.join(self.names) or 'none'}"
            )
        if self.own_rank is not None and not 0 <= self.own_rank < len(self.names):
            raise ValueError(
                f"node_rank must be in [0, {len(self.names)}), the number of hosts, "
                f"got {self.own_rank}"
            )


def choose(
    listed: Sequence[str], node_rank: int | None, environment: Mapping[str, str]
) -> Hosts:
    """Returns the hosts that are listed, else those of the environment, else this one.

    Raises:
      ValueError: a list is empty, names a host twice, or the rank is none of it.
    """
    names = tuple(listed)
    if not names and "SLURM_JOB_NODELIST" in environment:
        names = tuple(expand(environment["SLURM_JOB_NODELIST"]))
    if not names and "VC_WORKER_HOSTS" in environment:
        names = tuple(environment["VC_WORKER_HOSTS"].split(","))
    if not names:
        return Hosts(("127.0.0.1",), 0)
    if len(names) == 1:
        return Hosts(names, 0)
    for name in _RANKS:
        if node_rank is None and environment.get(name, "").isdigit():
            node_rank = int(environment[name])
    if node_rank is None:
        own = {socket.gethostname(), socket.gethostname().partition(".")[0]}
        ranks = [i for i, name in enumerate(names) if name in own]
        node_rank = ranks[0] if ranks else None
    return Hosts(names, node_rank)


def read_hostfile(path: Path) -> list[str]:
    """Returns the first word of each line; what follows a # is a remark."""
    lines = (line.partition("#")[0].split() for line in path.read_text().splitlines())
    return [words[0] for words in lines if words]


def expand(nodelist: str) -> list[str]:
    """Returns the names of a Slurm list: gpu[08-10,12],login is five of them.

    Raises:
      ValueError: the list cannot be read.
    """
    names: list[str] = []
    for part in re.findall(r"(?:\[[^\]]*\]|[^,\[])+", nodelist):
        match = re.fullmatch(r"([^\[\]]*)(?:\[([\d,-]+)\])?([^\[\]]*)", part)
        if match is None:
            raise ValueError(f"cannot read the list of hosts {nodelist!r} at {part!r}")
        head, ranges, tail = match.groups()
        names += [f"{head}{number}{tail}" for number in _numbers(ranges)]
    return names


def _numbers(ranges: str | None) -> list[str]:
    """Returns 08, 09, 10 and 12 of 08-10,12; one empty text without a range."""
    numbers = []
    for part in (ranges or "").split(","):
        first, dash, last = part.partition("-")
        if not dash:
            numbers.append(first)
            continue
        width = len(first)
        numbers += [f"{n:0{width}d}" for n in range(int(first), int(last) + 1)]
    return numbers
