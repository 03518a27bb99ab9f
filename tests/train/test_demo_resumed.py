"""The demo's training in halves of a batch, killed once and resumed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.small_datasets import REPOSITORY

CONFIG = REPOSITORY / "infra" / "configs" / "demo_cpu.yaml"
FLAGS = ["--batch_size", "4", "--accumulate", "2", "--epochs", "2"]
FLAGS += ["--checkpoint_every", "1", "--keep_checkpoints", "99"]
TIMES = ("clips_per_second", "waiting_share", "seconds")


def command(dataset, output, *flags):
    words = ["--config_path", CONFIG, "--dataset", dataset, "--output", output]
    return [sys.executable, "-m", "train", *map(str, words), *FLAGS, *flags]


def metrics(output):
    lines = map(json.loads, (output / "metrics.jsonl").open())
    return [{k: v for k, v in line.items() if k not in TIMES} for line in lines]


@pytest.mark.slow
def test_the_demo_in_halves_of_a_batch_is_resumed_to_the_same_bytes(
    small_dataset, tmp_path
):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    dataset = small_dataset.dataset
    done = subprocess.run(command(dataset, whole), env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr
    # What is compiled is no part of this, and takes long.
    shutil.copytree(whole / "compile_cache", killed / "compile_cache")
    with subprocess.Popen(
        command(dataset, killed), env=environment, stderr=subprocess.PIPE
    ) as process:
        while not (killed / "checkpoints" / "step-00000003").exists():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    steps = {path.name for path in (whole / "checkpoints").iterdir()}
    assert len(steps) == 6
    assert len(list((killed / "checkpoints").glob("step-*"))) < len(steps)

    resumed = subprocess.run(
        command(dataset, killed, "--resume"), env=environment, capture_output=True
    )

    assert resumed.returncode == 0, resumed.stderr
    files = sorted(whole.rglob("*.ckpt"))
    assert len(files) == 2 * len(steps) + 1
    for path in files:
        assert path.read_bytes() == (killed / path.relative_to(whole)).read_bytes()
    assert metrics(whole) == metrics(killed)
