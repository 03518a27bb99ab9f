"""Training and evaluation from an object store, through the cache."""

import json
import os
import subprocess
import sys

import pytest

CONFIG = """
model: {arch: resnet18, width: 4, num_segments: 2, shift_div: 4}
evaluation: {crop_px: 32, resize_px: 32, eval_batch_size: 3}
training: {epochs: 1, batch_size: 3, learning_rate: 0.001}
"""
URI = "s3://bucket/tiny"


@pytest.mark.slow
def test_a_data_set_in_an_object_store_is_trained_from_and_evaluated(
    published_version, tmp_path, bucket
):
    (tmp_path / "run.yaml").write_text(CONFIG)
    words = ["--config_path", str(tmp_path / "run.yaml"), "--dataset", URI]
    bucket.upload(published_version.dataset, "bucket/tiny")
    bucket.requests()

    def run(*command):
        done = subprocess.run(
            [sys.executable, "-m", *command],
            env=os.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    trained = run("train", *words, "--output", str(tmp_path / "output"))
    scored = run("eval", *words, "--checkpoint", trained["best_checkpoint"])
    fetched = bucket.fetched(".mindrecord")
    assert (trained["steps"], scored["num_clips"]) == (2, 4)
    assert trained["best_top1"] == scored["top1"]
    names = [
        entry.path.rpartition("/")[2] for entry in published_version.manifest.shards
    ]
    (validation,) = (name for name in names if name.startswith("validation-"))
    # The page reads the pictures of a clip at once, of the 4 clips here for
    # its strips and for its films.
    assert 1 < fetched.pop(validation) <= 1 + 2 * 4
    assert fetched == {name: 1 for name in names if name != validation}
