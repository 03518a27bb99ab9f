"""What all commands share: parser, types of flags, log, last line, exit status.

Needs the standard library alone, so that every `--help` and every wrong flag is
answered before a job's libraries are loaded.
"""

import argparse
import dataclasses
import difflib
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from mindrecord_io import interrupts, naming
from mindrecord_io.commands import (
    elapsed,
    log_lines,
    plain_text,
    progress_bar,
    standard_streams,
    summaries,
    terminal,
)
from mindrecord_io.storage import locations

__all__ = [
    "EXPECTED",
    "CommandParser",
    "WrongFlagError",
    "add_dataset",
    "add_dry_run",
    "add_num_workers",
    "add_version",
    "local_path",
    "location",
    "non_negative_int",
    "positive_int",
    "print_line",
    "print_row",
    "run",
    "start",
    "version_name",
]

logger = logging.getLogger("clipmill")

T = TypeVar("T")

EXPECTED = (OSError, ValueError, RuntimeError, MemoryError)
"""Errors that are no defect of ours: the user reads a sentence, no traceback."""


class WrongFlagError(argparse.ArgumentTypeError):
    """A flag's value cannot be used; the text is what the user reads."""


class _Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the defaults that are values, and keeps indented lines as they are."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        is_silent = action.default is None or action.default is False
        if action.required or is_silent or action.default in ("", (), {}):
            return action.help
        return super()._get_help_string(action)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        fill = super()._fill_text
        return "\n\n".join(
            part if "\n  " in part else fill(part, width, indent)
            for part in text.split("\n\n")
        )


class CommandParser(argparse.ArgumentParser):
    """The parser of `clipmill JOB`; a wrong flag is named with its nearest.

    Attributes:
      job: the word after `clipmill`.
    """

    def __init__(self, job: str, description: str, *, example: str, notes: str = ""):
        """Makes a parser.

        Args:
          example: the words after `clipmill JOB` in the example that ends the help.
          notes: a paragraph before the example.
        """
        self.job = job
        self._unknown_flags: list[str] = []
        shown = f"example:\n  clipmill {job} {example}"
        super().__init__(
            prog=f"clipmill {job}",
            description=description,
            epilog=f"{notes}\n\n{shown}".lstrip(),
            formatter_class=_Formatter,
            allow_abbrev=False,
        )
        for name, text in (
            ("--json", "print the result as one line of JSON on a terminal too"),
            ("--verbose", "log what libraries say as well, and where errors come from"),
        ):
            self.add_argument(name, action=terminal.OutputFlag, help=text)

    @property
    def flag_names(self) -> tuple[str, ...]:
        """The names of all flags, each with its dashes."""
        return tuple(self._option_string_actions)

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parses as its base does, and keeps the flags that there are not."""
        words = list(sys.argv[1:] if args is None else args)
        terminal.forget_flags()
        names = (word.partition("=")[0] for word in words if word.startswith("--"))
        self._unknown_flags = [n for n in names if n not in self.flag_names]
        parsed = super().parse_known_args(words, namespace)
        if terminal.is_verbose():
            log_lines.show_libraries()
        return parsed

    def make(self, value: Callable[..., T], *words: Any, **fields: Any) -> T:
        """Returns `value(...)`; a ValueError ends the process as a wrong flag does."""
        try:
            return value(*words, **fields)
        except ValueError as error:
            super().error(str(error))

    def error(self, message: str) -> NoReturn:
        """Ends the process with status 2 and a line that names the nearest flags."""
        nearest = {
            name: near[0]
            for name in self._unknown_flags
            if (near := difflib.get_close_matches(name, self.flag_names))
        }
        if nearest:
            hints = ", ".join(f"{near} for {name}" for name, near in nearest.items())
            message = f"{message}; did you mean {hints}?"
        super().error(message)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Ends the process; what is wrong is red on a terminal."""
        super().exit(status, message and terminal.red(message.rstrip("\n")) + "\n")


