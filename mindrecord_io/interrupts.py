"""A signal ends a command with one line and its exit status, wherever the command is.

A KeyboardInterrupt cannot do that. While MindSpore is loaded it aborts the interpreter,
frames of its compiler swallow it, and once a data set is read MindSpore has a handler
of its own; Beam's threads write pages about it and are waited for. So SIGINT is
blocked, in all threads and processes to come, and one thread waits for it and ends the
process. SIGTERM and SIGHUP are not blocked, for children would inherit that and could
not be ended by them: their handlers only wake the thread that ends the process.

Before it does, whatever was begun is undone: children are killed, a cluster's job is
cancelled, folders of unfinished work are removed. What is on the disk can stand a
SIGKILL too: unfinished work is recognised and removed by the next job.
"""

import atexit
import contextlib
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator

__all__ = [
    "EXIT_STATUS",
    "add_clean_up",
    "cleaned_up",
    "discard_clean_up",
    "exit_at_sigint",
    "exit_at_signals",
]

EXIT_STATUS = 128 + signal.SIGINT

_CLEAN_UP_SECONDS = 60  # in all; then it is left to the next job

_clean_ups: dict[Callable[[], object], None] = {}
_is_ending = threading.Event()
_ending = threading.Lock()  # held where that is set, or acted upon


def exit_at_sigint(line: str) -> None:
    """Makes a SIGINT end this process with a last line on standard error.

    To be called once, before there are threads. A process that was started to ignore
    the signal, as by nohup, goes on ignoring it.
    """
    _exit_at(line, ())


def exit_at_signals(line: str) -> None:
    """Makes SIGTERM, SIGHUP (a closed terminal) and SIGINT end this process alike."""
    _exit_at(line, (signal.SIGTERM, signal.SIGHUP))


def add_clean_up(clean_up: Callable[[], object]) -> None:
    """Has something called before a signal ends this process: what came last, first.

    Where one is about to end it, it is called at once: whatever another thread has just
    begun is not to go on.
    """
    with _ending:
        if not _is_ending.is_set():
            _clean_ups[clean_up] = None
            return
    with contextlib.suppress(Exception):
        clean_up()


def discard_clean_up(clean_up: Callable[[], object]) -> None:
    """Takes back `add_clean_up`; does nothing where it was not called."""
    _clean_ups.pop(clean_up, None)


@contextlib.contextmanager
def cleaned_up(clean_up: Callable[[], object]) -> Iterator[None]:
    """Has something called if a signal ends this process inside the block."""
    add_clean_up(clean_up)
    try:
        yield
    finally:
        discard_clean_up(clean_up)


def _exit_at(line: str, handled: tuple[signal.Signals, ...]) -> None:
    received: queue.SimpleQueue[int] = queue.SimpleQueue()
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        _start(lambda: received.put(signal.sigwait([signal.SIGINT])))
    for number in handled:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, _: received.put(number))
    atexit.register(_wait_for_the_end)
    _start(lambda: _end(line, received.get()))


def _end(line: str, number: int) -> None:
    with _ending:
        _is_ending.set()
    with contextlib.suppress(OSError):  # as where the terminal is gone
        _say_last(line)
    _start(_clean_up).join(_CLEAN_UP_SECONDS)
    os._exit(128 + number)


def _say_last(line: str) -> None:
    """Writes the last line of standard error: what comes after it is discarded.

    Nobody is interested in what other threads write at the death of their children.
    """
    end_of_bar = "\n" if sys.stderr.isatty() else ""
    shown = os.dup(2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    os.write(shown, f"{end_of_bar}{line}\n".encode())


def _clean_up() -> None:
    for clean_up in reversed(tuple(_clean_ups)):
        with contextlib.suppress(Exception):  # the others are to be done all the same
            clean_up()


def _wait_for_the_end() -> None:
    """Keeps the main thread, whose work was cut short, from ending the process."""
    if _is_ending.is_set():
        threading.Event().wait()


def _start(call: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread
