"""Training from the first step to the files it leaves, on clips made here."""

import dataclasses
import json
import logging

import numpy as np
import pytest

from eval import evaluate
from eval.metrics import TopK
from model import checkpoint
from tests.train.moving_bars import NETWORK, SETTINGS, Trial, moving_bars
from tests.train.test_watch import events
from train import learner, loop, resuming
from train.checkpoints import Checkpoints
from train.config import TrainConfig
from train.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("small_graphs")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    trial = Trial(tmp_path_factory.mktemp("run") / "output")
    return trial, trial.begin()


def metrics(output):
    lines = (output / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_result_counts_steps_and_epochs(trained):
    _, result = trained
    assert (result.epochs, result.steps) == (5, 10)
    assert result.seconds > 0
    assert result.clips_per_second > 0
    assert 0 <= result.waiting_share <= 1


def test_every_step_of_every_epoch_is_read_once(trained):
    assert trained[0].clips.places == [(e, s) for e in range(5) for s in range(2)]


def test_metrics_have_a_line_an_epoch(trained):
    trial, result = trained
    lines = metrics(trial.output)
    assert [line["epoch"] for line in lines] == [0, 1, 2, 3, 4]
    assert [line["step"] for line in lines] == [2, 4, 6, 8, 10]
    assert [line["learning_rate"] for line in lines] == sorted(
        (line["learning_rate"] for line in lines), reverse=True
    )
    assert lines[result.best_epoch]["top1"] == result.best_top1


def test_evaluation_is_every_few_epochs_and_after_the_last(trained):
    lines = metrics(trained[0].output)
    assert [line["num_clips"] for line in lines] == [0, 6, 0, 6, 6]
    assert [line["top1"] is None for line in lines] == [True, False, True, False, False]


def test_what_was_predicted_is_kept_whenever_it_was_the_best(trained):
    trial, _ = trained
    accuracies = [line["top1"] for line in metrics(trial.output)]
    best, num_best = -1.0, 0
    for top1 in accuracies:
        if top1 is not None and top1 > best:
            best, num_best = top1, num_best + 1
    assert len(trial.kept) == num_best


def test_tensorboard_has_each_figure_under_one_tag(trained):
    names = {tag for tag, _, _ in events(trained[0].output / "tensorboard")}
    assert names == {
        "epoch/clips_per_second",
        "epoch/skipped_steps",
        "epoch/train_loss",
        "epoch/train_top1",
        "epoch/validation_top1",
        "epoch/validation_top5",
        "epoch/waiting_share",
    }


def test_the_loss_falls(trained):
    losses = [line["loss"] for line in metrics(trained[0].output)]
    assert losses[-1] < 0.8 * losses[0]


def test_newest_checkpoints_and_the_best_network_stay(trained):
    trial, _ = trained
    assert sorted(file.name for file in trial.output.iterdir()) == [
        "best.ckpt",
        "checkpoints",
        "config.json",
        "metrics.jsonl",
        "tensorboard",
    ]
    kept = sorted(folder.name for folder in (trial.output / "checkpoints").iterdir())
    assert kept == ["step-00000008", "step-00000010"]


def last_checkpoint(trial):
    return trial.output / "checkpoints" / "step-00000010" / "network.ckpt"


def test_checkpoints_tell_where_they_are_from(trained):
    trial, result = trained
    network, facts = checkpoint.load(last_checkpoint(trial))
    top1 = metrics(trial.output)[4]["top1"]
    assert (facts["epoch"], facts["step"], facts["top1"]) == (4, 10, top1)
    assert facts["run"] == {"version": "000001"}
    assert network.config == NETWORK
    _, best = checkpoint.load(trial.output / "best.ckpt")
    assert result.best_checkpoint == str(trial.output / "best.ckpt")
    assert (best["epoch"], best["top1"]) == (result.best_epoch, result.best_top1)


def test_a_checkpoint_scores_as_the_network_did(trained):
    trial, _ = trained
    network, _ = checkpoint.load(last_checkpoint(trial))
    frames = moving_bars(6, seed=9)[0]
    np.testing.assert_allclose(
        evaluate.make_predict(network)(frames),
        evaluate.make_predict(trial.network)(frames),
        rtol=1e-5,
        atol=1e-5,
    )


def test_a_folder_with_another_training_is_refused(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("")
    with pytest.raises(FileExistsError, match="holds another training: --resume it"):
        Trial(tmp_path).begin()


def test_a_failed_first_checkpoint_leaves_a_folder_that_can_be_resumed(
    tmp_path, monkeypatch
):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    settings = dataclasses.replace(SETTINGS, epochs=1)
    trial = Trial(tmp_path, settings)
    message = r"after step 2: .* No space left on device; when that is mended, --resume"
    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "save", fail)
        with pytest.raises(loop.TrainingError, match=message):
            trial.begin()
    assert (tmp_path / "metrics.jsonl").exists()
    step = resuming.step_to_resume(RunFolder(tmp_path), "newest")
    assert step == 0
    result = Trial(tmp_path, settings).begin(is_again=True)
    assert (result.steps, len(metrics(tmp_path))) == (2, 1)


# Dropout and a momentum: states that a checkpoint must bring back.
STOPPABLE = TrainConfig(
    epochs=3, batch_size=2, learning_rate=0.01, checkpoint_every=1, keep_checkpoints=12
)
WITH_DROPOUT = dataclasses.replace(NETWORK, dropout=0.5)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    trial = Trial(tmp_path_factory.mktemp("run"), STOPPABLE, WITH_DROPOUT)
    return trial, trial.begin()


def copy_until(source, target, step):
    """Copies a training as it was left by a crash after `step` steps and a half."""
    folder = target / "checkpoints"
    folder.mkdir(parents=True)
    for path in (source / "checkpoints").iterdir():
        if int(path.name.removeprefix("step-")) <= step:
            (folder / path.name).symlink_to(path)
    (target / "config.json").write_bytes((source / "config.json").read_bytes())
    lines = (source / "metrics.jsonl").read_text().splitlines(keepends=True)
    (target / "metrics.jsonl").write_text(lines[0] + '{"epoch": 1, "st')


@pytest.mark.slow
@pytest.mark.parametrize("step", [4, 6])
def test_a_resumed_training_ends_as_an_undisturbed_one(undisturbed, tmp_path, step):
    """Step 4 is the end of an epoch, step 6 in the middle of one."""
    trial, result = undisturbed
    copy_until(trial.output, tmp_path, step)
    again = Trial(tmp_path, STOPPABLE, WITH_DROPOUT)
    resumed = again.resume(step)
    assert again.clips.places == trial.clips.places[step:]
    expected = trial.tensors()
    for name, values in again.tensors().items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)
    timeless = ("clips_per_second", "waiting_share", "seconds")
    for line, other in zip(metrics(tmp_path), metrics(trial.output), strict=True):
        assert {k: v for k, v in line.items() if k not in timeless} == {
            k: v for k, v in other.items() if k not in timeless
        }
    assert (resumed.best_epoch, resumed.best_top1, resumed.steps) == (
        result.best_epoch,
        result.best_top1,
        12,
    )


