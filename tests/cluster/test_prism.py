"""The jobs on Prism, Beam's own portable runner; skipped where there is no Go."""

import subprocess
import sys

import pytest

from infra import prism
from infra.flink import cluster as flink_cluster
from infra.flink import worker_pool
from tests.cluster import jobs


@pytest.fixture(scope="module")
def flags(folder):
    """The flags with which a job runs on Prism, its work in our own worker pool."""
    try:
        program = prism.ensure(flink_cluster.CACHE)
    except prism.PrismError as why:
        pytest.skip(str(why))
    port, pool_port = flink_cluster._free_ports(2)
    pool = [sys.executable, worker_pool.__file__, "--port", str(pool_port)]
    with (folder / "prism.log").open("wb") as log:
        options = {"stdout": log, "stderr": log, "env": jobs.environment()}
        processes = [
            subprocess.Popen(
                [program, f"-job_port={port}", "-serve_http=false"], **options
            ),
            subprocess.Popen(pool, **options),
        ]
    yield [
        "--runner=PortableRunner",
        f"--job_endpoint=127.0.0.1:{port}",
        "--environment_type=EXTERNAL",
        f"--environment_config=127.0.0.1:{pool_port}",
        *jobs.ONE_WORKER,
    ]
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def built(folder, source, flags):
    dataset = folder / "on_prism"
    words = ["--dataset", dataset, "--num_shards", jobs.NUM_SHARDS]
    jobs.run("build", *source, *words, *flags)
    return dataset


def test_a_build_on_prism_gives_the_bytes_of_a_local_one(built, local):
    assert jobs.hashes(built) == jobs.hashes(local, "000001")


def test_verifying_on_prism_finds_a_whole_version(built, flags):
    result = jobs.run("verify", "--dataset", built, *flags)
    assert result["damaged"] == []
    assert result["num_shards"] == len(jobs.hashes(built))


def test_relabelling_on_prism_gives_the_bytes_of_a_local_one(
    built, local, fewer, flags
):
    jobs.run("relabel", *fewer, "--dataset", built, *flags)
    assert jobs.hashes(built) == jobs.hashes(local, "000002")
