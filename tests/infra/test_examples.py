"""The examples do what they say, as somebody runs them: each as a program."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mindrecord_io import open_version
from model import checkpoint

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((REPOSITORY / "infra" / "examples").glob("*.py"))
CONFIG = """
model: {arch: resnet18, width: 4, num_segments: 2, shift_div: 4}
evaluation: {crop_px: 32, resize_px: 32, eval_batch_size: 3}
training: {epochs: 1, batch_size: 4, learning_rate: 0.001}
"""


def run(*words):
    process = subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def example(name, *words):
    return run(REPOSITORY / "infra" / "examples" / name, *words)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_read_in_a_minute(path):
    assert len(path.read_text().splitlines()) <= 40


def test_a_split_is_read_and_gone_on_with(published_version):
    lines = example("read_a_split.py", published_version.dataset).splitlines()

    assert lines[:3] == [
        "   2  Moving something left",
        "   2  Moving something right",
        "   3  Rest",
    ]
    assert lines[3].startswith("(4, 4, 3, 32, 32) [")
    assert lines[-1] == "resumed at step 1 of 2"


@pytest.mark.slow
def test_a_layout_of_ones_own_is_built_from_a_list(tmp_path):
    clips = tmp_path / "clips"
    clips.mkdir()
    source = tmp_path / "source"
    run("-m", "pipelines", "synthesize", "--output", source, "--num_clips", 6)
    drawn = sorted(source.glob("20bn-something-something-v2/*.webm"))
    for number, clip in enumerate(drawn):
        clip.rename(clips / f"{('rolling', 'tilting')[number % 2]}_{number}.webm")

    example("add_a_source.py", clips, tmp_path / "own")

    version = open_version(tmp_path / "own")
    assert version.category_names() == ["rolling", "tilting"]
    table = version.read_clips(["clip_id", "split"]).to_pylist()
    found = {row["clip_id"]: row["split"] for row in table}
    expected = {clip.stem: "train" for clip in clips.iterdir()}
    assert found == expected | {"rolling_0": "validation", "tilting_5": "validation"}


@pytest.mark.slow
def test_a_new_classifier_is_trained_on_a_frozen_network(published_version, tmp_path):
    config, dataset = tmp_path / "run.yaml", published_version.dataset
    config.write_text(CONFIG)
    words = ["--config_path", config, "--dataset", dataset]
    run("-m", "train", *words, "--output", tmp_path / "first")
    first = tmp_path / "first" / "best.ckpt"

    example("finetune.py", config, dataset, first, tmp_path / "second", "--seed", "9")

    before, _ = checkpoint.load(first)
    after, _ = checkpoint.load(tmp_path / "second" / "best.ckpt")
    changed = {
        old.name
        for old, new in zip(
            before.trainable_params(), after.trainable_params(), strict=True
        )
        if not np.array_equal(old.asnumpy(), new.asnumpy())
    }
    assert changed == {"new_fc.weight", "new_fc.bias"}
