"""Averaged weights and precise batch norm in a training: what is scored and kept."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from eval import config as eval_config
from eval import evaluate
from eval.metrics import TopK
from model import checkpoint
from tests.train.moving_bars import NETWORK, SETTINGS, Trial, moving_bars
from train.run_folder import RunFolder

SETTINGS = dataclasses.replace(
    SETTINGS,
    epochs=3,
    evaluate_every=1,
    keep_checkpoints=9,
    ema_decay=0.8,
    precise_bn_steps=2,
)
WITH_DROPOUT = dataclasses.replace(NETWORK, dropout=0.5)


@pytest.fixture(autouse=True, scope="module")
def _graph_mode():
    eval_config.use_graph_mode()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    trial = Trial(tmp_path_factory.mktemp("whole"), SETTINGS, WITH_DROPOUT)
    return trial, trial.begin()


def tensors(path):
    network, _ = checkpoint.load(path)
    return {p.name: p.asnumpy() for p in network.get_parameters()}


def step_folder(trial, step):
    return trial.output / "checkpoints" / f"step-{step:08d}"


def test_the_best_network_is_the_one_that_was_scored(whole):
    trial, result = whole
    network, facts = checkpoint.load(trial.output / "best.ckpt")
    frames, label_ids = moving_bars(6, seed=9)
    top_k = TopK.of(evaluate.make_predict(network)(frames), label_ids)
    assert top_k.top1 == facts["top1"] == result.best_top1
    assert network.card.parameters == (
        "averaged with decay 0.8; batch norm's statistics of 2 steps"
    )


def test_the_best_network_has_the_averages_that_the_step_keeps(whole):
    trial, result = whole
    step = 2 * (result.best_epoch + 1)
    kept = checkpoint.read_entries(step_folder(trial, step) / "training.ckpt")
    best, own = (
        tensors(trial.output / "best.ckpt"),
        tensors(step_folder(trial, step) / "network.ckpt"),
    )
    weights = [n for n in best if not n.endswith(("moving_mean", "moving_variance"))]
    for name in weights:
        np.testing.assert_array_equal(best[name], kept[f"average.{name}"].asnumpy())
    assert any((best[name] != own[name]).any() for name in weights)
    name = "base_model.bn1.moving_mean"
    assert (best[name] != kept[f"average.{name}"].asnumpy()).any()


def test_a_step_keeps_the_network_as_training_left_it(whole):
    trial, _ = whole
    network, _ = checkpoint.load(step_folder(trial, 6) / "network.ckpt")
    assert network.card.parameters == "as trained"
    assert trial.network.card.parameters == "as trained"
    own = {p.name: p.asnumpy() for p in network.get_parameters()}
    for name, array in trial.tensors().items():
        np.testing.assert_array_equal(own[name], array)


def test_a_resumed_training_ends_with_the_same_bytes(whole, tmp_path):
    trial, _ = whole
    for name in ("config.json", "metrics.jsonl"):
        shutil.copy(trial.output / name, tmp_path)
    shutil.copytree(step_folder(trial, 2), tmp_path / "checkpoints/step-00000002")
    RunFolder(tmp_path).go_back(2)
    Trial(tmp_path, SETTINGS, WITH_DROPOUT).resume(2)
    files = sorted(trial.output.rglob("*.ckpt"))
    assert len(files) == 7
    for path in files:
        other = tmp_path / path.relative_to(trial.output)
        assert path.read_bytes() == other.read_bytes(), path


def test_neither_changes_what_is_trained(whole, tmp_path):
    trial, _ = whole
    plain = dataclasses.replace(SETTINGS, ema_decay=0.0, precise_bn_steps=0)
    other = Trial(tmp_path, plain, WITH_DROPOUT)
    other.begin()
    for name, array in other.tensors().items():
        np.testing.assert_array_equal(trial.tensors()[name], array)
    lines = [
        [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").open()]
        for folder in (trial.output, tmp_path)
    ]
    assert lines[0] == lines[1]
