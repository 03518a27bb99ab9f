import os
import subprocess
import sys

import pytest

from infra.flink import cluster, distribution, worker_pool


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


def test_the_pool_stops_no_worker_that_another_asked_for():
    pool = worker_pool.WorkerPool(use_process=True)
    process = sleeper()
    pool._worker_processes["1-1"] = process

    pool.StopWorker(None, None)

    assert process.poll() is None
    process.kill()
    process.wait()
