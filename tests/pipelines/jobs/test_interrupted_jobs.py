"""A Ctrl-C ends every job with one line, exit status 130 and no process left."""

import errno
import json
import os
import signal
import tempfile

import pytest
from pyarrow import fs

from pipelines import __main__ as command
from tests import reading_hook
from tests import versions_by_hand as by_hand

LINE = "interrupted: nothing half-done counts, run the same command again to finish"

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("sigint_is_heard")]


@pytest.fixture
def interrupt(tools):
    """Interrupts a running job; returns what it said before the line that ends it."""

    def interrupt_one(process):
        family = tools.child_pids(process.pid)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
        assert (process.returncode, output) == (130, "")
        *lines, last = errors.splitlines()
        assert last == LINE
        assert not [line for line in lines if "Traceback" in line or " E " in line]
        tools.wait_until(
            lambda: not any(map(tools.is_alive, family)), "no process is left", 10
        )
        return lines

    return interrupt_one


READERS = [j for j in command._JOBS if j not in ("synthesize", "checksums", "suspects")]


def wait_for_reader(path, tools):
    """Waits until a process reads a named pipe; returns what keeps it waiting."""
    found = []

    def is_read():
        try:
            found.append(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
        return bool(found)

    tools.wait_until(is_read, f"{path} is read")
    return found[0]


def words_of(job, package, dataset):
    dataset_flag = ["--dataset", dataset]
    annotations = ["--annotations", package.annotations]
    return {
        "build": ["--clips", package.clips, *annotations, *dataset_flag],
        "relabel": [*annotations, *dataset_flag],
        "rollback": [*dataset_flag, "--version", "000001"],
        "prune": [*dataset_flag, "--keep", "1"],
    }.get(job, dataset_flag)


@pytest.mark.parametrize("job", READERS)
def test_every_job_that_reads_a_data_set_can_be_interrupted(
    tools, interrupt, package, tmp_path, job
):
    dataset, hook = tmp_path / "dataset", tmp_path / "hook"
    by_hand.publish(dataset)
    pipe = reading_hook.planted(hook, dataset, "pipelines")
    before = sorted(path for path in dataset.rglob("*"))
    words = words_of(job, package, dataset)
    process = tools.start_command(job, *words, python_path=[hook])
    descriptor = wait_for_reader(pipe, tools)

    interrupt(process)

    os.close(descriptor)
    assert sorted(path for path in dataset.rglob("*")) == before


def test_drawing_is_interrupted_and_gone_on_with(tools, interrupt, tmp_path):
    words = ["synthesize", "--output", tmp_path / "ours", "--num_clips", 12]
    process = tools.start_command(*words, "--num_workers", 1)
    clips = tmp_path / "ours" / "20bn-something-something-v2"
    tools.wait_until(lambda: len(list(clips.glob("[0-9]*.webm"))) > 2, "some are drawn")

    interrupt(process)

    drawn = {path: path.stat().st_mtime_ns for path in clips.glob("[0-9]*.webm")}
    assert 2 < len(drawn) < 12
    again = tools.run_command(*words)
    assert json.loads(again.stdout.splitlines()[-1])["num_drawn"] == 12 - len(drawn)
    assert drawn.items() <= {p: p.stat().st_mtime_ns for p in clips.iterdir()}.items()
    assert not list(clips.glob(".*"))


def test_verifying_is_interrupted_and_leaves_no_scratch_folder(
    tools, interrupt, published_version, tmp_path, monkeypatch
):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    process = tools.start_command("verify", "--dataset", published_version.dataset)
    tools.wait_until(
        lambda: list(tmp_path.glob("verify-*")) and tools.child_pids(process.pid),
        "a process reads a shard",
    )

    interrupt(process)

    assert list(tmp_path.glob("verify-*")) == []


def test_building_into_a_store_is_interrupted_and_leaves_no_marks_or_receipts(
    tools, interrupt, package, bucket, tmp_path
):
    words = words_of("build", package, "s3://clips/made")
    words += ["--num_shards", 8, "--num_workers", 1]
    process = tools.start_command("build", *words)

    everything = fs.FileSelector("clips/made", recursive=True, allow_not_found=True)

    def unfinished():
        paths = [info.path for info in bucket.filesystem().get_file_info(everything)]
        return [path for path in paths if ".incomplete" in path]

    tools.wait_until(
        lambda: [p for p in unfinished() if "/receipts/" in p and p.endswith(".json")],
        "a shard is made",
    )

    interrupt(process)

    assert unfinished() == []
    cache = tmp_path / "cache"
    assert [path for path in cache.rglob("*") if ".incomplete" in path.name] == []
