import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.benchmarks import infer

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_ratio_is_of_the_rates():
    network = [infer.Times(1.0, 3.0), infer.Times(2.0, 5.0)]
    assert infer.summarise(network, infer.Times(2.0, 5.0)) == {
        "network_seconds": 1.5,
        "files_seconds": 2.0,
        "ratio": 0.75,
        "network_cpu_seconds": 4.0,
        "files_cpu_seconds": 5.0,
        "cpu_ratio": 0.8,
    }


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ValueError, match="at least two batches of 4: 7"):
        infer.Options(num_clips=7)
    with pytest.raises(ValueError, match="num_workers must be at least 1: 0"):
        infer.Options(num_workers=0)


@pytest.mark.slow
def test_the_benchmark_runs(tmp_path):
    flags = {"--arch": "resnet18", "--num_segments": 2, "--crop_px": 32}
    flags |= {"--num_clips": 6, "--batch_size": 2, "--workdir": tmp_path}
    words = [str(word) for item in flags.items() for word in item]
    run = subprocess.run(
        [sys.executable, "-m", "infra.benchmarks.infer", *words],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        check=False,
    )
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout.splitlines()[-1])
    assert result["ratio"] > 0
    assert 0 < result["cpu_ratio"] < 1
    assert result["num_clips"] == 6
