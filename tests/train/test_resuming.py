"""Where a training goes on, and what may have changed."""

import dataclasses
import logging

import pytest

from eval.config import EvalConfig
from eval.running import config_file
from model import checkpoint
from model.tsm import TSMConfig
from train import resuming, schedule
from train.config import TrainConfig
from train.run_folder import RunFolder


def description(**changes):
    return {
        "version": "000001",
        "model": dataclasses.asdict(TSMConfig(num_classes=3)),
        "evaluation": dataclasses.asdict(EvalConfig()),
        "training": dataclasses.asdict(TrainConfig(epochs=4)) | changes,
    }


@pytest.fixture
def begun(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin(description())
    return folder


def test_the_newest_checkpoint_is_the_one_to_resume(begun):
    for step in (4, 12):
        begun.checkpoints.path_of(step).mkdir(parents=True)
    assert resuming.step_to_resume(begun, None) is None
    assert resuming.step_to_resume(begun, "newest") == 12
    assert resuming.step_to_resume(begun, "4") == 4
    with pytest.raises(config_file.ConfigError, match="must be one of 4, 12, or with"):
        resuming.step_to_resume(begun, "7")


def test_a_training_that_ended_before_its_first_checkpoint_is_begun_again(begun):
    begun.append_metrics({"epoch": 0, "step": 4})
    assert resuming.step_to_resume(begun, "newest") == 0


def test_a_folder_without_a_training_is_not_resumed(tmp_path):
    with pytest.raises(checkpoint.CheckpointError, match="nothing to resume"):
        resuming.step_to_resume(RunFolder(tmp_path / "none"), "newest")


FREE = {"checkpoint_every": 7, "evaluate_every": 3, "log_every": 1, "epochs": 6}


@pytest.mark.parametrize("change", FREE.items(), ids=FREE)
def test_what_has_no_part_in_the_weights_may_change(begun, change):
    now = description(**dict([change]))
    resuming.check_same_run(begun.path, begun.read_config(), now)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 3}, "epochs was 4 and is 3$"),
        ({"momentum": 0.5, "flip": True}, "momentum was 0.9 and is 0.5; flip was Fal"),
    ],
)
def test_other_values_are_refused(begun, change, message):
    now = description(**change)
    with pytest.raises(config_file.ConfigError, match=message):
        resuming.check_same_run(begun.path, begun.read_config(), now)


def test_a_key_that_is_newer_than_the_training_must_have_its_default(begun):
    config = begun.read_config()
    del config["training"]["amp_level"]
    resuming.check_same_run(begun.path, config, description())
    with pytest.raises(config_file.ConfigError, match="amp_level was 'O0' and is 'O2'"):
        resuming.check_same_run(begun.path, config, description(amp_level="O2"))


def test_more_epochs_are_logged_with_what_they_do_to_the_learning_rate(begun, caplog):
    training = TrainConfig(epochs=8, schedule="cosine", learning_rate=0.01)
    rates = schedule.learning_rates("cosine", 0.01, num_epochs=8, steps_per_epoch=2)
    with caplog.at_level(logging.WARNING):
        resuming.log_growth(begun.read_config(), training, 4, rates)
        resuming.log_growth(begun.read_config(), training, 8, rates)
    # Half of the cosine's way before, a quarter now: 0.5 and (1 + cos 45 degrees) / 2.
    first, second = (record.getMessage() for record in caplog.records)
    assert "grow from 4 to 8: by the 'cosine' schedule" in first
    assert "next step is 0.00854 (before: 0.005)" in first
    assert "next step is 0.005 (before: none, as it was over)" in second
    same = dataclasses.replace(training, epochs=4)
    resuming.log_growth(begun.read_config(), same, 4, rates)
    assert len(caplog.records) == 2
