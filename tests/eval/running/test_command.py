import logging

import pytest

from eval.running import command, config_file


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (config_file.ConfigError("epochs must be int"), 2, "eval: epochs must be int"),
        (ValueError("no clips"), 1, "eval failed: no clips"),
    ],
)
def test_a_wrong_configuration_is_wrong_usage(error, status, line, capsys, caplog):
    def fail():
        raise error

    with caplog.at_level(logging.INFO):
        assert command.run("eval", fail) == status
    assert [record.getMessage() for record in caplog.records] == [line]
    assert capsys.readouterr().out == ""
