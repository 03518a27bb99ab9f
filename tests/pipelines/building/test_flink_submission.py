"""Jobs are handed to a stand-in for a JobManager; a real one is in tests/cluster."""

import os
import signal
import subprocess
import sys
import time
import zipfile

import apache_beam as beam
import pytest
from apache_beam.runners.portability import flink_uber_jar_job_server

from pipelines.building import beam_runner
from tests import job_manager, listeners

DRIVER = """
import sys
from mindrecord_io import interrupts
interrupts.exit_at_signals("interrupted")
import apache_beam as beam
from pipelines.building import beam_runner

class Counted(beam.PTransform):
    def expand(self, pipeline):
        return pipeline | beam.Create([1, 2]) | beam.Map(str)

beam_runner.run(Counted(), sys.argv[1:], 1)
"""


class Counted(beam.PTransform):
    def expand(self, pipeline):
        return pipeline | beam.Create([1, 2]) | beam.Map(str)


def flags_for(manager, tmp_path):
    jar = tmp_path / "translation.jar"
    with zipfile.ZipFile(jar, "w") as content:
        content.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")
    return [
        "--runner=FlinkRunner",
        f"--flink_master={manager.url}",
        "--flink_submit_uber_jar",
        f"--flink_job_server_jar={jar}",
        "--environment_type=EXTERNAL",
        "--environment_config=127.0.0.1:9",
    ]


@pytest.fixture
def manager():
    with job_manager.serving() as serving:
        yield serving


@pytest.fixture
def driver(manager, tmp_path, tools):
    """A process that waits for its job on a cluster."""
    command = [sys.executable, "-c", DRIVER, *flags_for(manager, tmp_path)]
    environment = tools.command_environment()
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    tools.wait_until(lambda: manager.times, "the job runs")
    yield process
    process.kill()
    process.communicate()


def test_the_end_of_a_job_is_seen_within_five_seconds(tmp_path, monkeypatch):
    """Beam's own submission looks at a job less and less often, at last every 60 s."""
    pauses, sleep = [], time.sleep

    def pause(seconds):
        pauses.append(seconds)
        sleep(0.01)

    monkeypatch.setattr(time, "sleep", pause)
    with job_manager.serving(num_polls=40) as manager:
        beam_runner.run(Counted(), flags_for(manager, tmp_path), 1)
    assert len(manager.times) >= 40
    assert max(pauses) < 5
    assert manager.jars == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cancels_the_job_and_removes_its_jar(driver, manager, number):
    driver.send_signal(number)
    _, errors = driver.communicate(timeout=60)
    assert driver.returncode == 128 + number
    assert errors.decode().splitlines()[-1] == "interrupted"
    assert (manager.state, manager.jars) == ("CANCELED", [])


def test_the_job_of_a_driver_that_was_killed_is_cancelled(driver, manager, tools):
    driver.kill()
    tools.wait_until(lambda: manager.state == "CANCELED", "the job is cancelled", 10)
    tools.wait_until(lambda: manager.jars == [], "its jar is removed", 10)


def test_what_takes_a_jobs_files_listens_to_this_machine_alone(tmp_path, monkeypatch):
    heard, begin = set(), flink_uber_jar_job_server.FlinkBeamJob.run
    others = listeners.listening({os.getpid()})  # of tests before, in this process

    def listened_for(job):
        heard.update(listeners.listening({os.getpid()}) - others)
        begin(job)

    job = flink_uber_jar_job_server.FlinkBeamJob
    monkeypatch.setattr(job, "run", listened_for)
    with job_manager.serving(num_polls=1) as manager:
        beam_runner.run(Counted(), flags_for(manager, tmp_path), 1)
    assert {address for address, _ in heard} == {"127.0.0.1"}
    assert len(heard) == 2  # the stand-in's own, and the one that is meant


def test_a_job_that_somebody_else_cancelled_is_said_to_be(manager, tmp_path):
    ask = manager.answer

    def cancelled_elsewhere(method, path):
        if manager.times:
            manager.state = "CANCELED"
        return ask(method, path)

    manager.answer = cancelled_elsewhere
    with pytest.raises(beam_runner.PipelineError) as caught:
        beam_runner.run(Counted(), flags_for(manager, tmp_path), 1)
    assert str(caught.value) == (
        "the job was cancelled on its cluster; nothing is published"
    )
