"""A Flink session cluster on this machine's loopback: what `up` and `down` run.

A JobManager, TaskManagers and a pool of Beam workers, each a process of its own in a
session of its own. All that they write is below one folder, which `up` makes and `down`
reads. The last line that `up` prints is the flags with which a job runs on it.
"""

import argparse
import contextlib
import dataclasses
import json
import logging
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.flink import distribution

__all__ = ["Cluster", "ClusterError", "Options", "down", "is_alive", "main", "up"]

logger = logging.getLogger(__name__)

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = REPOSITORY / ".cluster"

_STATE = "cluster.json"
_START_SECONDS = 120
_STOP_SECONDS = 10
_JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
_TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
# What Flink 1.20's own scripts pass to Java 17.
_OPENED = (
    *("java.base/java.lang", "java.base/java.net", "java.base/java.io"),
    *("java.base/java.nio", "java.base/sun.nio.ch", "java.base/java.lang.reflect"),
    *("java.base/java.text", "java.base/java.time", "java.base/java.util"),
    *("java.base/java.util.concurrent", "java.base/java.util.concurrent.atomic"),
    "java.base/java.util.concurrent.locks",
)
_LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.err.ref = err
appender.err.name = err
appender.err.type = CONSOLE
appender.err.target = SYSTEM_ERR
appender.err.layout.type = PatternLayout
appender.err.layout.pattern = %d{HH:mm:ss.SSS} %-5p %c{1} - %m%n
"""


class ClusterError(RuntimeError):
    """The cluster did not come up."""


@dataclass(frozen=True, slots=True)
class Options:
    """One cluster.

    Attributes:
      folder: for configuration, logs and scratch files; must not exist.
      num_slots: of each TaskManager, so that one alone can finish a job of two.
    """

    folder: Path
    num_task_managers: int = 2
    num_slots: int = 2


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster.

    Attributes:
      processes: process id and start time (in the kernel's ticks) by name.
    """

    folder: Path
    rest_port: int
    pool_port: int
    processes: dict[str, tuple[int, int]]

    def flags(self, parallelism: int) -> list[str]:
        """Returns the flags with which a job runs here."""
        return [
            "--runner=FlinkRunner",
            f"--flink_master=127.0.0.1:{self.rest_port}",
            "--flink_submit_uber_jar",
            f"--flink_job_server_jar={CACHE / 'lib' / distribution.RUNNER_JAR}",
            f"--parallelism={parallelism}",
            "--environment_type=EXTERNAL",
            f"--environment_config=127.0.0.1:{self.pool_port}",
        ]

    def rest(self, path: str) -> Any:
        """Returns what the JobManager answers to a GET."""
        url = f"http://127.0.0.1:{self.rest_port}/v1/{path}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)

    def save(self) -> None:
        """Writes down what `down` needs to know."""
        fields = dataclasses.asdict(self) | {"folder": str(self.folder)}
        (self.folder / _STATE).write_text(json.dumps(fields))

    def kill(self, name: str) -> None:
        """Ends one process at once, as a machine that fails would."""
        _signal(*self.processes[name], signal.SIGKILL)


def up(options: Options) -> Cluster:
    """Starts a cluster and waits until its slots are there.

    Raises:
      ClusterError: it did not come up; what was started is stopped again.
      distribution.DistributionError: a jar could not be had.
    """
    jars = distribution.ensure(CACHE)
    options.folder.mkdir(parents=True)
    rest, rpc, pool = _free_ports(3)
    _configure(options, rest, rpc)
    cluster = Cluster(options.folder, rest, pool, {})
    try:
        _start_all(cluster, jars, options)
        _wait(cluster, options.num_task_managers)
    except BaseException:
        down(options.folder)
        raise
    return cluster


