"""Parses command lines by the programs' own parsers, and runs nothing.

`python tests/documented_commands.py < LINES` reads a JSON list of command lines and
writes a JSON list of what is wrong with them, "" where nothing is. A program of its
own, since Beam and MindSpore cannot be imported in one process.
"""

import argparse
import contextlib
import dataclasses
import importlib
import io
import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from unittest import mock

from mindrecord_io.commands.command_line import CommandParser


class _ParsedError(BaseException):
    """Ends a program once its flags are parsed; `rest` are those it has not."""

    def __init__(self, parser: argparse.ArgumentParser, rest: Sequence[str]) -> None:
        super().__init__()
        self.prog, self.rest = parser.prog, list(rest)


def complaint(line: str) -> str:
    """Returns what is wrong with a command line, "" if nothing is.

    A line with "..." in it need not have every flag that is required, and one without
    any flag only names a program.
    """
    words = shlex.split(line)
    is_partial = "..." in words or not any(word.startswith("--") for word in words)
    words = [word for word in words if word != "..."]
    try:
        module, argv = _program(words)
    except ValueError as error:
        return str(error)
    output = io.StringIO()
    try:
        with (
            contextlib.redirect_stderr(output),
            contextlib.redirect_stdout(output),
            _parsing_only(is_partial),
        ):
            status = importlib.import_module(module).main(argv)
    except _ParsedError as parsed:
        return _complaint_of_rest(parsed)
    except ModuleNotFoundError as error:
        return str(error)
    except SystemExit as end:
        status = end.code
    return f"exit status {status}: {output.getvalue().strip()}"


def _program(words: Sequence[str]) -> tuple[str, list[str]]:
    """Returns the module that a command line runs, and the words for its `main`."""
    if words[0] == "clipmill":
        return "pipelines.__main__", list(words[1:])
    if words[:2] != ["python", "-m"]:
        raise ValueError(f"neither clipmill nor python -m: {words}")
    name = words[2]
    is_package = name in ("eval", "pipelines", "train")
    return f"{name}.__main__" if is_package else name, list(words[3:])


@contextlib.contextmanager
def _parsing_only(is_partial: bool) -> Iterator[None]:
    """Lets every parser raise _ParsedError where it would return."""
    parse_known = argparse.ArgumentParser.parse_known_args
    parse_all = argparse.ArgumentParser.parse_args
    error = argparse.ArgumentParser.error
    nested = False

    def known(self, args=None, namespace=None):
        parsed = parse_known(self, args, namespace)
        if nested:
            return parsed
        raise _ParsedError(self, parsed[1])

    def every(self, args=None, namespace=None):
        nonlocal nested
        nested = True
        try:
            parse_all(self, args, namespace)
        finally:
            nested = False
        raise _ParsedError(self, ())

    def refuse(self, message):
        if is_partial and "are required" in message:
            raise _ParsedError(self, ())
        error(self, message)

    with (
        mock.patch.object(argparse.ArgumentParser, "parse_known_args", known),
        mock.patch.object(argparse.ArgumentParser, "parse_args", every),
        mock.patch.object(argparse.ArgumentParser, "error", refuse),
        mock.patch.object(CommandParser, "error", refuse),
    ):
        yield


def _complaint_of_rest(parsed: _ParsedError) -> str:
    """Returns which of the flags that a parser hands on nobody has."""
    flags = [word.partition("=")[0] for word in parsed.rest if word.startswith("--")]
    if not parsed.rest:
        return ""
    if parsed.prog.split()[1:2] == ["zoo"]:
        from eval.zoo import keys

        names = {f"--{name}" for name in keys.DEFAULTS}
    elif parsed.prog.split()[-1] in ("train", "eval", "import_weights"):
        names = {f"--{name}" for name in _configuration_keys()}
    else:
        names = _beam_flags()
    unknown = [flag for flag in flags if flag not in names]
    return f"{parsed.prog}: no such flag: {unknown}" if unknown else ""


def _configuration_keys() -> set[str]:
    from eval import config as eval_config
    from model.config import TSMConfig
    from train import config as train_config

    sections = (TSMConfig, eval_config.EvalConfig, train_config.TrainConfig)
    return {field.name for one in sections for field in dataclasses.fields(one)}


def _beam_flags() -> set[str]:
    from apache_beam.options import pipeline_options

    parser = argparse.ArgumentParser(allow_abbrev=False)
    for one in pipeline_options.PipelineOptions.__subclasses__():
        with contextlib.suppress(argparse.ArgumentError):
            one._add_argparse_args(parser)
    return set(parser._option_string_actions)


if __name__ == "__main__":
    json.dump([complaint(line) for line in json.load(sys.stdin)], sys.stdout)
