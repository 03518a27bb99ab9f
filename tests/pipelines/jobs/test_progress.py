import logging
import os
import pty
import re
import subprocess
import sys
import termios
import threading

import pytest

from pipelines.jobs import progress

# Shows a job of 5 clips that is done at once, and says something in the middle.
JOB = """\
import logging
from mindrecord_io.commands import command_line
from pipelines.jobs import progress

progress.configure_logging()
done = 0
with progress.watched("shards", 5, lambda: done):
    shards = logging.getLogger("pipelines.building.build_transforms")
    shards.info("a line for each shard", extra=command_line.PER_SHARD)
    logging.getLogger("pipelines.jobs.build").warning("look: %s", "here")
    logging.getLogger("apache_beam").info("chatter")
    logging.getLogger().warning("apitools not found, and so on")
    done = 5
print("result")
"""


def run_on_a_terminal(tools):
    """Runs JOB with standard error on a terminal: its output, and what is shown."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    process = subprocess.Popen(
        [sys.executable, "-c", JOB],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=tools.command_environment(),
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        shown += part
    os.close(ours)
    output, _ = process.communicate()
    assert process.returncode == 0
    return output.decode(), shown.decode()


def test_in_a_log_there_are_lines_and_no_bar(tools):
    done = subprocess.run(
        [sys.executable, "-c", JOB],
        capture_output=True,
        text=True,
        env=tools.command_environment(),
    )

    assert done.stdout == "result\n"
    lines = done.stderr.splitlines()
    assert [re.sub(r"^\d\d-\d\d \d\d:\d\d:\d\d ", "", line) for line in lines] == [
        "I pipelines.building.build_transforms: a line for each shard",
        "W pipelines.jobs.build: look: here",
    ]


def test_on_a_terminal_a_bar_stands_for_the_shards_lines(tools):
    output, shown = run_on_a_terminal(tools)

    assert output == "result\n"
    assert "shards: 100%" in shown
    assert "5/5" in shown
    assert "W pipelines.jobs.build: look: here" in shown
    assert "a line for each shard" not in shown
    assert "chatter" not in shown


def test_counting_goes_on_while_the_block_runs_and_once_after_it():
    counted = threading.Event()
    num_calls = []

    def num_done():
        num_calls.append(1)
        counted.set()
        return 3

    with progress.watched("shards", 5, num_done):
        assert counted.wait(60)
        during = len(num_calls)

    assert len(num_calls) > during


def test_the_counting_thread_ends_with_the_block_even_if_that_fails():
    before = threading.active_count()

    with pytest.raises(LookupError), progress.watched("shards", 5, lambda: 0):
        raise LookupError

    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("num_done", "seconds", "expected"),
    [
        (0, 31, "shards: none of 6000 clips in 31 s"),
        (600, 60, "shards: 600 of 6000 clips (10%), 10.0 clips/s, 9.0 min left"),
        (6000, 90, "shards: 6000 of 6000 clips (100%), 66.7 clips/s, 0.0 min left"),
    ],
)
def test_a_line_tells_how_far_how_fast_and_how_long(num_done, seconds, expected):
    assert progress.line("shards", 6000, num_done, seconds) == expected


def test_in_a_log_a_line_comes_now_and_then(monkeypatch):
    told = threading.Event()
    monkeypatch.setattr(progress, "_LINE_SECONDS", 0)
    monkeypatch.setattr(progress, "_POLL_SECONDS", 0.01)
    monkeypatch.setattr(progress.logger, "info", lambda *words: told.set())

    with progress.watched("shards", 5, lambda: 3):
        assert told.wait(60)


def test_what_a_cluster_says_of_a_failed_task_is_left_to_the_job(
    capsys, logging_restored
):
    progress.configure_logging()

    logging.getLogger().error("java...\nTraceback (most recent call last):\n  ...")
    logging.getLogger().error("something else")

    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("E root: something else")


def test_log_lines_go_to_the_current_standard_error(capsys, logging_restored):
    progress.configure_logging()

    logging.getLogger("pipelines.anything").info("%d clips", 7)

    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(
        r"\d\d-\d\d \d\d:\d\d:\d\d I pipelines\.anything: 7 clips\n", captured.err
    )


def test_logging_configured_twice_writes_once(capsys, logging_restored):
    progress.configure_logging()
    progress.configure_logging()

    logging.getLogger("pipelines").warning("once")

    assert capsys.readouterr().err.count("once") == 1