@pytest.mark.slow
def test_a_resumed_training_may_have_more_epochs(undisturbed, tmp_path):
    trial, _ = undisturbed
    copy_until(trial.output, tmp_path, 8)
    longer = dataclasses.replace(
        STOPPABLE, epochs=4, evaluate_every=2, keep_checkpoints=20
    )
    result = Trial(tmp_path, longer, WITH_DROPOUT).resume(8)
    assert (result.epochs, result.steps) == (4, 16)


def test_statistics_are_averaged_before_every_checkpoint(tmp_path, monkeypatch):
    done = []
    outcome = learner.Outcome(0.5, 1.0, np.zeros((2, 2), np.float32))
    monkeypatch.setattr(learner.Pending, "read", lambda self: outcome)
    monkeypatch.setattr(
        learner.Learner,
        "launch",
        lambda self, batch, inputs: learner.Pending(batch, inputs, None),
    )
    monkeypatch.setattr(
        learner.Learner, "synchronise_norms", lambda self: done.append("average")
    )
    monkeypatch.setattr(
        Checkpoints, "save", lambda self, *values, **keys: done.append(keys["step"])
    )
    settings = dataclasses.replace(STOPPABLE, epochs=1, checkpoint_every=3)
    trial = Trial(tmp_path, settings)
    monkeypatch.setattr(trial.training, "_score", TopK.empty)
    trial.begin()
    assert done == ["average", 3, "average", 4]


