"""Runs the project's commands as users of a cluster do; looks at what they make."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from mindrecord_io.versions import opening

REPOSITORY = Path(__file__).resolve().parents[2]
NUM_CLIPS = 48
NUM_SHARDS = 24
# Of a process that runs tasks: there are two, for two cores. Each worker is as much
# work to start as a dozen clips are to decode.
ONE_WORKER = ("--num_workers", "1")
JOB_SECONDS = 240


def environment(**more):
    return os.environ | {"PYTHONPATH": str(REPOSITORY)} | more


def start(*words, **more):
    """Starts one of the project's programs."""
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines", *map(str, words)],
        cwd=REPOSITORY,
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process):
    """Returns the last line of a program's output, as it is read."""
    output, errors = process.communicate(timeout=JOB_SECONDS)
    assert process.returncode == 0, errors
    return json.loads(output.splitlines()[-1])


def run(*words):
    return finished(start(*words))


def hashes(dataset, version=None):
    """Returns of every shard of a version the path and the SHA-256 of both files."""
    shards = opening.open_version(dataset, version).manifest.shards
    return [(s.path, s.mindrecord, s.mindrecord_index) for s in shards]


def num_published(dataset):
    return sum(
        not path.parent.name.startswith(".")
        for path in dataset.glob("shards/*/*/summary.json")
    )


def wait_for_shards(job, dataset, number):
    """Waits until so many shards are published, long before the job is done."""
    deadline = time.monotonic() + JOB_SECONDS
    while num_published(dataset) < number:
        assert job.poll() is None, job.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Stopped:
    """Data sets whose jobs were stopped: nothing may come to them any more."""

    def __init__(self):
        self._stopped = []

    def watch(self, dataset, num_shards):
        """Watches from now on; the job would have made so many shards."""
        num_left = num_published(dataset)
        assert num_left < num_shards, "stopped too late to matter"
        self._stopped.append((dataset, num_left, time.monotonic()))

    def check(self):
        """Checks that nothing has come for 10 seconds at least."""
        for dataset, num_left, since in self._stopped:
            time.sleep(max(0, since + 10 - time.monotonic()))
            assert num_published(dataset) == num_left
            assert [p for p in dataset.rglob(".*") if p.name != ".lock"] == []


def wait_until(is_true, what, seconds=10):
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def check_stopped(job, number, temporary):
    """Stops a job by a signal; checks that it ends with one line and leaves nothing.

    Args:
      temporary: the folder for temporary files that it was started with.
    """
    job.send_signal(number)
    output, errors = job.communicate(timeout=60)
    assert (job.returncode, output) == (128 + number, "")
    lines = errors.splitlines()
    assert lines[-1].startswith("interrupted: nothing half-done counts")
    assert not [line for line in lines if " E " in line or "Traceback" in line]
    assert list(temporary.iterdir()) == []
    time.sleep(5)  # what a worker was in the midst of may yet come to its end
