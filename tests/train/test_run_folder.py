import json

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
