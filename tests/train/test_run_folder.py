import json
import subprocess
import sys

import pytest

from train.run_folder import RunFolder


def test_files_are_named_by_what_they_are(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.checkpoints.path_of(7).name == "step-00000007"
    assert folder.best_checkpoint.name == "best.ckpt"
    assert folder.metrics_path.name == "metrics.jsonl"


def test_beginning_makes_the_folder_and_tells_the_configuration(tmp_path):
    folder = RunFolder(tmp_path / "a" / "b")
    folder.begin({"training": {"epochs": 3}})
    assert json.loads(folder.config_path.read_text()) == {"training": {"epochs": 3}}
    assert folder.read_config() == {"training": {"epochs": 3}}


def test_a_folder_in_which_nothing_was_trained_is_taken_again(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin({"try": 1})
    folder.begin({"try": 2})
    assert json.loads(folder.config_path.read_text()) == {"try": 2}


def test_a_folder_with_another_training_is_refused_and_left_as_it_is(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin({"try": 1})
    folder.append_metrics({"epoch": 0})
    with pytest.raises(FileExistsError, match="another training: --resume it, or choo"):
        folder.begin({"try": 2})
    assert json.loads(folder.config_path.read_text()) == {"try": 1}


def test_a_folder_with_a_checkpoint_inside_the_first_epoch_is_refused(tmp_path):
    folder = RunFolder(tmp_path)
    folder.checkpoints.path_of(3).mkdir(parents=True)
    with pytest.raises(FileExistsError, match="holds another training"):
        folder.begin({})


def test_metrics_are_a_line_each(tmp_path):
    folder = RunFolder(tmp_path)
    folder.append_metrics({"epoch": 0, "top1": None})
    folder.append_metrics({"epoch": 1, "top1": 0.5})
    assert folder.metrics_path.read_text() == (
        '{"epoch": 0, "top1": null}\n{"epoch": 1, "top1": 0.5}\n'
    )


@pytest.mark.parametrize(
    ("step", "epochs"), [(3, []), (4, [0]), (7, [0]), (8, [0, 1]), (99, [0, 1, 2])]
)
def test_going_back_removes_what_is_told_of_later_steps(tmp_path, step, epochs):
    folder = RunFolder(tmp_path)
    for epoch in range(3):
        folder.append_metrics({"epoch": epoch, "step": 4 * epoch + 4})
        folder.checkpoints.path_of(4 * epoch + 4).mkdir(parents=True)
    folder.go_back(step)
    lines = folder.metrics_path.read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == epochs
    assert folder.checkpoints.steps() == [4 * epoch + 4 for epoch in epochs]


def test_going_back_removes_a_line_that_a_crash_cut_off(tmp_path):
    folder = RunFolder(tmp_path)
    folder.append_metrics({"epoch": 0, "step": 4})
    with folder.metrics_path.open("a") as file:
        file.write('{"epoch": 1, "st')
    folder.go_back(6)
    assert folder.metrics_path.read_text() == '{"epoch": 0, "step": 4}\n'


def test_going_back_without_metrics_is_nothing(tmp_path):
    RunFolder(tmp_path).go_back(6)
    assert not RunFolder(tmp_path).metrics_path.exists()


def test_going_back_removes_a_network_that_a_crash_cut_off(tmp_path):
    (tmp_path / ".incomplete-1234.ckpt").write_bytes(b"half")
    (tmp_path / "best.ckpt").write_bytes(b"whole")
    RunFolder(tmp_path).go_back(6)
    assert [path.name for path in tmp_path.iterdir()] == ["best.ckpt"]


LOCK = """
import sys
from pathlib import Path
from train.run_folder import RunFolder
with RunFolder(Path(sys.argv[1])).locked():
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_a_folder_belongs_to_one_training_for_its_life(tmp_path):
    words = [sys.executable, "-c", LOCK, str(tmp_path / "run")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, **pipes) as first:
        assert first.stdout.readline() == b"locked\n"
        second = subprocess.run(words, capture_output=True, text=True, input="")
        assert second.returncode == 1
        assert f"is used by process {first.pid} on " in second.stderr
        first.kill()
    third = subprocess.run(words, capture_output=True, text=True, input="")
    assert (third.returncode, third.stdout) == (0, "locked\n")


def test_beginning_again_removes_what_there_is_without_a_checkpoint(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin({"try": 1})
    folder.append_metrics({"epoch": 0, "step": 4})
    folder.best_checkpoint.write_bytes(b"best")
    folder.predictions_path.write_bytes(b"best")
    folder.board.mkdir()
    folder.begin_again({"try": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
    assert folder.read_config() == {"try": 2}


def test_beginning_again_leaves_a_checkpoint_alone(tmp_path):
    folder = RunFolder(tmp_path)
    folder.checkpoints.path_of(3).mkdir(parents=True)
    with pytest.raises(FileExistsError, match="holds another training"):
        folder.begin_again({})


def test_values_that_may_change_are_replaced_and_others_stay(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin({"card": 1, "training": {"epochs": 3}})
    folder.update_config({"training": {"epochs": 4}})
    assert folder.read_config() == {"card": 1, "training": {"epochs": 4}}
