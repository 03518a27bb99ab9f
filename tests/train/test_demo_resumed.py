"""The demo's training in halves of a batch, killed once and resumed.

It ends with the same bytes. Within the epoch that was cut, all tensors are the same,
and the sum of the losses but for its last digits: MindSpore's cross entropy adds up by
another number of threads from its sixth call in a process on (2.9, on a CPU).
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from model import checkpoint
from tests.small_datasets import REPOSITORY

CONFIG = REPOSITORY / "infra" / "configs" / "demo_cpu.yaml"
FLAGS = ["--batch_size", "4", "--accumulate", "2", "--epochs", "2"]
FLAGS += ["--checkpoint_every", "1", "--keep_checkpoints", "99"]
STEP_FILES = ("network.ckpt", "training.ckpt")
TIMES = ("clips_per_second", "waiting_share", "seconds")


def command(dataset, output, *flags):
    words = ["--config_path", CONFIG, "--dataset", dataset, "--output", output]
    return [sys.executable, "-m", "train", *map(str, words), *FLAGS, *flags]


def metrics(output):
    lines = map(json.loads, (output / "metrics.jsonl").open())
    return [{k: v for k, v in line.items() if k not in TIMES} for line in lines]


def assert_same(path, other):
    entries, others = checkpoint.read_entries(path), checkpoint.read_entries(other)
    text, other_text = (json.loads(e.pop("clipmill")) for e in (entries, others))
    if progress := text["facts"].get("progress"):
        other_sum = other_text["facts"]["progress"].pop("sum_loss")
        assert progress.pop("sum_loss") == pytest.approx(other_sum, rel=1e-6)
    assert text == other_text
    assert entries.keys() == others.keys()
    for name, tensor in entries.items():
        np.testing.assert_array_equal(tensor.asnumpy(), others[name].asnumpy(), name)


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
    for path in ("best.ckpt", *(f"checkpoints/step-00000006/{n}" for n in STEP_FILES)):
        assert (whole / path).read_bytes() == (killed / path).read_bytes(), path
    for path in sorted(whole.rglob("*.ckpt")):
        assert_same(path, killed / path.relative_to(whole))
    for line, other in zip(metrics(whole), metrics(killed), strict=True):
        assert line.pop("loss") == pytest.approx(other.pop("loss"), rel=1e-6)
        assert line == other
