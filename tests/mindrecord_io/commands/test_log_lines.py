import logging
import re
import subprocess
import sys
import warnings

import pytest

from mindrecord_io.commands import log_lines
from tests import terminals

PREFIX = r"\d\d-\d\d \d\d:\d\d:\d\d"


@pytest.fixture
def log(capsys, monkeypatch):
    """Configures the log; returns what reads its lines."""
    root, handlers = logging.getLogger(), logging.getLogger().handlers[:]
    levels = root.level, log_lines.logger.level
    monkeypatch.setattr(log_lines, "_num_hidden", 0)
    monkeypatch.setenv("GLOG_v", "3")
    # Else the handlers of the tests themselves would be closed.
    root.handlers.clear()
    log_lines.configure()
    yield lambda: capsys.readouterr().err.splitlines()
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    log_lines.logger.setLevel(levels[1])


def test_what_a_file_says_cannot_forge_a_line_of_the_log(log):
    evil = "\x1b[31mred\n11-26 00:00:00 I clipmill: all is well"
    logging.getLogger("train").info("a tensor %s and %s", evil, "z" * 10_000_000)
    (line,) = log()
    assert r"train: a tensor \x1b[31mred\n11-26 00:00:00 I clipmill: all is" in line
    assert len(line) < 5000


def test_a_table_has_a_line_of_the_log_for_each_of_its_own(log):
    text = "%d are lost:\n%s"
    table = "reason  clips\nempty   2\x1b"
    logging.getLogger("pipelines").warning(text, 2, table, extra=log_lines.TABLE)
    assert [re.sub(PREFIX, "", line) for line in log()] == [
        " W pipelines: 2 are lost:",
        " W pipelines: reason  clips",
        r" W pipelines: empty   2\x1b",
    ]


def test_what_a_cluster_says_of_a_failed_task_is_left_to_the_job(log):
    logging.getLogger().error("java...\nTraceback (most recent call last):\n  ...")
    logging.getLogger().error("something else")
    (line,) = log()
    assert line.endswith("E root: something else")


def test_log_lines_go_to_the_current_standard_error(log):
    logging.getLogger("pipelines.anything").info("%d clips", 7)
    (line,) = log()
    assert re.fullmatch(rf"{PREFIX} I pipelines\.anything: 7 clips", line)


def test_logging_configured_twice_writes_once(log):
    log_lines.configure()
    logging.getLogger("pipelines").warning("once")
    assert len(log()) == 1


def test_warnings_of_libraries_are_counted(log):
    logging.getLogger("apache_beam.runners").error(
        "a failed task, in hundreds of lines"
    )
    logging.getLogger("botocore").warning("slow down")
    logging.getLogger().warning("apitools not found, and bigquery ...")
    logging.getLogger("botocore").info("found credentials")
    warnings.showwarning(UserWarning("old"), UserWarning, "file.py", 1)
    assert log() == []
    log_lines.log_hidden()
    log_lines.log_hidden()
    (line,) = log()
    assert line.endswith(" I clipmill: 3 warnings of libraries, shown with --verbose")


@pytest.mark.parametrize("level", ["3", "1"])
def test_mindspore_is_quiet_unless_the_environment_has_it_otherwise(
    log, monkeypatch, level
):
    monkeypatch.delenv("GLOG_v")
    if level != "3":
        monkeypatch.setenv("GLOG_v", level)
    log_lines.configure()
    assert log_lines.os.environ["GLOG_v"] == level
    log_lines.show_libraries()
    assert log_lines.os.environ["GLOG_v"] == ("2" if level == "3" else level)


PROGRAM = """\
import logging, sys, warnings
from mindrecord_io.commands import command_line

def work():
    warnings.warn("old, use another")
    logging.getLogger("urllib3").warning("a retry")
    raise {error}

def main():
    parser = command_line.CommandParser("job", "Does it.", example="")
    parser.parse_args(sys.argv[1:])
    return command_line.run("job", work)

sys.exit(command_line.start(main))
"""
FAILING = PROGRAM.format(error="ValueError('no clips here; give --clips DIR')")
RED = "\x1b[31m"


@pytest.mark.parametrize(
    ("changes", "is_red"),
    [
        ({}, True),
        ({"NO_COLOR": ""}, True),
        ({"NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
def test_an_error_is_red_and_last_on_a_terminal_that_has_colours(changes, is_red):
    session = terminals.run("-c", FAILING, **changes)
    assert session.returncode == 1
    assert session.lines[-1].endswith("job failed: no clips here; give --clips DIR")
    assert "2 warnings of libraries, shown with --verbose" in session.lines[-2]
    coloured = re.findall(r"\x1b\[31m(.*)\x1b\[0m", session.shown)
    assert len(coloured) == is_red
    assert "\x1b" not in terminals.COLOUR.sub("", session.shown)
    if is_red:
        assert re.fullmatch(r"\d\d:\d\d:\d\d error: job failed: .*", coloured[0])
    assert "old" not in session.shown
    assert "a retry" not in session.shown


def test_wrong_usage_is_red_too():
    session = terminals.run("-c", FAILING, "--cilps")
    assert session.returncode == 2
    line = "clipmill job: error: unrecognized arguments: --cilps"
    assert f"{RED}{line}" in session.shown


def test_verbose_shows_warnings_and_where_an_error_comes_from():
    session = terminals.run("-c", FAILING, "--verbose")
    text = "\n".join(session.lines)
    for shown in (
        "old, use another",
        "W urllib3: a retry",
        "Traceback (most",
        "in work",
    ):
        assert shown in text
    assert "shown with --verbose" not in text
    assert session.lines[-1].endswith(
        "E clipmill: job failed: no clips here; give --clips DIR"
    )


def test_in_a_log_nothing_controls_a_terminal():
    done = subprocess.run(
        [sys.executable, "-c", FAILING],
        capture_output=True,
        text=True,
        env=terminals.environment(),
    )
    assert not terminals.CONTROL.search(done.stdout + done.stderr)
    assert done.stderr.splitlines()[-1].endswith(
        "E clipmill: job failed: no clips here; give --clips DIR"
    )
