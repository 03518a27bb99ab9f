"""Clips, annotations and the data sets of the local runner that engines are held to."""

import json
from pathlib import Path

import pytest

from tests.cluster import jobs


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="session")
def source(folder):
    """The flags that name clips and annotations."""
    words = ["--output", folder / "drawn", "--num_clips", jobs.NUM_CLIPS]
    drawn = jobs.run("synthesize", *words)
    return ["--clips", drawn["clips"], "--annotations", drawn["annotations"]]


@pytest.fixture(scope="session")
def fewer(folder, source):
    """The flags of annotations that withdraw one clip: one shard changes."""
    annotations = folder / "fewer"
    annotations.mkdir()
    for path in Path(source[3]).iterdir():
        rows = json.loads(path.read_text())
        if path.name.endswith("train.json"):
            rows = rows[:-1]
        (annotations / path.name).write_text(json.dumps(rows))
    return ["--annotations", annotations, "--max_withdrawn", "1"]


@pytest.fixture(scope="session")
def local(folder, source, fewer):
    """A data set that the local runner has built, and then relabelled."""
    dataset = folder / "local"
    words = ["--dataset", dataset, "--num_shards", jobs.NUM_SHARDS]
    jobs.run("build", *source, *words, *jobs.ONE_WORKER)
    jobs.run("relabel", *fewer, "--dataset", dataset, *jobs.ONE_WORKER)
    return dataset


@pytest.fixture(scope="module")
def stopped(local):
    """Watches the data sets of stopped jobs until the engine has run its last one."""
    watched = jobs.Stopped()
    yield lambda dataset: watched.watch(dataset, len(jobs.hashes(local, "000001")))
    watched.check()


@pytest.fixture
def started_build(source, tmp_path):
    """Starts builds by an engine's flags, until the test ends."""
    processes = []

    def start(flags):
        dataset, temporary = tmp_path / "dataset", tmp_path / "temporary"
        temporary.mkdir()
        words = ["--dataset", dataset, "--num_shards", jobs.NUM_SHARDS, *flags]
        processes.append(jobs.start("build", *source, *words, TMPDIR=str(temporary)))
        return processes[-1], dataset, temporary

    yield start
    for process in processes:
        process.kill()
        process.wait()
