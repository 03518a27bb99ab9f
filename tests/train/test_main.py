"""`python -m train` as it is called: its output, its exit status, its messages."""

import hashlib
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
from model.tsm import TSM, TSMConfig
from pipelines.report import predictions

CONFIG = """
model: {arch: resnet18, width: 4, num_segments: 2, shift_div: 4}
evaluation: {crop_px: 32, resize_px: 32, eval_batch_size: 3}
training: {epochs: 2, batch_size: 3, learning_rate: 0.001, flip: true}
"""


@pytest.fixture
def run_train(published_version, tmp_path):
    (tmp_path / "run.yaml").write_text(CONFIG)

    def run(*flags):
        words = {
            "--config_path": tmp_path / "run.yaml",
            "--dataset": published_version.dataset,
            "--output": tmp_path / "output",
        }
        return subprocess.run(
            command(words, flags), capture_output=True, text=True, env=os.environ
        )

    return run


def command(words, flags):
    pairs = [str(word) for pair in words.items() for word in pair]
    return [sys.executable, "-m", "train", *pairs, *flags]


@pytest.mark.slow
def test_a_published_version_becomes_a_checkpoint(
    run_train, published_version, tmp_path
):
    run = run_train("--epochs", "1", "--dropout=0.25")
    assert run.returncode == 0, run.stderr
    (line,) = run.stdout.splitlines()
    result = json.loads(line)
    # Of the 8 clips of the split one is quarantined, and a last clip fills no batch.
    assert (result["epochs"], result["steps"], result["best_epoch"]) == (1, 2, 0)
    assert result["best_checkpoint"] == str(tmp_path / "output" / "best.ckpt")
    network, facts = checkpoint.load(tmp_path / "output" / "best.ckpt")
    assert network.config.num_classes == 3
    assert network.config.dropout == 0.25
    config = json.loads((tmp_path / "output" / "config.json").read_text())
    assert config.pop("card") == network.card.to_json()
    assert network.card.missing == ()
    assert network.card.class_names == tuple(published_version.category_names())
    assert network.card.view["crop_px"] == 32
    assert "weights: random" in run.stderr
    assert facts == {"epoch": 0, "step": 2, "top1": result["best_top1"], "run": config}
    assert sorted(path.name for path in (tmp_path / "output").iterdir()) == [
        ".lock",
        "best.ckpt",
        "checkpoints",
        "compile_cache",
        "config.json",
        "metrics.jsonl",
        "predictions.parquet",
        "report.html",
        "tensorboard",
    ]
    predicted = predictions.read_predictions(tmp_path / "output/predictions.parquet")
    assert sorted(predicted.clip_ids.to_pylist()) == ["201", "202", "203", "204"]
    assert predicted.is_right.mean() == result["best_top1"]
    page = (tmp_path / "output" / "report.html").read_text()
    assert "<title>output, trained on dataset</title>" in page
    assert config["version"] == "000001"
    assert config["training"]["epochs"] == 1
    assert config["model"]["dropout"] == 0.25


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "status", "message"),
    [
        (["--epoch", "3"], 2, "--epoch is no key; nearest: epochs"),
        (["--epochs", "many"], 2, "epochs must be int, got 'many'"),
        (["--num_classes", "9"], 2, "num_classes is 9 in the configuration"),
        (["--optimizer", "lion"], 2, "optimizer must be one of"),
        (["--version", "000009"], 1, "000009"),
        (["--batch_size", "64"], 1, "less than one batch of 64"),
        (["--resume"], 1, "nothing to resume: there is no checkpoint in"),
        (["--tune_from", "none.ckpt"], 1, "none.ckpt"),
        (["--trainable", "classifier"], 2, "--tune_from random to begin without"),
        (["--fresh_parts", "classifier"], 2, "give --tune_from FILE, or"),
    ],
)
def test_what_cannot_be_trained_is_explained(
    run_train, tmp_path, flags, status, message
):
    run = run_train(*flags)
    assert run.returncode == status
    assert run.stdout == ""
    (line,) = [line for line in run.stderr.splitlines() if " E clipmill: " in line]
    assert message in line
    assert not (tmp_path / "output").exists()


