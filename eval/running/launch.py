"""`clipmill launch`: train or eval on several devices and hosts, by msrun.

    clipmill launch --devices 8 -- train --config_path FILE ...
    clipmill launch --devices 8 --hosts 10.0.0.1,10.0.0.2 -- train ...

The same command is given on every host, as Slurm's srun does; each starts its part.
"""

import contextlib
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.running import launch_hosts
from eval.running.launch_hosts import Hosts
from mindrecord_io.commands import command_line
from mindrecord_io.commands.command_line import CommandParser

__all__ = ["Launch", "last_words", "launch_parser", "main", "run_own"]

_JOBS = ("train", "eval")
_NUM_LAST_LINES = 5


@dataclass(frozen=True, slots=True)
class Launch:
    """One job on several devices.

    Attributes:
      devices: of each host.
      words: the job and its flags, as after `clipmill`.
      log_dir: where each rank's log goes, a folder a host.
    """

    hosts: Hosts
    devices: int
    words: tuple[str, ...]
    log_dir: Path
    master_port: int = 8118

    def __post_init__(self) -> None:
        if not self.words or self.words[0] not in _JOBS:
            given = shlex.join(self.words) or "nothing"
            raise ValueError(
                f"what to launch must follow -- and begin with one of {_JOBS}, got "
                f"{given!r}"
            )
        if not 1024 <= self.master_port <= 65535:
            raise ValueError(
                f"--master_port must be in [1024, 65535], got {self.master_port}"
            )

    def command(self, node_rank: int) -> list[str]:
        """Returns the words that a host runs."""
        job = ["-P", "-m", *self.words]
        num_ranks = self.devices * len(self.hosts.names)
        if num_ranks == 1:
            return [sys.executable, *job]
        flags = {
            "worker_num": num_ranks,
            "local_worker_num": self.devices,
            "master_addr": self.hosts.names[0],
            "master_port": self.master_port,
            "log_dir": self.logs(node_rank),
            "join": True,
            "tail_worker_log": 0 if node_rank == 0 else -1,
        }
        if len(self.hosts.names) > 1:
            flags["node_rank"] = node_rank
        msrun = str(Path(sys.executable).with_name("msrun"))
        # By this word alone: any other, a path to it too, would be a script for python.
        return [msrun, *(f"--{k}={v}" for k, v in flags.items()), "python", *job]

    def logs(self, node_rank: int) -> Path:
        """Returns the folder of a host's logs."""
        return self.log_dir / f"host_{node_rank}"


def last_words(folder: Path) -> list[str]:
    """Returns the last lines of each rank's log, each after its file's name."""
    lines = []
    for path in sorted(folder.glob("worker_*.log")):
        text = path.read_text("utf-8", errors="replace").splitlines()
        last = [line for line in text if line.strip()][-_NUM_LAST_LINES:]
        lines += [f"{path.name}: {line}" for line in last]
    return lines


def launch_parser() -> CommandParser:
    """Returns the parser of `launch`, without the words after --."""
    parser = CommandParser(
        "launch",
        "Runs train or eval on the devices of one or several hosts.",
        example="--devices 8 --hosts 10.0.0.1,10.0.0.2 -- train --config_path run.yaml "
        "--dataset ssv2 --output run",
        notes="Give the same command on every host; --output must be a folder that "
        "all share. Hosts also come from Slurm's or Volcano's environment.",
    )
    parser.add_argument(
        "--devices",
        type=command_line.positive_int,
        required=True,
        metavar="N",
        help="devices of each host",
    )
    given = parser.add_mutually_exclusive_group()
    given.add_argument("--hosts", metavar="A,B", help="hosts, the first has rank 0")
    given.add_argument(
        "--hostfile", type=command_line.local_path, metavar="FILE", help="a host a line"
    )
    parser.add_argument(
        "--node_rank",
        type=command_line.non_negative_int,
        metavar="R",
        help="which of them this host is; by default by its name or the environment",
    )
    parser.add_argument(
        "--master_port",
        type=command_line.positive_int,
        default=8118,
        metavar="PORT",
        help="of the first host, the same everywhere",
    )
    parser.add_argument(
        "--log_dir",
        type=command_line.local_path,
        default=Path("launch_logs"),
        metavar="DIR",
        help="folder for a log a rank",
    )
    command_line.add_dry_run(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Launches this host's part; returns its exit status, or 2 for wrong usage."""
    words = list(sys.argv[1:] if argv is None else argv)
    at = words.index("--") if "--" in words else len(words)
    parser = launch_parser()
    flags = parser.parse_args(words[:at])
    launch, is_dry = _launch_of(parser, flags, tuple(words[at + 1 :])), flags.dry_run
    if is_dry:
        for rank, name in enumerate(launch.hosts.names):
            print(f"{name}: {shlex.join(launch.command(rank))}")  # noqa: T201
        return 0
    own_rank = launch.hosts.own_rank
    if own_rank is None:
        parser.error(
            f"this host is none of {', '.join(launch.hosts.names)} by its name: give "
            f"--node_rank"
        )
    launch.logs(own_rank).mkdir(parents=True, exist_ok=True)
    status = _run(launch.command(own_rank))
    if status:
        for line in last_words(launch.logs(own_rank)):
            print(line, file=sys.stderr)  # noqa: T201
    return status


def _launch_of(parser: CommandParser, flags: object, words: tuple[str, ...]) -> Launch:
    values = vars(flags)
    listed = (values["hosts"] or "").split(",") if values["hosts"] else []
    if values["hostfile"]:
        try:
            listed = launch_hosts.read_hostfile(values["hostfile"])
        except OSError as error:
            parser.error(str(error))
    hosts = parser.make(
        launch_hosts.choose, listed, values["node_rank"], dict(os.environ)
    )
    return parser.make(
        Launch,
        hosts=hosts,
        devices=values["devices"],
        words=words,
        log_dir=values["log_dir"],
        master_port=values["master_port"],
    )


def run_own(words: Sequence[str]) -> int:
    """Runs `clipmill WORDS` as a process of its own; returns its exit status."""
    return _run([sys.executable, "-P", "-m", "pipelines", *words])


def _run(command: Sequence[str]) -> int:
    """Runs a command to its end; Ctrl-C reaches it too, and is waited for.

    The current folder may have a train.py or an eval of its own: -P leaves it out.
    """
    first = {
        "PATH": Path(sys.executable).parent,  # whose python msrun shall find
        "PYTHONPATH": Path(__file__).resolve().parents[2],
    }
    added = {
        name: os.pathsep.join([str(path), *filter(None, [os.environ.get(name)])])
        for name, path in first.items()
    }
    with subprocess.Popen(command, env=os.environ | added) as process:
        while True:
            with contextlib.suppress(KeyboardInterrupt):
                return 1 if process.wait() else 0
