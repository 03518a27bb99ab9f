"""`python -m eval TOOL` as it is called."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("tool", "flag"),
    [("export", "--output"), ("import_weights", "--weights"), ("infer", "--clip_id")],
)
def test_a_tool_has_flags_of_its_own(tool, flag):
    run = subprocess.run(
        [sys.executable, "-m", "eval", tool, "--help"], capture_output=True, text=True
    )
    assert run.returncode == 0
    assert f"usage: clipmill {tool}" in run.stdout
    assert flag in run.stdout


def test_an_unknown_tool_is_wrong_usage_and_the_known_ones_are_listed():
    run = subprocess.run(
        [sys.executable, "-m", "eval", "exprot"], capture_output=True, text=True
    )
    assert (run.returncode, run.stdout) == (2, "")
    known = "no tool is called 'exprot': export, import_weights, infer"
    assert run.stderr.endswith(f"{known}\n")


def test_tools_are_named_in_the_help():
    run = subprocess.run(
        [sys.executable, "-m", "eval", "--help"], capture_output=True, text=True
    )
    text = " ".join(run.stdout.split())  # lines are broken where they are full
    assert "`python -m eval export`" in text
    assert "`python -m eval import_weights`" in text
