import json

import pytest

from train.run_folder import RunFolder


def test_files_are_named_by_what_they_are(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.epoch_checkpoint(7).name == "epoch-0007.ckpt"
    assert folder.best_checkpoint.name == "best.ckpt"
    assert folder.metrics_path.name == "metrics.jsonl"


def test_beginning_makes_the_folder_and_tells_the_configuration(tmp_path):
    folder = RunFolder(tmp_path / "a" / "b")
    folder.begin({"training": {"epochs": 3}})
    assert json.loads(folder.config_path.read_text()) == {"training": {"epochs": 3}}


def test_a_folder_in_which_nothing_was_trained_is_taken_again(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin({"try": 1})
    folder.begin({"try": 2})
    assert json.loads(folder.config_path.read_text()) == {"try": 2}


def test_a_folder_with_another_training_is_refused_and_left_as_it_is(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin({"try": 1})
    folder.append_metrics({"epoch": 0})
    with pytest.raises(FileExistsError, match="holds another training: choose a new"):
        folder.begin({"try": 2})
    assert json.loads(folder.config_path.read_text()) == {"try": 1}


def test_metrics_are_a_line_each(tmp_path):
    folder = RunFolder(tmp_path)
    folder.append_metrics({"epoch": 0, "top1": None})
    folder.append_metrics({"epoch": 1, "top1": 0.5})
    assert folder.metrics_path.read_text() == (
        '{"epoch": 0, "top1": null}\n{"epoch": 1, "top1": 0.5}\n'
    )