def down(folder: Path) -> None:
    """Ends every process of the cluster, politely and then not."""
    processes = list(_load(folder).processes.items())
    for _, process in processes:
        _signal(*process, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while any(is_alive(*p) for _, p in processes) and time.monotonic() < deadline:
        time.sleep(0.1)
    for _, process in processes:
        _signal(*process, signal.SIGKILL)
    shutil.rmtree(folder / "scratch", ignore_errors=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Starts or ends a cluster; `up` prints the flags of jobs."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    flags = _parser().parse_args(argv)
    try:
        if flags.action == "down":
            down(flags.folder)
            return 0
        options = Options(flags.folder, flags.num_task_managers, flags.num_slots)
        cluster = up(options)
    except (ClusterError, distribution.DistributionError, OSError) as error:
        logger.error("%s failed: %s", flags.action, error)
        return 1
    logger.info("Flink's pages: http://127.0.0.1:%d", cluster.rest_port)
    print(shlex.join(cluster.flags(options.num_task_managers)))  # noqa: T201
    return 0


def _configure(options: Options, rest: int, rpc: int) -> None:
    configuration = options.folder / "conf"
    configuration.mkdir()
    (options.folder / "logs").mkdir()
    (configuration / "log4j.properties").write_text(_LOG4J)
    settings: dict[str, object] = {
        "jobmanager.rpc.address": "127.0.0.1",
        "jobmanager.rpc.port": rpc,
        "jobmanager.bind-host": "127.0.0.1",
        "rest.address": "127.0.0.1",
        "rest.bind-address": "127.0.0.1",
        "rest.port": rest,
        "taskmanager.host": "127.0.0.1",
        "taskmanager.bind-host": "127.0.0.1",
        "taskmanager.numberOfTaskSlots": options.num_slots,
        "taskmanager.load-balance.mode": "SLOTS",
        "taskmanager.cpu.cores": float(options.num_slots),
        "taskmanager.memory.task.heap.size": "160m",
        "taskmanager.memory.task.off-heap.size": "96m",
        "taskmanager.memory.framework.heap.size": "96m",
        "taskmanager.memory.framework.off-heap.size": "96m",
        "taskmanager.memory.network.min": "64m",
        "taskmanager.memory.network.max": "64m",
        "taskmanager.memory.managed.size": "64m",
        "taskmanager.memory.jvm-metaspace.size": "192m",
        "taskmanager.memory.jvm-overhead.min": "64m",
        "taskmanager.memory.jvm-overhead.max": "64m",
        # A lost TaskManager is noticed soon, and what it did is done elsewhere.
        "heartbeat.interval": 1000,
        "heartbeat.timeout": 10000,
        # By rate: a long job loses more workers than a short one, and is as sound.
        "restart-strategy.type": "failure-rate",
        "restart-strategy.failure-rate.max-failures-per-interval": 3,
        "restart-strategy.failure-rate.failure-rate-interval": "1 min",
        "restart-strategy.failure-rate.delay": "1 s",
        "io.tmp.dirs": options.folder / "scratch",
        "web.tmpdir": options.folder / "scratch",
    }
    text = "".join(f"{key}: {value}\n" for key, value in settings.items())
    (configuration / "config.yaml").write_text(text)
    (options.folder / "scratch").mkdir()


def _start_all(cluster: Cluster, jars: Path, options: Options) -> None:
    pool = Path(__file__).with_name("worker_pool.py")
    command = [sys.executable, str(pool), "--port", str(cluster.pool_port)]
    _start(cluster, "worker_pool", command)
    java = ["-Xmx320m", "-XX:MaxMetaspaceSize=192m"]
    _start(cluster, "job_manager", _java(cluster, jars, java, _JOB_MANAGER))
    java = ["-Xmx256m", "-XX:MaxDirectMemorySize=256m", "-XX:MaxMetaspaceSize=192m"]
    for number in range(1, options.num_task_managers + 1):
        name = f"task_manager_{number}"
        _start(cluster, name, _java(cluster, jars, java, _TASK_MANAGER))


def _java(cluster: Cluster, jars: Path, flags: Sequence[str], entry: str) -> list[str]:
    configuration = cluster.folder / "conf"
    return [
        "java",
        "-XX:+UseSerialGC",
        *flags,
        *(f"--add-opens={package}=ALL-UNNAMED" for package in _OPENED),
        f"-Dlog4j2.configurationFile={configuration / 'log4j.properties'}",
        "-cp",
        os.pathsep.join(map(str, sorted(jars.glob("*.jar")))),
        entry,
        *("--configDir", str(configuration)),
    ]


def _start(cluster: Cluster, name: str, command: Sequence[str]) -> None:
    paths = [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    with (cluster.folder / "logs" / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=os.environ | environment,
        )
    cluster.processes[name] = (process.pid, _start_time(process.pid))
    cluster.save()


def _wait(cluster: Cluster, num_task_managers: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        for name, process in cluster.processes.items():
            if not is_alive(*process):
                log = cluster.folder / "logs" / f"{name}.log"
                output = log.read_text(errors="replace").strip()[-1500:]
                raise ClusterError(f"{name} ended: {output}")
        with contextlib.suppress(OSError, ValueError):
            if cluster.rest("overview")["taskmanagers"] >= num_task_managers:
                return
        time.sleep(0.25)
    raise ClusterError(
        f"no TaskManagers after {_START_SECONDS} s: see {cluster.folder}"
    )


def _load(folder: Path) -> Cluster:
    fields = json.loads((folder / _STATE).read_text())
    processes = {name: tuple(value) for name, value in fields["processes"].items()}
    return Cluster(folder, fields["rest_port"], fields["pool_port"], processes)


def _free_ports(number: int) -> Iterator[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in sockets]
    return iter(ports)


def _signal(pid: int, start_time: int, number: int) -> None:
    """Signals a process and those it started, if it is still the one meant."""
    if is_alive(pid, start_time):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, number)


def is_alive(pid: int, start_time: int) -> bool:
    """Tells whether a process is there, and the one that began at that time."""
    return _start_time(pid) == start_time


def _start_time(pid: int) -> int:
    """Returns when a process began; -1 if there is none, or only its exit status."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return -1
    fields = text.rpartition(")")[2].split()
    return -1 if fields[0] == "Z" else int(fields[19])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("action", choices=("up", "down"))
    parser.add_argument("--folder", type=Path, default=CACHE / "run")
    parser.add_argument("--num_task_managers", type=int, default=2)
    parser.add_argument("--num_slots", type=int, default=2)
    return parser


if __name__ == "__main__":
    sys.exit(main())