def test_a_loss_that_is_not_finite_stops_training_and_names_the_clips(tmp_path):
    settings = dataclasses.replace(SETTINGS, learning_rate=1e30, clip_gradient=None)
    trial = Trial(tmp_path, settings)
    with pytest.raises(
        loop.TrainingError,
        match=r"the loss is \S+ and the gradient's norm (nan|inf) at step 2, step 2 of "
        r"epoch 1: try a lower learning_rate.*; the clips were 0-4, 0-5, 0-6, 0-7$",
    ):
        trial.begin()
    assert not (tmp_path / "best.ckpt").exists()
    assert not (tmp_path / "checkpoints").exists()


def test_a_profile_names_the_operators_that_take_the_time(tmp_path, caplog):
    settings = dataclasses.replace(SETTINGS, epochs=3, evaluate_every=3)
    with caplog.at_level(logging.INFO):
        Trial(tmp_path, settings).begin(is_profiled=True)
    lines = [r.getMessage() for r in caplog.records if r.name == "train.profile"]
    assert any("Conv2DBackpropFilter" in line for line in lines)
    assert lines[-1] == f"the whole profile is in {tmp_path / 'profile'}"
    assert list((tmp_path / "profile").rglob("trace_view.json"))


def skipping(monkeypatch, pattern):
    """Lets the steps of a training be skipped for overflow by a pattern of 1 and 0."""
    read, steps = learner.Pending.read, iter(pattern)

    def reading(own):
        outcome = read(own)
        return dataclasses.replace(outcome, is_skipped=bool(next(steps)))

    monkeypatch.setattr(learner.Pending, "read", reading)


def test_skipped_steps_are_counted_and_take_no_learning_rate(
    tmp_path, monkeypatch, caplog
):
    skipping(monkeypatch, [1, 0, 0, 0, 1, 1])
    trial = Trial(tmp_path, dataclasses.replace(SETTINGS, epochs=3))
    with caplog.at_level(logging.INFO):
        trial.begin()
    lines, rates = metrics(tmp_path), trial.training.rates
    assert [line["num_skipped"] for line in lines] == [1, 0, 2]
    # The rate of an epoch's last update: of updates 1, 3 and 3.
    assert [line["learning_rate"] for line in lines] == [
        float(rates[0]),
        float(rates[2]),
        float(rates[2]),
    ]
    assert "1 steps skipped for overflow" in caplog.text


@pytest.mark.slow
def test_a_training_whose_every_step_overflowed_fails(tmp_path):
    settings = dataclasses.replace(
        SETTINGS, epochs=1, amp_level="O2", loss_scale=1e30, optimizer="sgd"
    )
    trial = Trial(tmp_path, settings)
    before = trial.tensors()
    with pytest.raises(
        loop.TrainingError,
        match=r"every one of 2 steps was skipped.*nothing was trained; try a lower "
        r"loss_scale, which is 1e\+30, or amp_level O0",
    ):
        trial.begin()
    (line,) = metrics(tmp_path)
    assert (line["num_skipped"], line["loss_scale"]) == (2, pytest.approx(2.5e29))
    after = trial.tensors()
    for name in before:
        if not name.endswith(("moving_mean", "moving_variance")):
            np.testing.assert_array_equal(before[name], after[name])
