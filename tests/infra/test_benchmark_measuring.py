import json
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
    result = measuring.machine()
    assert result["num_cores"] == os.cpu_count()
    assert result["load"] >= 0
    assert set(result) == {"date", "cpu", "num_cores", "load"}


@pytest.fixture
def package(tmp_path):
    """Two clips, 1 and 2, one of them for training."""
    folder = tmp_path / "package"
    clips, annotations = folder / measuring.CLIPS, folder / "annotations"
    clips.mkdir(parents=True)
    annotations.mkdir()
    rows = {
        "train": [{"id": "1"}],
        "validation": [{"id": "2"}],
        "test": [],
        "labels": [],
    }
    for role, of_role in rows.items():
        path = annotations / f"something-something-v2-{role}.json"
        path.write_text(json.dumps(of_role))
    for number in (1, 2):
        (clips / f"{number}.webm").write_text(f"clip {number}")
    return folder


def test_copied_clips_are_the_same_files_under_further_ids(package):
    copied = measuring.copy_clips(package, 3)

    clips = {p.name: p.read_text() for p in (copied / measuring.CLIPS).iterdir()}
    assert clips == {f"{n}.webm": f"clip {2 - n % 2}" for n in range(1, 7)}
    annotations = copied / "annotations"
    rows = json.loads((annotations / "something-something-v2-train.json").read_bytes())
    assert [row["id"] for row in rows] == ["1", "3", "5"]
    assert copied.parent == package.parent


def test_one_copy_is_the_package_itself_and_none_is_an_error(package):
    assert measuring.copy_clips(package, 1) == package
    with pytest.raises(ValueError, match="num_copies must be at least 1: 0"):
        measuring.copy_clips(package, 0)
