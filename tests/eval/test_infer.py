"""Clips by id: their most probable labels, a line each."""

import json
import os
import subprocess
import sys

import mindspore
import numpy as np
import pytest
from mindspore import Tensor

from eval import infer
from model import checkpoint
from model.cards import ModelCard
from model.tsm import TSM, TSMConfig

LABELS = ("Moving something left", "Moving something right", "Rest")


@pytest.fixture
def eager():
    """The command compiles, which is slow: the tests do not."""
    yield
    mindspore.set_context(mode=mindspore.PYNATIVE_MODE)


@pytest.fixture
def options(published_version, tmp_path, monkeypatch, eager):
    """Of a network that says label 2, then 0, then 1, of everything."""
    monkeypatch.setattr(infer.config, "use_device", lambda device_target: None)
    network = TSM(
        TSMConfig(num_classes=3, arch="resnet18", width=4, num_segments=2, shift_div=4)
    )
    network.new_fc.weight.set_data(Tensor(np.zeros((3, 32), np.float32)))
    network.new_fc.bias.set_data(Tensor(np.array([1, 0, 2], np.float32)))
    path = tmp_path / "best.ckpt"
    checkpoint.save(network, path, {"epoch": 3})

    def make(*clip_ids, **changes):
        clip_ids = clip_ids or ("201",)
        fields = {"crop_px": 32, "resize_px": 32, "checkpoint": path}
        return infer.InferOptions(
            dataset=published_version.dataset,
            clip_ids=clip_ids,
            **(fields | changes),
        )

    return make


def test_labels_are_told_by_falling_probability(options):
    (result,) = infer.infer(options("202"))
    powers = np.exp([2, 1, 0])
    assert result.clip_id == "202"
    assert result.labels == (LABELS[2], LABELS[0], LABELS[1])
    np.testing.assert_allclose(result.probabilities, powers / powers.sum(), atol=1e-6)


def test_clips_are_seen_as_in_training(options, monkeypatch, caplog):
    """The size, the crops and the times are the checkpoint's without any flag."""
    network, _ = checkpoint.load(options().checkpoint)
    view = {"crop_px": 48, "resize_px": 50, "eval_crops": "three"}
    view |= {"eval_frames": "twice", "average": "logits"}
    network.card = ModelCard(class_names=LABELS, view=view)
    checkpoint.save(network, options().checkpoint, {})
    shapes = []

    def make_predict(network):
        def predict(frames):
            shapes.append(frames.shape)
            return np.zeros((len(frames), 3), np.float32)

        return predict

    monkeypatch.setattr(infer.evaluate, "make_predict", make_predict)
    caplog.clear()
    list(infer.infer(options("201", "202", crop_px=None, resize_px=None)))
    assert shapes == [(12, 2, 3, 48, 48)]  # two clips, three crops at two times
    assert "_px is" not in caplog.text
    list(infer.infer(options("201", crop_px=32, resize_px=None)))
    assert shapes[1] == (6, 2, 3, 32, 32)
    assert "crop_px is 32 as given, the network was trained with 48" in caplog.text


def test_a_data_set_that_numbers_its_classes_otherwise_is_refused_or_mapped(options):
    network, _ = checkpoint.load(options().checkpoint)
    network.card = ModelCard(class_names=(LABELS[1], LABELS[0], LABELS[2]))
    checkpoint.save(network, options().checkpoint, {})
    with pytest.raises(ValueError, match="numbers 2 classes otherwise than"):
        list(infer.infer(options("201")))
    (result,) = infer.infer(options("201", map_classes=True))
    assert result.labels == (LABELS[2], LABELS[1], LABELS[0])


def test_each_clip_comes_with_the_label_that_it_has(options):
    result = {p.clip_id: p.label for p in infer.infer(options("204", "201"))}
    assert result == {"201": LABELS[201 % 3], "204": LABELS[204 % 3]}


def test_other_splits_are_read_if_asked(options):
    (result,) = infer.infer(options("101", split="train"))
    assert (result.clip_id, result.label) == ("101", LABELS[101 % 3])


@pytest.mark.parametrize(
    ("clip_ids", "changes", "message"),
    [
        (["999"], {}, "999"),
        (["101"], {}, "101"),  # it is in the train split
        (["201"], {"crop_px": 64}, "resize_px must be at least crop_px = 64"),
    ],
)
def test_what_cannot_be_looked_at_is_refused(options, clip_ids, changes, message):
    with pytest.raises(ValueError, match=message):
        list(infer.infer(options(*clip_ids, **changes)))


def test_another_data_sets_network_is_refused(options, tmp_path):
    network = TSM(TSMConfig(num_classes=4, arch="resnet18", width=8))
    checkpoint.save(network, tmp_path / "other.ckpt", {})
    with pytest.raises(ValueError, match=r"has 4 classes, but .* has 3"):
        list(infer.infer(options("201", checkpoint=tmp_path / "other.ckpt")))


def test_logits_of_segments_are_refused(options, tmp_path):
    config = TSMConfig(num_classes=3, arch="resnet18", width=8, consensus="identity")
    checkpoint.save(TSM(config), tmp_path / "other.ckpt", {})
    with pytest.raises(ValueError, match=r"consensus 'identity'\), .* needs 'avg'"):
        list(infer.infer(options("201", checkpoint=tmp_path / "other.ckpt")))


@pytest.mark.slow
def test_the_command_prints_a_line_a_clip(options):
    wanted = options("201", "203")
    run = subprocess.run(
        [
            *(sys.executable, "-m", "eval", "infer", "--clip_id", *wanted.clip_ids),
            *("--dataset", str(wanted.dataset), "--checkpoint", str(wanted.checkpoint)),
            *("--crop_px", "32", "--resize_px", "32"),
        ],
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert run.returncode == 0, run.stderr
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert sorted(line["clip_id"] for line in lines) == ["201", "203"]
    assert all(line["labels"][0] == "Rest" for line in lines)


def test_sizes_that_do_not_fit_are_wrong_usage(options, caplog):
    wanted = options("201")
    words = [
        *("--dataset", str(wanted.dataset), "--checkpoint", str(wanted.checkpoint)),
        *("--clip_id", "201", "--crop_px", "300"),
    ]
    assert infer.main(words) == 2
    assert "resize_px must be at least crop_px = 300, got 256" in caplog.text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give either CLIP..., video files and folders, or --dataset"),
        (["a.webm", "--stream", "-"], "give either CLIP"),
        (["--clip_id", "1"], "--dataset and --clip_id need each other"),
        (["a.webm", "--dataset", "d"], "--dataset and --clip_id need each other"),
        (["--stream", "-", "--stream_fps", "0"], "--stream_fps must be positive: 0"),
    ],
)
def test_what_is_asked_for_is_one_thing(words, message, caplog):
    assert infer.main(["--checkpoint", "c", *words]) == 2
    assert message in caplog.text


@pytest.mark.slow
def test_a_failure_is_one_line(options):
    wanted = options("999")
    run = subprocess.run(
        [
            *(sys.executable, "-m", "eval", "infer", "--clip_id", "999"),
            *("--dataset", str(wanted.dataset), "--checkpoint", str(wanted.checkpoint)),
        ],
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert run.returncode == 1
    assert run.stdout == ""
    (error,) = [line for line in run.stderr.splitlines() if " E clipmill: " in line]
    assert "999" in error
