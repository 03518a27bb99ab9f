"""Times are compared with each other alone: none depends on the machine's speed."""

import json
import subprocess
import sys
import time

from mindrecord_io.commands import elapsed
from tests import terminals

PROGRAM = """\
import json, sys, time
first_line = time.monotonic()
from mindrecord_io.commands import command_line, elapsed

def main():
    time.sleep(0.2)
    print(json.dumps([elapsed.seconds(), time.monotonic() - first_line]))
    return 0

sys.exit(command_line.start(main))
"""
TICK = 0.02  # the kernel's clock of processes goes by hundredths


def timed(*command):
    began = time.monotonic()
    done = subprocess.run(
        command, capture_output=True, check=True, env=terminals.environment()
    )
    return [*json.loads(done.stdout), time.monotonic() - began]


def test_a_command_is_measured_from_the_start_of_its_process():
    measured, since_first_line, whole = timed(sys.executable, "-c", PROGRAM)
    assert since_first_line < measured + TICK
    assert measured < whole + TICK


def test_what_a_shell_did_before_it_became_the_command_is_not_counted(monkeypatch):
    monkeypatch.setattr(elapsed, "_origin", None)
    monkeypatch.setattr(elapsed, "_age_of_process", lambda: 1e9)
    elapsed.begin_with_process()
    assert time.process_time() - TICK < elapsed.seconds() < 1e9


def test_in_a_process_of_others_a_command_is_measured_from_its_own_start():
    with elapsed.measured():
        began = time.monotonic()
        outer = elapsed.seconds()
        with elapsed.measured():
            assert elapsed.seconds() >= outer
        assert elapsed.seconds() >= time.monotonic() - began - TICK
    assert elapsed._origin is None
