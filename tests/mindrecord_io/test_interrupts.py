"""What a signal does to a process, by processes that get one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mindrecord_io import interrupts

REPOSITORY = Path(__file__).resolve().parent.parent.parent
BEGIN = """
import os, pathlib, subprocess, sys, threading, time
from mindrecord_io import interrupts
"""
WAIT = "print('ready', flush=True); time.sleep(60)"


@pytest.fixture
def run_until_ready(sigint_is_heard):
    """Runs a program, sends it signals once it is ready; returns what it left."""
    processes = []

    def run(program, num_signals=1, number=signal.SIGINT, **options):
        process = subprocess.Popen(
            [sys.executable, "-c", BEGIN + program],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            **options,
        )
        processes.append(process)
        assert process.stdout.readline() == "ready\n"
        for _ in range(num_signals):
            process.send_signal(number)
        output, errors = process.communicate(timeout=60)
        return process.returncode, output, errors

    yield run
    for process in processes:
        process.kill()
        process.wait()


def test_the_status_is_that_of_a_shell():
    assert interrupts.EXIT_STATUS == 130


@pytest.mark.parametrize("num_signals", [1, 5])
def test_one_line_is_said_whatever_the_number_of_signals(run_until_ready, num_signals):
    program = f"interrupts.exit_at_sigint('told'); {WAIT}"
    assert run_until_ready(program, num_signals) == (130, "", "told\n")


def test_the_line_is_the_last_whatever_another_thread_logs_right_after(run_until_ready):
    program = f"""
interrupts.exit_at_signals('told')
write = os.write
os.write = lambda number, text: (write(number, text), write(2, b'decoded\\n'))
{WAIT}
"""
    assert run_until_ready(program) == (130, "", "told\n")


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
)
def test_each_signal_has_its_own_status_and_the_same_line(
    run_until_ready, number, status
):
    program = f"interrupts.exit_at_signals('told'); {WAIT}"
    assert run_until_ready(program, number=number) == (status, "", "told\n")


def test_a_process_that_minds_only_sigint_dies_of_the_others(run_until_ready):
    program = f"interrupts.exit_at_sigint('told'); {WAIT}"
    assert run_until_ready(program, number=signal.SIGTERM) == (-15, "", "")


def test_children_can_still_be_ended_by_sigterm(run_until_ready):
    program = """
interrupts.exit_at_signals('told')
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])
child.terminate()
print(child.wait(30))
print('ready', flush=True)
time.sleep(60)
"""
    program = program.replace("print(child", "assert -15 == (child")
    assert run_until_ready(program) == (130, "", "told\n")


def test_clean_ups_are_done_last_one_first_whatever_they_raise(run_until_ready):
    program = f"""
interrupts.exit_at_signals('told')
def note(text):
    def write():
        os.write(1, text)
        raise RuntimeError('and fails')
    return write
interrupts.add_clean_up(note(b'first'))
interrupts.add_clean_up(note(b'second '))
with interrupts.cleaned_up(note(b'never')):
    pass
with interrupts.cleaned_up(note(b'third ')):
    {WAIT}
"""
    assert run_until_ready(program) == (130, "third second first", "told\n")


def test_the_main_thread_cannot_end_the_process_before_its_clean_ups(run_until_ready):
    program = """
interrupts.exit_at_signals('told')
job_is_cancelled = threading.Event()
def cancel():
    job_is_cancelled.set()
    time.sleep(1)
    os.write(1, b'all undone')
interrupts.add_clean_up(cancel)
print('ready', flush=True)
job_is_cancelled.wait()
sys.exit('the job failed')
"""
    assert run_until_ready(program) == (130, "all undone", "told\n")


def test_what_is_begun_after_the_signal_is_undone_at_once(run_until_ready):
    program = """
interrupts.exit_at_signals('told')
others_are_killed = threading.Event()
interrupts.add_clean_up(lambda: (others_are_killed.set(), time.sleep(2)))
print('ready', flush=True)
others_are_killed.wait()
interrupts.add_clean_up(lambda: os.write(1, b'the next one too'))
time.sleep(60)
"""
    assert run_until_ready(program) == (130, "the next one too", "told\n")


def test_nothing_that_catches_every_error_can_hold_it(run_until_ready):
    program = """
interrupts.exit_at_sigint('told')
print('ready', flush=True)
end = time.monotonic() + 60
while time.monotonic() < end:
    try:
        time.sleep(1)
    except BaseException:
        print('caught')
    finally:
        print('finally')
"""
    status, output, errors = run_until_ready(program)
    assert (status, errors) == (130, "told\n")
    assert "caught" not in output


def test_a_handler_that_a_library_sets_later_is_not_called(run_until_ready):
    program = f"""
import signal
interrupts.exit_at_sigint('told')
signal.signal(signal.SIGINT, lambda *_: os._exit(3))
{WAIT}
"""
    assert run_until_ready(program) == (130, "", "told\n")


def test_clean_ups_are_done_unless_they_were_taken_back_or_fail(
    run_until_ready, tmp_path
):
    program = f"""
import functools
interrupts.exit_at_sigint('told')
folder = pathlib.Path({str(tmp_path)!r})
def touch(name):
    return functools.partial((folder / name).touch)
kept, taken_back = touch('kept'), touch('taken back')
interrupts.add_clean_up(taken_back)
interrupts.add_clean_up((folder / 'not there').unlink)
interrupts.add_clean_up(kept)
interrupts.discard_clean_up(taken_back)
interrupts.discard_clean_up(taken_back)
{WAIT}
"""
    assert run_until_ready(program) == (130, "", "told\n")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_what_other_threads_say_to_the_end_of_their_children_is_not_heard(
    run_until_ready,
):
    program = f"""
interrupts.exit_at_sigint('told')
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])
def fail():
    child.wait()
    raise RuntimeError('my child is dead')
threading.Thread(target=fail, daemon=True).start()
interrupts.add_clean_up(child.kill)
interrupts.add_clean_up(lambda: time.sleep(0.5))
{WAIT}
"""
    assert run_until_ready(program) == (130, "", "told\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_process_that_ignores_the_signal_goes_on_doing_so(run_until_ready, number):
    program = """
interrupts.exit_at_sigint('told')
print('ready', flush=True)
time.sleep(1)
print('done')
"""

    program = program.replace("at_sigint", "at_signals")

    def ignore():
        signal.signal(number, signal.SIG_IGN)

    ended = run_until_ready(program, number=number, preexec_fn=ignore)

    assert ended == (0, "done\n", "")


def test_the_line_is_below_the_bar_on_a_terminal(run_until_ready):
    ours, theirs = os.openpty()
    program = f"""
os.dup2({theirs}, 2)
interrupts.exit_at_sigint('told')
sys.stderr.write('50 % done')
sys.stderr.flush()
{WAIT}
"""
    status, _, _ = run_until_ready(program, pass_fds=[theirs])
    assert status == 130
    assert os.read(ours, 1000) == b"50 % done\r\ntold\r\n"


def test_nobody_is_left_to_hear_the_line_and_it_ends_all_the_same(run_until_ready):
    program = f"interrupts.exit_at_sigint('told'); os.close(2); {WAIT}"
    assert run_until_ready(program) == (130, "", "")
