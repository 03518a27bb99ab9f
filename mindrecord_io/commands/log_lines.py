"""Writes the log: one form of line for all commands, and no chatter of libraries.

In a file a line has date, level and module. On a terminal it has the time alone, errors
are red, and lines are left out that the progress bar or the summary makes superfluous.
Warnings of libraries are counted; --verbose shows them.
"""

import copy
import logging
import os
import sys

from mindrecord_io.commands import plain_text, terminal

__all__ = [
    "IN_SUMMARY",
    "PER_SHARD",
    "TABLE",
    "configure",
    "log_hidden",
    "num_columns",
    "show_libraries",
]

PER_SHARD = {"is_per_shard": True}
"""`extra` of log lines that a progress bar makes superfluous."""

IN_SUMMARY = {"is_in_summary": True}
"""`extra` of log lines that the summary of a result makes superfluous."""

TABLE = {"is_table": True}
"""`extra` of log lines whose text is a table: each of its lines becomes one."""

_OWN = ("clipmill", "eval", "mindrecord_io", "model", "pipelines", "train")
_IN_FILE = ("%(asctime)s %(levelname).1s %(name)s: %(message)s", "%m-%d %H:%M:%S")
_ON_TERMINAL = ("%(asctime)s %(message)s", "%H:%M:%S")
_INDENT = " " * len("00:00:00 ")
_MAX_COLUMNS = 1000  # of a file
_MARKS = ((logging.ERROR, "error: "), (logging.WARNING, "warning: "))

_OF_NO_USE = ("apitools not found", "If direct_num_workers is not equal to 1")
"""How warnings of Beam begin that come in every job: of parts that nothing here uses,
and of a mode that is chosen on purpose."""

# MindSpore's library writes to the descriptor itself: 2 are its warnings, 3 its errors.
_MINDSPORE_LEVEL, _MINDSPORE_QUIET, _MINDSPORE_VERBOSE = "GLOG_v", "3", "2"

logger = logging.getLogger("clipmill")


def configure() -> None:
    """Sends log lines to standard error, past a progress bar where there is one.

    What a library has set up before is replaced. Call it before MindSpore is loaded.
    """
    handler = _PastTheBar()
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)
    os.environ.setdefault(_MINDSPORE_LEVEL, _MINDSPORE_QUIET)


def show_libraries() -> None:
    """Has the log show what it hides else: for --verbose."""
    logger.setLevel(logging.DEBUG)
    if os.environ.get(_MINDSPORE_LEVEL) == _MINDSPORE_QUIET:
        os.environ[_MINDSPORE_LEVEL] = _MINDSPORE_VERBOSE


def log_hidden() -> None:
    """Logs how many warnings of libraries were hidden since the last call, if any."""
    global _num_hidden
    num, _num_hidden = _num_hidden, 0
    if num:
        noun = "warning" if num == 1 else "warnings"
        logger.info("%d %s of libraries, shown with --verbose", num, noun)


def num_columns() -> int:
    """Returns how wide a table may be that is logged."""
    if not _is_short():
        return _MAX_COLUMNS
    return terminal.num_columns() - len(_INDENT)


_num_hidden = 0


class _PastTheBar(logging.Handler):
    """Writes lines so that a progress bar stays below them."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Returns whether a record is shown; counts the warnings that are not."""
        global _num_hidden
        if record.name.partition(".")[0] in _OWN:
            return not _is_superfluous(record)
        if record.levelno < logging.WARNING:
            return False
        if terminal.is_verbose() or _is_error(record):
            return True
        _num_hidden += not record.getMessage().startswith(_OF_NO_USE)
        return False

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a record."""
        text = record.getMessage()
        lines = text.split("\n") if getattr(record, "is_table", False) else [text]
        for i, line in enumerate(lines):
            self._write(record, line, is_first=i == 0)

    def _write(self, record: logging.LogRecord, text: str, *, is_first: bool) -> None:
        record = copy.copy(record)
        record.msg, record.args = plain_text.one_line(text), ()
        if not _is_short():
            line = logging.Formatter(*_IN_FILE).format(record)
        elif is_first:
            record.msg = _mark(record.levelno) + record.msg
            line = logging.Formatter(*_ON_TERMINAL).format(record)
        else:
            line = _INDENT + record.msg
        if record.levelno >= logging.ERROR:
            line = terminal.red(line)
        # Without the library there is no bar: it is not loaded for a line alone.
        if tqdm := sys.modules.get("tqdm"):
            tqdm.tqdm.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stderr, flush=True)  # noqa: T201


def _is_short() -> bool:
    return terminal.can_redraw() and not terminal.is_verbose()


def _is_superfluous(record: logging.LogRecord) -> bool:
    if getattr(record, "is_per_shard", False):
        return terminal.can_redraw()
    return getattr(record, "is_in_summary", False) and terminal.is_for_people()


def _is_error(record: logging.LogRecord) -> bool:
    """Returns whether a library's record is an error that no job has words for."""
    # Of a failed task Beam logs hundreds of lines, and what a cluster's task logged
    # comes whole, in the root logger's name: the job logs the line that counts.
    if record.levelno < logging.ERROR or record.name.startswith("apache_beam"):
        return False
    text = record.getMessage()
    return record.name != "root" or "Traceback (most recent call last)" not in text


def _mark(level: int) -> str:
    return next((mark for least, mark in _MARKS if level >= least), "")
