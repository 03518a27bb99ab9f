"""The jobs on a Flink cluster: run by `make cluster-test`, not by `make test`.

In this order: the last test leaves the cluster without one of its TaskManagers.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.flink import cluster as flink_cluster
from mindrecord_io.versions import opening
from tests import listeners
from tests.cluster import jobs

# What the jobs do not use of Beam, and the translation for Flink has to know.
COUNTED = """
import sys
import apache_beam as beam
from apache_beam import metrics
from pipelines.building import beam_runner

def count(group):
    key, (ones, others) = group
    name = f"{key}: {ones} {others}"
    metrics.Metrics.counter("groups", name).inc(len(ones) + len(others))

class Joined(beam.PTransform):
    def expand(self, pipeline):
        ones = pipeline | "Ones" >> beam.Create([("a", 1), ("b", 2)])
        others = pipeline | "Others" >> beam.Create([("a", 3)])
        return (ones, others) | beam.CoGroupByKey() | beam.Map(count)

result = beam_runner.run(Joined(), sys.argv[1:], 1)
for counter in result.metrics().query()["counters"]:
    if counter.key.metric.namespace == "groups":
        print(counter.key.metric.name, counter.result)
"""


@pytest.fixture(scope="module")
def cluster(folder):
    running = flink_cluster.up(flink_cluster.Options(folder / "flink"))
    yield running
    flink_cluster.down(running.folder)
    assert not any(
        flink_cluster.is_alive(*process) for process in running.processes.values()
    )


@pytest.fixture(scope="module")
def flags(cluster):
    return [*cluster.flags(2), *jobs.ONE_WORKER]


@pytest.fixture(scope="module")
def built(folder, source, cluster, flags):
    """A data set that the cluster has built, and where anything listened meanwhile."""
    dataset, sockets = folder / "on_flink", set()
    words = ["--dataset", dataset, "--num_shards", jobs.NUM_SHARDS, *flags]
    job = jobs.start("build", *source, *words)
    roots = {job.pid, *(pid for pid, _ in cluster.processes.values())}
    while job.poll() is None:
        pids = set().union(*map(descendants, roots))
        sockets |= listeners.listening(pids)
        time.sleep(0.1)
    jobs.finished(job)
    return dataset, {address for address, _ in sockets}


def descendants(pid):
    """Returns a process and all that descend from it."""
    found = {pid}
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = path.read_text().split()
        except OSError:  # it has just ended
            continue
        found |= set().union(*(descendants(int(child)) for child in children))
    return found


def running_jobs(cluster):
    overview = cluster.rest("jobs/overview")["jobs"]
    ended = ("CANCELED", "FAILED", "FINISHED")
    return [job for job in overview if job["state"] not in ended]


def test_a_build_on_flink_gives_the_bytes_of_a_local_one(built, local):
    dataset, _ = built
    expected = jobs.hashes(local, "000001")
    assert len(expected) > jobs.NUM_SHARDS / 2  # a shard may be left without a clip
    assert jobs.hashes(dataset) == expected


def test_nothing_of_a_build_on_flink_listens_to_other_machines(built):
    _, addresses = built
    assert addresses == {"127.0.0.1"}


def test_both_task_managers_take_part(built, cluster):
    log = (cluster.folder / "logs" / "worker_pool.log").read_text()
    callers = re.findall(r"worker_pool: worker \S+ for (\S+): \d+", log)
    assert len(set(callers)) == 2


def test_the_cluster_holds_no_jar_of_a_job_that_is_done(built, cluster):
    assert cluster.rest("jars")["files"] == []


def test_verifying_on_flink_finds_a_whole_version(built, flags):
    dataset, _ = built
    result = jobs.run("verify", "--dataset", dataset, *flags)
    assert result["damaged"] == []
    assert result["num_shards"] == len(jobs.hashes(dataset))


def test_relabelling_on_flink_gives_the_bytes_of_a_local_one(
    built, local, fewer, flags
):
    dataset, _ = built
    done = jobs.run("relabel", *fewer, "--dataset", dataset, *flags)
    num_others = len(jobs.hashes(dataset, "000001")) - 1
    assert done["shards"] == {"reused": num_others, "relabelled": 1, "decoded": 0}
    assert jobs.hashes(dataset) == jobs.hashes(local, "000002")


def test_beams_counters_come_back_and_collections_are_joined(cluster):
    done = subprocess.run(
        [sys.executable, "-c", COUNTED, *cluster.flags(2), "--job_name=counted"],
        env=jobs.environment(),
        capture_output=True,
        text=True,
        timeout=jobs.JOB_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == ["a: [1] [3] 2", "b: [2] [] 1"]
    names = [job["name"] for job in cluster.rest("jobs/overview")["jobs"]]
    assert names.count("counted") == 1
    assert set(names) == {"counted", "clipmill"}


def test_a_task_that_fails_ends_the_job_with_its_own_words(
    folder, source, local, flags
):
    dataset = shutil.copytree(local, folder / "damaged")
    shard = opening.open_version(dataset, "000001").manifest.shards[0]
    (dataset / shard.path).with_name("summary.json").write_text("{}")
    words = ["--dataset", dataset, "--num_shards", jobs.NUM_SHARDS, *flags]
    job = jobs.start("build", *source, *words)
    _, errors = job.communicate(timeout=jobs.JOB_SECONDS)
    assert job.returncode == 1
    assert re.search(
        rf"build failed: {shard.split} shard {shard.index}: {dataset}/shards/"
        rf"{shard.place}: published shard is damaged: bad summary.json: .*; "
        r"`clipmill build --repair` makes it again$",
        errors.splitlines()[-1],
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_build_that_is_stopped_stops_on_the_cluster(
    started_build, stopped, cluster, flags, number
):
    job, dataset, temporary = started_build(flags)
    jobs.wait_for_shards(job, dataset, 3)
    jobs.check_stopped(job, number, temporary)
    stopped(dataset)
    assert running_jobs(cluster) == []
    assert cluster.rest("jars")["files"] == []


def test_the_job_of_a_driver_that_was_killed_is_cancelled(
    started_build, cluster, flags
):
    job, dataset, _ = started_build(flags)
    jobs.wait_for_shards(job, dataset, 3)
    assert running_jobs(cluster)
    job.kill()
    job.wait()
    jobs.wait_until(lambda: not running_jobs(cluster), "the job is cancelled")
    jobs.wait_until(lambda: not cluster.rest("jars")["files"], "its jar is gone")


def test_a_lost_worker_restarts_its_own_task_alone(
    started_build, local, cluster, flags
):
    """What a machine that is taken away costs: the work of its own slots."""
    log = cluster.folder / "logs" / "job_manager.log"
    begin = len(log.read_text())
    job, dataset, _ = started_build(flags)
    jobs.wait_for_shards(job, dataset, 3)
    pool, _ = cluster.processes["worker_pool"]
    worker = min(descendants(pool) - {pool})
    os.kill(worker, signal.SIGKILL)
    result = jobs.finished(job)
    restarts = re.findall(r"(\d+) tasks will be restarted", log.read_text()[begin:])
    assert restarts == ["1"]
    assert result["shards"]["reused"] > 0
    assert jobs.hashes(dataset) == jobs.hashes(local, "000001")


def test_a_build_outlives_a_task_manager(started_build, local, cluster, flags):
    job, dataset, _ = started_build(flags)
    jobs.wait_for_shards(job, dataset, 3)
    cluster.kill("task_manager_1")
    num_before, expected = jobs.num_published(dataset), jobs.hashes(local, "000001")
    result = jobs.finished(job)
    assert num_before < len(expected), "killed too late to matter"
    assert 0 < result["shards"]["reused"] < len(expected)
    assert jobs.hashes(dataset) == expected
    assert cluster.rest("overview")["taskmanagers"] == 1