def add_dataset(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Adds --dataset, the folder or URI of a data set."""
    schemes = ", ".join(f"{scheme}://" for scheme in locations.SCHEMES)
    parser.add_argument(
        "--dataset",
        type=_dataset,
        required=required,
        metavar="DIR_OR_URI",
        help=f"the data set: a folder, or {schemes}",
    )


def add_version(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """Adds --version, the name or number of a version of the data set."""
    text = "version of the data set, such as 000003 or 3"
    parser.add_argument(
        "--version",
        type=version_name,
        required=required,
        metavar="V",
        help=text if required else f"{text}; by default the current one",
    )


def add_num_workers(
    parser: argparse.ArgumentParser, text: str, default: int | None = os.cpu_count()
) -> None:
    """Adds --num_workers, by default the number of processors."""
    parser.add_argument(
        "--num_workers",
        type=positive_int,
        default=default,
        metavar="N",
        help=text,
    )


def add_dry_run(parser: argparse.ArgumentParser) -> None:
    """Adds --dry_run."""
    parser.add_argument(
        "--dry_run", action="store_true", help="print what would be done, then stop"
    )


def positive_int(text: str) -> int:
    """Reads a flag's value that must be at least 1."""
    return _int_of_at_least(1, text)


def non_negative_int(text: str) -> int:
    """Reads a flag's value that must be at least 0."""
    return _int_of_at_least(0, text)


def location(text: str) -> Path | str:
    """Reads a flag's value that is a path or a URI (see locations)."""
    return _checked(locations.location, text)


def local_path(text: str) -> Path:
    """Reads a flag's value that is a path on this machine."""
    return _checked(locations.local_path, text)


def version_name(text: str) -> str:
    """Reads a flag's value that is a version's name or number: 3 is 000003."""
    if text.isascii() and text.isdigit() and int(text) > 0:
        return naming.version_name(int(text))
    raise WrongFlagError(
        f"a version is named like '000003', or by its number, got {text!r}"
    )


def run(
    job: str,
    call: Callable[[], Any],
    finish: Callable[[Any], int] | None = None,
    *,
    usage_errors: tuple[type[Exception], ...] = (),
) -> int:
    """Runs a job and prints its result: for people, or one line of JSON.

    JSON is the last line of standard output, unless that is a terminal and --json is
    not given. Its `seconds` are those of the whole command.

    Args:
      call: returns a dataclass, a value with `to_json`, or a dictionary; None where
        there is nothing more to print, or another rank prints it. If it has `to_lines`,
        these are printed as well, and take the place of a summary.
      finish: logs a result for people and returns the exit status.
      usage_errors: errors that mean that the command was called wrongly.

    Returns:
      0; 1 if the job failed, or 2 if it was called wrongly: then a line is logged.
    """
    with elapsed.measured():
        try:
            with progress_bar.phases_of(job):
                result = call()
        except usage_errors as error:
            return _failed(2, f"{job}: {plain_text.sentence(error)}")
        except EXPECTED as error:
            logger.debug("where it happened", exc_info=True)
            return _failed(1, f"{job} failed: {plain_text.sentence(error)}")
        log_lines.log_hidden()
        return 0 if result is None else _reported(job, result, finish)


def print_line(text: str) -> None:
    """Prints a line for people; what a file put into it cannot reach the terminal."""
    progress_bar.end_phase()
    print(plain_text.one_line(text))  # noqa: T201


def print_row(row: Any, lines: Callable[[Any], Sequence[str]]) -> None:
    """Prints one of many results at once: a line of JSON, `lines(row)` for people."""
    progress_bar.end_phase()
    if not terminal.is_for_people():
        print(json.dumps(_shortened(_fields(row))), flush=True)  # noqa: T201
        return
    for line in lines(row):
        print_line(line)


def start(
    main: Callable[[], int],
    remark: str = "",
    *,
    exit_at: Callable[[str], None] = interrupts.exit_at_sigint,
) -> int:
    """Runs the command of this process and returns its exit status.

    Ctrl-C ends it with one line, `remark` at its end, and so does a library that is not
    installed, or cannot be loaded.

    Args:
      exit_at: of interrupts; for the signals that are to end it so.
    """
    elapsed.begin_with_process()
    standard_streams.guard()
    log_lines.configure()
    exit_at(f"interrupted{remark}")
    try:
        return standard_streams.flushed(main())
    except SystemExit as end:  # after --help, or a wrong flag
        if end.code is not None and not isinstance(end.code, int):
            raise
        return standard_streams.flushed(end.code or 0)
    except (ImportError, MemoryError) as error:
        if isinstance(error, ImportError) and plain_text.is_our_own(error):
            raise
        text = f"clipmill cannot run: {plain_text.sentence(error)}"
        print(terminal.red(text), file=sys.stderr)  # noqa: T201
        return 1
    finally:
        progress_bar.end_phase()


def _failed(status: int, text: str) -> int:
    """Logs why a job failed, as the last line; returns the exit status."""
    log_lines.log_hidden()
    logger.error("%s", text)
    return status


def _shortened(value: Any) -> Any:
    """Returns a JSON value, its texts as long as a line of the log may be."""
    if isinstance(value, str):
        return plain_text.shortened(value)
    if isinstance(value, dict):
        return {key: _shortened(item) for key, item in value.items()}
    return [*map(_shortened, value)] if isinstance(value, list | tuple) else value


def _reported(job: str, result: Any, finish: Callable[[Any], int] | None) -> int:
    """Prints a result; returns the exit status of the job that has it."""
    status = 0
    try:
        status = finish(result) if finish else 0
        _print_result(job, result, status)
    except BrokenPipeError:  # as of `| head -1`, which has had enough
        standard_streams.discard_output()
    except OSError as error:
        standard_streams.discard_output()
        why = plain_text.sentence(error)
        logger.error("%s is done, but standard output takes no result: %s", job, why)
        return 1
    return status


def _print_result(job: str, result: Any, status: int) -> None:
    lines = result.to_lines() if hasattr(result, "to_lines") else None
    for line in lines or ():
        print_line(line)
    fields = _fields(result)
    if not terminal.is_for_people():
        if "seconds" in fields:
            fields = fields | {"seconds": round(elapsed.seconds(), 1)}
        print(json.dumps(_shortened(fields)), flush=True)  # noqa: T201
    elif lines is None:
        text = summaries.summary(job, fields, elapsed.seconds(), status)
        for line in text.splitlines():
            print_line(line)


def _fields(result: Any) -> dict[str, Any]:
    """Returns a result as JSON has it."""
    if hasattr(result, "to_json"):
        result = result.to_json()
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        result = dataclasses.asdict(result)
    fields: dict[str, Any] = result
    return fields


def _dataset(text: str) -> Path | str:
    dataset = location(text)
    folder, _, name = str(dataset).rpartition("/")
    folder, _, versions = folder.rpartition("/")
    if versions == "versions" and naming.is_version_name(name):
        raise WrongFlagError(
            f"{text} is a version: give its data set, --dataset {folder or '.'}, and "
            f"--version {name} where the command has that flag"
        )
    return dataset


def _checked(read: Callable[[str], T], text: str) -> T:
    try:
        return read(text)
    except ValueError as error:
        raise WrongFlagError(str(error)) from error


def _int_of_at_least(minimum: int, text: str) -> int:
    value = int(text) if text.isascii() and text.removeprefix("-").isdigit() else None
    if value is None or value < minimum:
        raise WrongFlagError(
            f"must be a whole number of at least {minimum}, got {text!r}"
        )
    return value
