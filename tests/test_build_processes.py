"""The two processes of a build: both work in one environment."""

import subprocess
import sys

from tests.test_architecture import PACKAGE_FILES, REPOSITORY, loaded_by


def run(program):
    """Runs a program in a new interpreter; returns its output."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_beam_process_holds_no_mindspore():
    jobs = [
        ".".join(path.with_suffix("").parts)
        for path in PACKAGE_FILES
        if path.parts[0] == "pipelines" and "apache_beam" in loaded_by(path)
    ]
    assert "pipelines.jobs.build" in jobs
    names = "apache_beam, " + ", ".join(jobs)
    found = run(f"import sys, {names}; print('mindspore' in sys.modules)")
    assert found.splitlines()[-1] == "False"


def test_the_process_that_writes_shards_holds_mindspore_and_no_beam():
    found = run(
        "import sys\n"
        "from pipelines.building import shard_child as shard_worker\n"
        "shard_worker._import_mindspore()\n"
        "print('mindspore' in sys.modules, 'apache_beam' in sys.modules)"
    )
    assert found.splitlines()[-1] == "True False"
