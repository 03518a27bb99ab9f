"""What a training from an object store is said to fetch, and what it fetches."""

import json
import os
import subprocess
import sys

import pytest

CONFIG = """
model: {arch: resnet18, width: 4, num_segments: 2, shift_div: 4}
evaluation: {crop_px: 32, resize_px: 32, eval_batch_size: 3}
training: {epochs: 2, batch_size: 3, learning_rate: 0.001}
"""
URI = "s3://bucket/tiny"


@pytest.mark.slow
@pytest.mark.parametrize("reading", ["shards", "parts"])
def test_the_prediction_is_within_five_percent_of_what_is_fetched(
    published_version, tmp_path, bucket, monkeypatch, reading
):
    (tmp_path / "run.yaml").write_text(CONFIG)
    words = ["--config_path", str(tmp_path / "run.yaml"), "--dataset", URI]
    words += ["--output", str(tmp_path / "output")]
    bucket.upload(published_version.dataset, "bucket/tiny")
    monkeypatch.setenv("CLIPMILL_READING", reading)

    def train(*flags):
        done = subprocess.run(
            [sys.executable, "-m", "train", *words, *flags],
            env=os.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    planned = train("--dry_run", "--price_per_gb", "1e3")
    assert not (tmp_path / "output").exists()
    store = train()["store"]
    assert planned["num_bytes"] == store["predicted_num_bytes"] > 0
    assert planned["cost"] == pytest.approx(planned["num_bytes"] / 1e6, abs=1e-3)
    assert store["num_bytes"] == pytest.approx(store["predicted_num_bytes"], rel=0.05)
    requests = store["predicted_num_requests"]
    assert store["num_requests"] == pytest.approx(requests, rel=0.05)
