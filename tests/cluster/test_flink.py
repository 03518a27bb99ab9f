"""The jobs on a Flink cluster: run by `make cluster-test`, not by `make test`.

In this order: the last test leaves the cluster without one of its TaskManagers.
"""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.flink import cluster as flink_cluster
from mindrecord_io.versions import opening

REPOSITORY = Path(__file__).resolve().parents[2]
NUM_CLIPS = 48
NUM_SHARDS = 24
JOB_SECONDS = 240


def start(*words):
    """Starts one of the project's programs."""
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines", *map(str, words)],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process):
    """Returns the last line of a program's output, and all that it said."""
    output, said = process.communicate(timeout=JOB_SECONDS)
    assert process.returncode == 0, said
    return json.loads(output.splitlines()[-1]), said


def run(*words):
    return finished(start(*words))[0]


def hashes(dataset):
    """Of every shard of the current version the path and the SHA-256 of both files."""
    shards = opening.open_version(dataset).manifest.shards
    return [(s.path, s.mindrecord, s.mindrecord_index) for s in shards]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def cluster(folder):
    running = flink_cluster.up(flink_cluster.Options(folder / "flink"))
    yield running
    flink_cluster.down(running.folder)
    assert not any(
        flink_cluster.is_alive(*process) for process in running.processes.values()
    )


@pytest.fixture(scope="module")
def source(folder):
    """The flags that name clips and annotations."""
    drawn = run("synthesize", "--output", folder / "drawn", "--num_clips", NUM_CLIPS)
    return ["--clips", drawn["clips"], "--annotations", drawn["annotations"]]


@pytest.fixture(scope="module")
def local(folder, source):
    """A data set that the local runner has built."""
    dataset = folder / "local"
    run("build", *source, "--dataset", dataset, "--num_shards", NUM_SHARDS)
    return dataset


@pytest.fixture(scope="module")
def built(folder, source, cluster):
    """A data set that the cluster has built."""
    dataset = folder / "on_flink"
    flags = ["--dataset", dataset, "--num_shards", NUM_SHARDS, *cluster.flags(2)]
    run("build", *source, *flags)
    return dataset


def test_a_build_on_flink_gives_the_bytes_of_a_local_one(built, local):
    assert len(hashes(built)) > NUM_SHARDS / 2  # a shard may be left without a clip
    assert hashes(built) == hashes(local)


def test_both_task_managers_take_part(built, cluster):
    log = (cluster.folder / "logs" / "worker_pool.log").read_text()
    asking = re.findall(r"worker_pool: worker \S+ for (\S+): \d+", log)
    assert len(set(asking)) == 2


def test_verifying_on_flink_finds_a_whole_version(built, cluster):
    result = run("verify", "--dataset", built, *cluster.flags(2))
    assert (result["num_shards"], result["damaged"]) == (len(hashes(built)), [])


def test_relabelling_on_flink_gives_the_bytes_of_a_local_one(
    built, local, folder, source, cluster
):
    annotations = folder / "relabelled"
    annotations.mkdir()
    for path in Path(source[3]).iterdir():
        rows = json.loads(path.read_text())
        if path.name.endswith("train.json"):
            rows = rows[:-1]  # one clip is withdrawn: its shard is made again
        (annotations / path.name).write_text(json.dumps(rows))
    flags = ["--annotations", annotations]
    done = run("relabel", *flags, "--dataset", built, *cluster.flags(2))
    run("relabel", *flags, "--dataset", local)
    num_others = len(hashes(built)) - 1
    assert done["shards"] == {"reused": num_others, "relabelled": 1, "decoded": 0}
    assert hashes(built) == hashes(local)


def test_a_task_that_fails_ends_the_job_with_its_own_words(folder, source, cluster):
    dataset = folder / "refused"
    (dataset / "shards").mkdir(parents=True)
    (dataset / "shards" / "train").write_text("in the way of the folder")
    job = start("build", *source, "--dataset", dataset, *cluster.flags(2))
    _, said = job.communicate(timeout=JOB_SECONDS)
    assert job.returncode == 1
    assert "build failed: " in said.splitlines()[-1]
    assert f"Not a directory: '{dataset}/shards/train/" in said.splitlines()[-1]


def test_a_build_outlives_a_task_manager(folder, source, local, cluster):
    dataset = folder / "survivor"
    flags = ["--dataset", dataset, "--num_shards", NUM_SHARDS, *cluster.flags(2)]
    job = start("build", *source, *flags)
    deadline = time.monotonic() + JOB_SECONDS
    while num_published(dataset) < 3:
        assert job.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    cluster.kill("task_manager_1")
    num_before, num_shards = num_published(dataset), len(first_version(local))
    result, _ = finished(job)
    assert num_before < num_shards, "killed too late to matter"
    assert 0 < result["shards"]["reused"] < num_shards  # the second attempt found them
    assert first_version(dataset) == first_version(local)
    assert cluster.rest("overview")["taskmanagers"] == 1


def num_published(dataset):
    return sum(
        not path.parent.name.startswith(".")
        for path in dataset.glob("shards/*/*/summary.json")
    )


def first_version(dataset):
    shards = opening.open_version(dataset, "000001").manifest.shards
    return [(s.path, s.mindrecord, s.mindrecord_index) for s in shards]