@pytest.mark.slow
def test_a_linear_probe_of_given_weights_is_profiled(run_train, tmp_path):
    """Weights of a network with other classes, of which only the last layer is new."""
    config = {"arch": "resnet18", "width": 4, "num_segments": 2, "shift_div": 4}
    given = TSM(TSMConfig(num_classes=5, **config))
    checkpoint.save(given, tmp_path / "given.ckpt", {})
    run = run_train(
        *("--tune_from", str(tmp_path / "given.ckpt"), "--trainable", "classifier"),
        *("--fresh_parts", "[classifier]", "--epochs", "3", "--profile"),
    )
    assert run.returncode == 0, run.stderr
    network, _ = checkpoint.load(tmp_path / "output" / "best.ckpt")
    trained = {p.name: p.asnumpy() for p in network.get_parameters()}
    for parameter in given.base_model.get_parameters():
        np.testing.assert_array_equal(trained[parameter.name], parameter.asnumpy())
    assert trained["new_fc.weight"].shape == (3, 32)
    assert f"the whole profile is in {tmp_path / 'output/profile'}" in run.stderr
    assert list((tmp_path / "output/profile").rglob("trace_view.json"))


@pytest.mark.slow
def test_a_training_resumes_without_the_file_that_it_began_with(run_train, tmp_path):
    given = tmp_path / "given.ckpt"
    config = {"arch": "resnet18", "width": 4, "num_segments": 2, "shift_div": 4}
    checkpoint.save(TSM(TSMConfig(num_classes=5, **config)), given, {})
    flags = ("--tune_from", str(given), "--fresh_parts", "[classifier]")
    begun = run_train(*flags, "--epochs", "1")
    assert begun.returncode == 0, begun.stderr
    sha256 = hashlib.sha256(given.read_bytes()).hexdigest()
    assert f"weights: {given}, SHA-256 {sha256}" in begun.stderr
    given.unlink()
    for again in ((), ("--tune_from", "elsewhere.ckpt"), flags):
        resumed = run_train("--resume", "--epochs", "1", *again)
        assert resumed.returncode == 0, resumed.stderr
    network, _ = checkpoint.load(tmp_path / "output")
    assert network.card.weights == "given.ckpt"
    assert network.card.weights_sha256 == sha256


RESUMED = """
model: {arch: resnet18, width: 4, num_segments: 2, shift_div: 4, dropout: 0.5}
evaluation: {crop_px: 32, resize_px: 32, eval_batch_size: 3}
training:
  {epochs: 3, batch_size: 3, learning_rate: 0.01, flip: true, checkpoint_every: 1,
   keep_checkpoints: 9}
"""


ACCUMULATED = ["--batch_size", "1", "--accumulate", "2", "--epochs", "2"]


@pytest.mark.slow
@pytest.mark.parametrize("flags", [[], [*ACCUMULATED, "--optimizer", "adamw"]])
def test_a_killed_training_resumes_to_the_same_bytes(
    published_version, tmp_path, flags
):
    (tmp_path / "run.yaml").write_text(RESUMED)
    words = {
        "--config_path": tmp_path / "run.yaml",
        "--dataset": published_version.dataset,
        "--output": tmp_path / "whole",
    }
    whole = subprocess.run(command(words, flags), capture_output=True)
    words["--output"] = tmp_path / "killed"
    # What is compiled is no part of this, and takes long.
    shutil.copytree(tmp_path / "whole/compile_cache", tmp_path / "killed/compile_cache")
    with subprocess.Popen(command(words, flags), stderr=subprocess.PIPE) as process:
        while not (tmp_path / "killed/checkpoints/step-00000003").exists():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    begun = sorted((tmp_path / "killed/checkpoints").glob("step-*"))
    assert len(begun) < 6
    resumed = subprocess.run(command(words, [*flags, "--resume"]), capture_output=True)
    assert (whole.returncode, resumed.returncode) == (0, 0), resumed.stderr
    files = sorted((tmp_path / "whole").rglob("*.ckpt"))
    assert len(files) == 13  # of six steps two each, and the best network
    for path in files:
        other = tmp_path / "killed" / path.relative_to(tmp_path / "whole")
        assert path.read_bytes() == other.read_bytes(), path
    results = [json.loads(run.stdout) for run in (whole, resumed)]
    for key in ("epochs", "steps", "best_top1", "best_epoch"):
        assert results[0][key] == results[1][key]
    changed = subprocess.run(
        command(words, [*flags, "--resume", "--momentum", "0.5", "--num_workers", "1"]),
        capture_output=True,
        text=True,
    )
    assert changed.returncode == 2
    assert "begun with other values: momentum was 0.9 and is 0.5\n" in changed.stderr
    missing = subprocess.run(
        command(words, [*flags, "--resume", "7"]), capture_output=True, text=True
    )
    assert missing.returncode == 2
    assert "--resume must be one of 1, 2, 3, 4, 5, 6, or" in missing.stderr


def test_a_missing_flag_is_wrong_usage():
    run = subprocess.run(
        [sys.executable, "-m", "train"], capture_output=True, text=True
    )
    assert run.returncode == 2
    assert "--config_path, --dataset, --output" in run.stderr
