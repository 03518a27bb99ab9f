import dataclasses
import logging

import pytest

from eval.running import command, config_file


@dataclasses.dataclass(frozen=True)
class Result:
    steps: int


def test_the_result_is_one_line_of_json(capsys):
    assert command.exit_status(lambda: Result(3)) == 0
    assert capsys.readouterr().out == '{"steps": 3}\n'


def test_a_rank_without_a_result_prints_nothing(capsys):
    assert command.exit_status(lambda: None) == 0
    assert capsys.readouterr().out == ""


def test_lines_may_come_before_the_result(capsys):
    def run():
        command.tell(Result(1))
        command.tell(Result(2))

    assert command.exit_status(run) == 0
    assert capsys.readouterr().out == '{"steps": 1}\n{"steps": 2}\n'


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (config_file.ConfigError("epochs must be int"), 2),
        (ValueError("no clips"), 1),
        (FileNotFoundError("no file"), 1),
        (RuntimeError("the loss is nan"), 1),
    ],
)
def test_an_error_is_a_line_and_a_status(error, status, capsys, caplog):
    def fail():
        raise error

    with caplog.at_level(logging.INFO):
        assert command.exit_status(fail) == status
    assert [record.getMessage() for record in caplog.records] == [str(error)]
    assert capsys.readouterr().out == ""


def test_a_defect_of_ours_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        command.exit_status(lambda: 1 / 0)
