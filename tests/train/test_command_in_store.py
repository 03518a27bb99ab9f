"""The command whose training is in an object store, killed and resumed elsewhere."""

import json
import signal
import subprocess
import sys
import time

import pytest

from eval import trained
from tests.train.test_run_in_store import URI, weights

CONFIG = """
model: {arch: resnet18, width: 4, num_segments: 2, shift_div: 4, dropout: 0.5}
evaluation: {crop_px: 32, resize_px: 32, eval_batch_size: 3}
training: {epochs: 3, batch_size: 3, learning_rate: 0.01, checkpoint_every: 1}
"""


def command(tmp_path, published_version, output, *flags):
    words = ["--config_path", tmp_path / "run.yaml", "--output", output, *flags]
    words += ["--dataset", published_version.dataset]
    return [sys.executable, "-m", "train", *map(str, words)]


@pytest.mark.slow
def test_a_killed_command_is_resumed_elsewhere_and_evaluated_by_its_uri(
    bucket, published_version, tmp_path, monkeypatch
):
    (tmp_path / "run.yaml").write_text(CONFIG)
    killed = command(tmp_path, published_version, URI)
    with subprocess.Popen(killed, stderr=subprocess.PIPE) as process:
        mark = "checkpoints/step-00000003/checkpoint.json"
        while mark not in bucket.paths("runs/r50"):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    monkeypatch.setenv("CLIPMILL_CACHE", str(tmp_path / "elsewhere"))
    again = subprocess.run([*killed, "--resume"], capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    result = json.loads(again.stdout)
    assert (result["steps"], result["best_checkpoint"]) == (6, f"{URI}/best.ckpt")
    assert f"output: {URI}\n" in again.stderr
    whole = command(tmp_path, published_version, tmp_path / "whole")
    assert subprocess.run(whole, capture_output=True).returncode == 0
    contents = weights(bucket.contents("runs/r50"))
    assert len(contents) == 11  # of the five newest steps two each, and the best
    for name, content in contents.items():
        assert content == (tmp_path / "whole" / name).read_bytes(), name
    assert trained.load(URI).card.class_names == tuple(
        published_version.category_names()
    )
    refused = subprocess.run(killed, capture_output=True, text=True)
    assert refused.returncode == 1
    assert f"{URI} holds another training: --resume it" in refused.stderr
