"""A Ctrl-C ends a training and an evaluation with one line and exit status 130."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import reading_hook

CONFIG = """
model: {arch: resnet18, width: 4, num_segments: 2, shift_div: 4}
evaluation: {crop_px: 32, resize_px: 32, eval_batch_size: 3}
training: {epochs: 1000, batch_size: 3, learning_rate: 0.001}
"""
MAX_SECONDS = 120

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("sigint_is_heard")]


@pytest.fixture
def start(tmp_path):
    """Starts `python -m PACKAGE` on a data set."""
    (tmp_path / "run.yaml").write_text(CONFIG)
    processes = []

    def start_one(package, dataset, *flags):
        words = ["--config_path", tmp_path / "run.yaml", "--dataset", dataset, *flags]
        process = subprocess.Popen(
            [sys.executable, "-m", package, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ,
        )
        processes.append(process)
        return process

    yield start_one
    for process in processes:
        process.kill()
        process.wait()


def interrupt(process):
    """Interrupts a command; the line that ends it is the last that it says."""
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (130, "")
    *lines, last = errors.splitlines()
    assert last == "interrupted"
    assert not [line for line in lines if "Traceback" in line or " E " in line]


def wait_until(is_true):
    deadline = time.monotonic() + MAX_SECONDS
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_read(pipe):
    try:
        os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)  # and left open: the reader waits
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return False
    return True


def test_a_training_is_interrupted_between_two_epochs(
    start, published_version, tmp_path
):
    """MindSpore has its own handler by then, which would end it by SIGTERM."""
    output = tmp_path / "output"
    process = start("train", published_version.dataset, "--output", output)
    wait_until(
        lambda: (output / "metrics.jsonl").exists() and list(output.glob("*.ckpt"))
    )

    interrupt(process)

    epochs = [json.loads(line) for line in (output / "metrics.jsonl").open()]
    assert epochs[0]["epoch"] == 0


def is_waiting_for_sigint(process):
    """Tells whether the signal is blocked, so that one thread can wait for it."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    (mask,) = (x.split()[1] for x in status.splitlines() if x.startswith("SigBlk:"))
    return bool(int(mask, 16) >> (signal.SIGINT - 1) & 1)


@pytest.mark.parametrize("seconds", [0.0, 0.5, 1.5])
def test_a_training_is_interrupted_while_libraries_are_loaded(
    start, published_version, tmp_path, seconds
):
    process = start("train", published_version.dataset, "--output", tmp_path / "o")
    wait_until(lambda: is_waiting_for_sigint(process))
    time.sleep(seconds)
    interrupt(process)


def test_an_evaluation_is_interrupted(start, published_version, tmp_path, monkeypatch):
    dataset = shutil.copytree(published_version.dataset, tmp_path / "dataset")
    flags = ["--output", tmp_path / "o", "--epochs", 1]
    assert start("train", dataset, *flags).wait(MAX_SECONDS) == 0
    pipe = reading_hook.planted(tmp_path / "hook", dataset, "eval")
    path = [str(tmp_path / "hook"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, path)))

    process = start("eval", dataset, "--checkpoint", tmp_path / "o" / "best.ckpt")

    wait_until(lambda: is_read(pipe))
    interrupt(process)
