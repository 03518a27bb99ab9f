"""The jobs on a Dask cluster of two worker processes, by Beam's own DaskRunner."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster import jobs

pytest.importorskip(
    "distributed", reason="dask is not installed: pip install '.[dask]'"
)


@pytest.fixture(scope="module")
def cluster(folder):
    """Where the cluster is, and the process ids of its workers."""
    script = Path(__file__).with_name("dask_cluster.py")
    with (folder / "dask.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(script)],
            cwd=folder,
            env=jobs.environment(),
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    yield json.loads(process.stdout.readline())
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="module")
def flags(cluster):
    return [
        "--runner=DaskRunner",
        f"--dask_client_address={cluster['address']}",
        f"--dask_npartitions={jobs.NUM_SHARDS}",  # a shard each: dealt as they end
        *jobs.ONE_WORKER,
    ]


@pytest.fixture(scope="module")
def built(folder, source, flags):
    dataset = folder / "on_dask"
    words = ["--dataset", dataset, "--num_shards", jobs.NUM_SHARDS]
    jobs.run("build", *source, *words, *flags)
    return dataset


def test_a_build_on_dask_gives_the_bytes_of_a_local_one(built, local):
    assert jobs.hashes(built) == jobs.hashes(local, "000001")


def test_verifying_on_dask_finds_a_whole_version(built, flags):
    result = jobs.run("verify", "--dataset", built, *flags)
    assert result["damaged"] == []
    assert result["num_shards"] == len(jobs.hashes(built))


def test_relabelling_on_dask_gives_the_bytes_of_a_local_one(built, local, fewer, flags):
    jobs.run("relabel", *fewer, "--dataset", built, *flags)
    assert jobs.hashes(built) == jobs.hashes(local, "000002")


def test_a_build_that_is_stopped_stops_on_the_cluster(started_build, stopped, flags):
    job, dataset, temporary = started_build(flags)
    jobs.wait_for_shards(job, dataset, 3)
    jobs.check_stopped(job, signal.SIGINT, temporary)
    stopped(dataset)


def test_a_build_outlives_a_worker(started_build, local, cluster, flags):
    """In this order: the ids of the workers are those that the cluster began with."""
    job, dataset, _ = started_build(flags)
    jobs.wait_for_shards(job, dataset, 3)
    os.kill(cluster["pids"][0], signal.SIGKILL)
    num_before, expected = jobs.num_published(dataset), jobs.hashes(local, "000001")
    jobs.finished(job)
    assert num_before < len(expected), "killed too late to matter"
    assert jobs.hashes(dataset) == expected
