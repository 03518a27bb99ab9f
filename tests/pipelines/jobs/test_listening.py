"""While a job runs on this machine nothing of it listens to the network."""

import shutil
import subprocess
import sys
import time

import pytest

from tests import listeners

pytestmark = pytest.mark.slow

# Beam's other local mode, which is what the jobs must not be run in.
BEAM_ALONE = """
import time
import apache_beam as beam
from apache_beam.options import pipeline_options
flags = ["--runner=FnApiRunner", "--direct_running_mode=multi_threading"]
options = pipeline_options.PipelineOptions(flags)
with beam.Pipeline(options=options) as pipeline:
    pipeline | beam.Create([20]) | beam.Map(time.sleep)
"""


@pytest.fixture
def heard(tools):
    """Runs a job to its end; returns where any of its processes listened."""

    def of(*words):
        ports, num_children = set(), 0
        with tools.start_command(*words) as process:
            while process.poll() is None:
                children = tools.child_pids(process.pid)
                num_children = max(num_children, len(children))
                ports |= listeners.listening({process.pid, *children})
                time.sleep(0.02)
            _, errors = process.communicate()
        assert process.returncode == 0, errors
        assert num_children, "no process at work was looked at"
        return ports

    return of


def test_build_relabel_and_verify_listen_nowhere(heard, package_copy, tmp_path):
    dataset = ["--dataset", tmp_path / "dataset"]
    annotations = ["--annotations", package_copy.annotations]
    clips = ["--clips", package_copy.clips]
    two = ["--num_workers", "2"]
    assert heard("build", *clips, *annotations, *dataset, *two) == set()
    package_copy.annotate({"train": {"101": 2, "102": 1, "103": 2}})
    shutil.rmtree(package_copy.clips)
    assert (
        heard("relabel", *annotations, *dataset, *two, "--max_withdrawn", "1") == set()
    )
    assert heard("verify", *dataset, *two) == set()


def test_what_would_listen_is_seen_and_serves_any_file(tools, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"topsecret123")
    environment = tools.command_environment()
    process = subprocess.Popen([sys.executable, "-c", BEAM_ALONE], env=environment)
    try:
        ports: set[tuple[str, int]] = set()

        def are_open():
            ports.update(listeners.listening({process.pid}))
            return len(ports) >= 4

        tools.wait_until(are_open, "Beam's four servers listen")
        tools.wait_until(
            lambda: (
                b"topsecret123"
                in [listeners.artifact(port, secret) for _, port in ports]
            ),
            "the artifact service answers",
        )
    finally:
        process.kill()
        process.wait()
