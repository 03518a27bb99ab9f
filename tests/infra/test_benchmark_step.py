import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.benchmarks import step
from infra.benchmarks.step import Times

REPOSITORY = Path(__file__).resolve().parents[2]


def pair(shifted, unshifted):
    bare = Times(shifted[0] / 1.25, shifted[1] / 2)
    return {"shifted": Times(*shifted), "unshifted": Times(*unshifted), "bare": bare}


PAIRS = [
    pair((1.1, 2.2), (1.0, 2.0)),
    pair((6.0, 2.1), (5.0, 2.0)),  # a slow moment, which met both
    pair((1.0, 2.0), (1.0, 2.0)),
]


def test_the_cost_is_the_median_ratio_of_steps_done_in_turns():
    result = step.summarise(PAIRS, 0.01234)
    assert result.seconds_ratio == 1.1
    assert result.cpu_ratio == 1.05
    assert (result.bare_seconds_ratio, result.bare_cpu_ratio) == (1.25, 2.0)
    assert result.median == {
        "shifted": Times(1.1, 2.1),
        "unshifted": Times(1.0, 2.0),
        "bare": Times(0.88, 1.05),
    }
    assert result.waiting_share == 0.0123


def test_the_table_is_for_people():
    assert step.table(step.summarise(PAIRS, 0.01234)).splitlines() == [
        "step of       seconds  of processors",
        "shifted         1.100          2.100",
        "unshifted       1.000          2.000",
        "bare            0.880          1.050",
        "ratio           1.100          1.050",
        "to bare         1.250          2.000",
        "waiting for clips: 1.23% of the time",
    ]


@pytest.mark.parametrize("name", ["num_segments", "crop_px", "batch_size", "num_steps"])
def test_nothing_cannot_be_measured(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1: 0"):
        step.Options(**{name: 0})


@pytest.mark.slow
def test_the_benchmark_runs_on_a_data_set(published_version):
    flags = {
        "--arch": "resnet18",
        "--num_segments": "2",
        "--crop_px": "32",
        "--num_steps": "2",
        "--dataset": published_version.dataset,
    }
    words = [str(word) for item in flags.items() for word in item]
    run = subprocess.run(
        [sys.executable, "-m", "infra.benchmarks.step", *words],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout.splitlines()[-1])
    assert (result["arch"], result["num_steps"]) == ("resnet18", 2)
    assert result["median"]["shifted"]["cpu_seconds"] > 0
    assert 0 <= result["waiting_share"] <= 1
    assert "waiting for clips: " in run.stderr
