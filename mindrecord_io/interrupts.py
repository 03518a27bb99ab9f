"""Ends a command at Ctrl-C with one line and exit status 130, wherever it is.

A KeyboardInterrupt cannot do that. While MindSpore is loaded it aborts the interpreter,
frames of its compiler swallow it, and once a data set is read MindSpore has a handler
of its own; Beam's threads log pages about it and are waited for. So the signal is
blocked, in all threads and processes to come, and one thread waits for it and ends the
process. What is on the disk then can stand that, as it can stand a SIGKILL: unfinished
work is recognised and removed by the next job.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable

__all__ = ["EXIT_STATUS", "add_clean_up", "discard_clean_up", "exit_at_sigint"]

EXIT_STATUS = 128 + signal.SIGINT

_clean_ups: dict[Callable[[], object], None] = {}


def exit_at_sigint(line: str) -> None:
    """Makes a SIGINT end this process with a last line on standard error.

    To be called once, before there are threads. A process that was started to ignore
    the signal, as by nohup, goes on ignoring it.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    threading.Thread(target=_exit_at_sigint, args=(line,), daemon=True).start()


def add_clean_up(clean_up: Callable[[], object]) -> None:
    """Registers a callback to run before SIGINT ends the process, in no fixed order."""
    _clean_ups[clean_up] = None


def discard_clean_up(clean_up: Callable[[], object]) -> None:
    """Removes a callback that `add_clean_up` registered, if it did."""
    _clean_ups.pop(clean_up, None)


def _exit_at_sigint(line: str) -> None:
    signal.sigwait([signal.SIGINT])
    end_of_bar = "\n" if sys.stderr.isatty() else ""
    with contextlib.suppress(OSError):  # as where the terminal is gone
        os.write(2, f"{end_of_bar}{line}\n".encode())
    # Other threads would now log that their child processes died.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    for clean_up in tuple(_clean_ups):
        with contextlib.suppress(OSError):
            clean_up()
    os._exit(EXIT_STATUS)
