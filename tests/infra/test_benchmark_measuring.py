import os
import subprocess
import sys
import time

import pytest

from infra.benchmarks import measuring

BUSY = """
import sys, time
while time.process_time() < 0.6:
    pass
sys.stdin.read()
"""


def wait_until(claim):
    deadline = time.monotonic() + 60
    while not claim():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_memory_is_read_for_a_process_and_what_it_has_started():
    code = "import subprocess as s, sys; s.run([sys.executable, '-m', 'asyncio'])"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE
    ) as parent:
        with measuring._watched(parent.pid) as used:
            wait_until(lambda: used.peak_rss_mib.get("asyncio", 0) > 1)
        parent.stdin.close()

    assert used.peak_rss_mib[sys.executable] > 1


def test_processor_time_counts_of_processes_that_are_killed():
    with (
        subprocess.Popen(
            [sys.executable, "-c", BUSY], stdin=subprocess.PIPE
        ) as process,
        measuring._watched(process.pid) as used,
    ):
        wait_until(lambda: used.cpu_seconds.get(process.pid, 0) >= 0.5)
        process.kill()
        process.wait()

    assert list(used.cpu_seconds) == [process.pid]


def test_nothing_is_known_of_a_process_that_is_gone():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    used = measuring._Used()

    used.note(process.pid)

    assert (used.cpu_seconds, used.peak_rss_mib) == ({}, {})


def test_a_temporary_folder_is_removed_unless_it_is_to_be_kept(tmp_path):
    with measuring.workdir(tmp_path / "new") as folder:
        assert folder.parent == tmp_path / "new"
    assert not folder.exists()
    with measuring.workdir(tmp_path, keep=True) as folder:
        pass
    assert folder.is_dir()


def test_a_job_that_fails_is_told_with_its_log(tmp_path):
    with pytest.raises(RuntimeError, match=r"pipelines history failed:\n(?s:.+)"):
        measuring.run_job("history", dataset=tmp_path / "nothing")


def test_the_machine_is_told_with_the_load_it_has():
    told = measuring.machine()
    assert told["num_cores"] == os.cpu_count()
    assert told["load"] >= 0
    assert set(told) == {"date", "cpu", "num_cores", "load"}
