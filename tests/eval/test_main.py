"""`python -m eval` as it is called: its output, its exit status, its messages."""

import json
import os
import re
import subprocess
import sys

import mindspore
import pytest
from pyarrow import parquet

from model import checkpoint
from model.cards import ModelCard
from model.tsm import TSM, TSMConfig

CONFIG = """
model:
  arch: resnet18
  width: 4
  num_segments: 2
  shift_div: 4
evaluation:
  crop_px: 32
  resize_px: 32
  eval_batch_size: 3
training:
  epochs: 1
"""


@pytest.fixture(scope="module")
def config_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "run.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope="module")
def make_checkpoint(tmp_path_factory):
    def make(**changes):
        fields = {"num_classes": 3, "arch": "resnet18", "width": 4, "shift_div": 4}
        network = TSM(TSMConfig(**(fields | {"num_segments": 2} | changes)))
        path = tmp_path_factory.mktemp("checkpoint") / "best.ckpt"
        checkpoint.save(network, path, {"epoch": 3})
        return path

    mindspore.set_seed(1)
    return make


@pytest.fixture
def run_eval(published_version, config_path):
    def run(checkpoint_path, *flags):
        words = {
            "--config_path": config_path,
            "--dataset": published_version.dataset,
            "--checkpoint": checkpoint_path,
        }
        pairs = [str(word) for pair in words.items() for word in pair]
        return subprocess.run(
            [sys.executable, "-m", "eval", *pairs, *map(str, flags)],
            capture_output=True,
            text=True,
            env=os.environ,
        )

    return run


@pytest.mark.slow
def test_every_clip_of_the_split_is_scored(run_eval, make_checkpoint, tmp_path):
    path, output = make_checkpoint(), tmp_path / "predictions.parquet"
    report, submission = tmp_path / "report.json", tmp_path / "submission.csv"
    files = ("--output", output, "--report", report, "--submission", submission)
    files = (*files, "--page", tmp_path / "page.html")
    run = run_eval(path, *files, "--eval_crops", "three", "--eval_frames=twice")
    assert run.returncode == 0, run.stderr
    line, last = run.stdout.splitlines()
    result = json.loads(last)
    assert line == f"top_1 {result['top1']:.6f}, top_5 {result['top5']:.6f}"
    assert result["split"] == "validation"
    assert result["version"] == "000001"
    assert (result["num_clips"], result["num_labelled"]) == (4, 4)
    assert (result["num_annotated"], result["left_out"]) == (4, {})
    assert result["top5"] == 1.0  # of three classes
    rows = parquet.read_table(output).to_pylist()
    assert sorted(row["clip_id"] for row in rows) == ["201", "202", "203", "204"]
    assert all(row["label_id"] == int(row["clip_id"]) % 3 for row in rows)
    hits = sum(row["label_id"] == row["predicted_label_id"] for row in rows)
    assert hits / 4 == result["top1"]
    assert json.loads(report.read_text())["top1"] == result["top1"]
    page = (tmp_path / "page.html").read_text()
    assert f"<dt>top-1</dt><dd>{100 * result['top1']:.1f} %</dd>" in page
    assert "<td>eval_crops</td><td>three</td>" in page
    assert submission.read_text() == "".join(
        f"{row['clip_id']};{';'.join(map(str, row['top_label_ids']))}\n" for row in rows
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "flags", "status", "message"),
    [
        ({}, ["--shift_place", "none"], 2, "shift_place is 'blockres' here and 'none'"),
        ({"width": 8}, [], 2, "width is 8 here and 4 there"),
        ({}, ["--epochs", "3"], 2, "--epochs is no key"),
        ({}, ["--resize_px", "16"], 2, "resize_px must be at least crop_px = 32"),
        ({"num_classes": 4}, [], 1, "has 4 classes, but .* has 3"),
        ({}, ["--version", "000009"], 1, "000009"),
        ({}, ["--report", "/"], 2, "--report must be a file, not a folder: /$"),
    ],
)
def test_what_does_not_fit_together_is_explained(
    run_eval, make_checkpoint, changes, flags, status, message
):
    run = run_eval(make_checkpoint(**changes), *flags)
    assert run.returncode == status
    assert run.stdout == ""
    lines = [line for line in run.stderr.splitlines() if " E clipmill: " in line]
    assert len(lines) == 1
    assert re.search(message, lines[0])


@pytest.mark.slow
def test_a_training_folder_is_scored_as_it_was_measured_without_more_flags(
    published_version, make_checkpoint, tmp_path
):
    path = make_checkpoint()
    network, _ = checkpoint.load(path)
    names = tuple(published_version.category_names())
    view = {"crop_px": 32, "resize_px": 40, "eval_crops": "three"}
    network.card = ModelCard(class_names=names, view=view)
    checkpoint.save(network, path, {})

    def scored(*flags):
        words = ["--dataset", published_version.dataset, *flags]
        run = subprocess.run(
            [sys.executable, "-m", "eval", *map(str, words)],
            capture_output=True,
            text=True,
            env=os.environ,
        )
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout.splitlines()[-1])

    result = scored("--checkpoint", path.parent, "--report", tmp_path / "a.json")
    given = [word for k, v in view.items() for word in (f"--{k}", v)]
    again = scored("--checkpoint", path, *given, "--report", tmp_path / "b.json")
    assert result["top1"] == again["top1"]
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


@pytest.mark.slow
def test_classes_in_another_order_are_an_error_unless_mapped(run_eval, make_checkpoint):
    path = make_checkpoint()
    network, _ = checkpoint.load(path)
    names = ("Rest", "Moving something left", "Moving something right")
    network.card = ModelCard(class_names=names)
    checkpoint.save(network, path, {})
    refused = run_eval(path)
    assert refused.returncode == 1
    assert "0 is 'Rest' there and 'Moving something left' here" in refused.stderr
    mapped = run_eval(path, "--map_classes")
    assert mapped.returncode == 0
    assert "classes are mapped by their names" in mapped.stderr


@pytest.mark.slow
def test_a_submission_has_every_clip_of_the_split(run_eval, make_checkpoint, tmp_path):
    path, submission = make_checkpoint(), tmp_path / "s.csv"
    words = ("--split", "train", "--submission", submission)
    refused = run_eval(path, *words)
    assert refused.returncode == 1
    assert "left out: truncated 1, missing 1 (105, 109)" in refused.stderr
    assert not submission.exists()
    guessed = run_eval(path, *words, "--guess_left_out")
    assert guessed.returncode == 0, guessed.stderr
    result = json.loads(guessed.stdout.splitlines()[-1])
    assert (result["num_annotated"], result["num_clips"]) == (9, 7)
    assert result["left_out"] == {"truncated": 1, "missing": 1}
    lines = submission.read_text().splitlines()
    assert sorted(line.partition(";")[0] for line in lines) == [
        str(n) for n in range(101, 110)
    ]
    assert lines[-2:] == ["105;2;0;1", "109;2;0;1"]


def test_a_missing_flag_is_wrong_usage():
    run = subprocess.run(
        [sys.executable, "-m", "eval", "--dataset", "x"], capture_output=True, text=True
    )
    assert run.returncode == 2
    assert "the following arguments are required: --checkpoint\n" in run.stderr
