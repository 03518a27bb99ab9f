"""A command whose streams are closed, full or broken, as a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
PROGRAM = """
import logging, os, subprocess, sys
from mindrecord_io.commands import command_line

def main():
    for number in range({num_lines}):
        logging.getLogger("pipelines").info("line %d %s", number, "x" * 2000)
    sys.stderr.write("bar")
    sys.stderr.flush()
    subprocess.run(["sh", "-c", "echo of a child >&2"])
    with open({path!r}, "w") as file:
        file.write("done, by %d" % file.fileno())
    return command_line.run("job", lambda: {{"value": "y" * {num_chars}}})

sys.exit(command_line.start(main))
"""


@pytest.fixture
def run(tmp_path):
    """Runs the command in a shell; returns status, output, log and its file."""

    def run(redirections, *, num_lines=200, num_chars=1, program=PROGRAM):
        path = tmp_path / "file"
        script = tmp_path / "program.py"
        script.write_text(
            program.format(path=str(path), num_lines=num_lines, num_chars=num_chars)
        )
        done = subprocess.run(
            [
                "bash",
                "-c",
                f"set -o pipefail; {sys.executable} {script} {redirections}",
            ],
            capture_output=True,
            text=True,
            timeout=60,
            env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin"},
        )
        content = path.read_text() if path.exists() else ""
        return done.returncode, done.stdout, done.stderr, content

    return run


@pytest.mark.parametrize(
    "redirections", ["2>/dev/full", "2>&-", "2> >(head -1 >/dev/null)", "2>&1 >&3 3>&-"]
)
def test_a_log_that_cannot_be_written_is_lost_and_the_job_goes_on(run, redirections):
    before = "3>&1 " if "3" in redirections else ""
    status, output, log, content = run(before + redirections)
    assert status == 0
    assert '{"value": "y"}' in output + log
    assert content.startswith("done, by ")
    assert "Traceback" not in log


def test_no_file_takes_the_number_of_a_closed_stream(run):
    status, _, log, content = run("<&- >&- 2>&-")
    assert (status, log) == (0, "")
    assert int(content.removeprefix("done, by ")) > 2


def test_a_reader_that_has_had_enough_ends_the_command_quietly(run):
    status, output, log, _ = run("| head -c 1", num_lines=0, num_chars=1_000_000)
    assert (status, output) == (0, "{")
    assert log == "barof a child\n"


def test_a_result_that_cannot_be_written_is_told_of_in_a_sentence(run):
    status, _, log, content = run(">/dev/full", num_lines=0)
    assert status == 1
    assert content.startswith("done, by ")
    assert log.splitlines()[-1].endswith(
        "clipmill: job is done, but standard output takes no result: No space left on "
        "device"
    )
    assert "Traceback" not in log
    assert "Exception" not in log


HELP = """
import sys
from mindrecord_io.commands import command_line

def main():
    parser = command_line.CommandParser("j", "d" * {num_chars}, example="")
    parser.parse_args(["--help"])

sys.exit(command_line.start(main))
"""


@pytest.mark.parametrize(
    ("redirections", "num_chars", "status", "log"),
    [
        ("| head -1", 500_000, 0, ""),
        (">/dev/full", 50, 1, "clipmill: standard output: No space left on device\n"),
    ],
)
def test_help_ends_quietly_too(run, redirections, num_chars, status, log):
    done = run(redirections, program=HELP, num_chars=num_chars)
    assert (done[0], done[2]) == (status, log)
