import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest
from apache_beam.portability.api import (
    beam_fn_api_pb2,
    beam_fn_api_pb2_grpc,
    endpoints_pb2,
)

from infra.flink import cluster, distribution, worker_pool
from tests import listeners


def sleeper(seconds=60):
    return subprocess.Popen(
        [sys.executable, "-c", f"import time; time.sleep({seconds})"],
        start_new_session=True,
    )


def running(folder, **pids):
    processes = {name: (pid, cluster._start_time(pid)) for name, pid in pids.items()}
    made = cluster.Cluster(folder, 8081, 50000, processes)
    made.save()
    return made


def test_the_flags_name_the_cluster_and_its_pool(tmp_path):
    flags = cluster.Cluster(tmp_path, 8081, 50000, {}).flags(3)

    assert flags[:2] == ["--runner=FlinkRunner", "--flink_master=127.0.0.1:8081"]
    assert "--parallelism=3" in flags
    assert flags[-2:] == [
        "--environment_type=EXTERNAL",
        "--environment_config=127.0.0.1:50000",
    ]


def test_down_ends_every_process(tmp_path):
    processes = [sleeper(), sleeper()]
    running(tmp_path, job_manager=processes[0].pid, worker_pool=processes[1].pid)

    cluster.down(tmp_path)

    assert [process.wait(10) for process in processes] == [-15, -15]


def test_down_leaves_another_process_that_got_the_same_id(tmp_path):
    process = sleeper()
    made = running(tmp_path, job_manager=process.pid)
    pid, start_time = made.processes["job_manager"]
    made.processes["job_manager"] = (pid, start_time - 1)
    made.save()

    cluster.down(tmp_path)

    assert process.poll() is None
    process.kill()
    process.wait()


def test_killing_one_leaves_the_others(tmp_path):
    processes = [sleeper(), sleeper()]
    made = running(tmp_path, one=processes[0].pid, other=processes[1].pid)

    made.kill("one")

    assert processes[0].wait(10) == -9
    assert processes[1].poll() is None
    cluster.down(tmp_path)
    processes[1].wait()


def test_a_process_that_is_only_a_status_is_not_alive():
    process = sleeper(0)
    start_time = cluster._start_time(process.pid)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    assert not cluster.is_alive(process.pid, start_time)
    process.wait()


def test_without_java_it_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")

    with pytest.raises(distribution.DistributionError, match="java is not on the path"):
        distribution.ensure(tmp_path)


def test_a_tool_that_fails_is_quoted():
    command = [sys.executable, "-c", "import sys; sys.exit('no such version')"]

    with pytest.raises(distribution.DistributionError) as caught:
        distribution.run(command)

    assert str(caught.value).endswith("failed (1): no such version")


@pytest.fixture
def pool():
    """The port of a worker pool as `up` starts it."""
    (port,) = cluster._free_ports(1)
    command = [sys.executable, worker_pool.__file__, "--port", str(port)]
    process = subprocess.Popen(command, start_new_session=True)
    yield process, port
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def ask_for_a_worker(address, port):
    """Asks a pool for a worker, as anybody may who reaches it."""
    endpoint = endpoints_pb2.ApiServiceDescriptor(url="127.0.0.1:9")
    request = beam_fn_api_pb2.StartWorkerRequest(
        worker_id="1-1", control_endpoint=endpoint
    )
    with grpc.insecure_channel(f"{address}:{port}") as channel:
        stub = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel)
        return stub.StartWorker(request, timeout=30)


def other_addresses():
    """Addresses of this machine beside 127.0.0.1: loopback's, and the network's."""
    addresses = {"127.0.0.2"}
    with contextlib.suppress(OSError):
        addresses |= {i[4][0] for i in socket.getaddrinfo(socket.gethostname(), None)}
    # Connecting a datagram socket sends nothing: it only picks the route's address.
    with socket.socket(type=socket.SOCK_DGRAM) as one, contextlib.suppress(OSError):
        one.connect(("192.0.2.1", 9))
        addresses.add(one.getsockname()[0])
    return sorted(a for a in addresses - {"127.0.0.1"} if ":" not in a)


def test_the_pool_starts_workers_for_this_machine_and_nobody_else(pool):
    process, port = pool
    deadline = time.monotonic() + 60
    while (heard := listeners.listening({process.pid})) == set():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert heard == {("127.0.0.1", port)}
    for address in other_addresses():
        with pytest.raises(grpc.RpcError) as caught:
            ask_for_a_worker(address, port)
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert ask_for_a_worker("127.0.0.1", port).error == ""


def test_a_pool_listens_elsewhere_only_where_it_is_told_to():
    (port,) = cluster._free_ports(1)
    server = worker_pool.serve("127.0.0.2", port)
    try:
        assert listeners.listening({os.getpid()}) >= {("127.0.0.2", port)}
    finally:
        server.stop(0)


def test_a_port_that_is_taken_is_an_error():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(RuntimeError, match="bind"):
            worker_pool.serve("127.0.0.1", taken.getsockname()[1])


def test_the_pool_stops_no_worker_that_another_asked_for(pool):
    process, port = pool
    deadline = time.monotonic() + 60
    while not listeners.listening({process.pid}):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    ask_for_a_worker("127.0.0.1", port)
    tasks = Path(f"/proc/{process.pid}/task").glob("*/children")
    (worker,) = " ".join(task.read_text() for task in tasks).split()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel)
        stub.StopWorker(beam_fn_api_pb2.StopWorkerRequest(worker_id="1-1"), timeout=30)
    assert cluster._start_time(int(worker)) > 0
