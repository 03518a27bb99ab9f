"""Reads the flags that are Beam's or an engine's, and chooses the runner by them."""

import argparse
import difflib
import importlib
import importlib.util
import logging
from collections.abc import Sequence

from apache_beam.options import pipeline_options
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners.portability.portable_runner import PortableRunner
from apache_beam.runners.runner import PipelineRunner

from pipelines.building import flink_submission
from pipelines.building.flink_submission import FlinkSubmission

__all__ = ["check", "is_local", "options", "runner"]

logger = logging.getLogger(__name__)

_LOCAL_RUNNER = "FnApiRunner"  # DirectRunner tries to download another runner first
_DASK_RUNNER = "apache_beam.runners.dask.dask_runner.DaskRunner"  # not in Beam's list
_RUNNERS = {
    path.rpartition(".")[2].lower(): path
    for path in (*StandardOptions.ALL_KNOWN_RUNNERS, _DASK_RUNNER)
}
_TYPING_ERROR = 0.9  # a flag as near as that to one of the job's own is meant to be it


def is_local(beam_flags: Sequence[str]) -> bool:
    """Returns whether the flags leave the choice of the runner to us."""
    return not any(flag.split("=")[0] == "--runner" for flag in beam_flags)


def options(beam_flags: Sequence[str], num_threads: int) -> PipelineOptions:
    """Returns Beam's options: the flags given, and a local runner unless they name one.

    The local runner works in threads of this process. The work itself is done in
    child processes, so threads suffice, and no process of Beam's can die unnoticed.
    Its threads take their elements from memory: the mode that Beam calls
    multi_threading would have them ask servers for these, which listen on every
    network and hand any file to whoever asks.
    """
    flags = list(beam_flags)
    if is_local(flags):
        flags += [
            f"--runner={_LOCAL_RUNNER}",
            "--direct_running_mode=in_memory",
            f"--direct_num_workers={num_threads}",
        ]
    return pipeline_options.PipelineOptions(flags)


def runner(options: PipelineOptions) -> PipelineRunner | None:
    """Returns the runner where it is not the one that Beam would take for its name."""
    if flink_submission.is_for(options):
        return FlinkSubmission()
    name = options.view_as(StandardOptions).runner or ""
    if _path(name) == _DASK_RUNNER:
        dask_runner: PipelineRunner = _imported(name)()
        return dask_runner
    return None


def check(beam_flags: Sequence[str], own_flags: Sequence[str]) -> None:
    """Checks flags that the job does not have: Beam has them, or the runner may.

    A runner that hands a job to a server of jobs may be given flags that only the
    server has: these are let through, with a warning that names them, unless they are
    all but one of the job's own.

    Raises:
      ValueError: nobody can have such a flag, its value is wrong, or there is no such
        runner.
    """
    if any(flag.split("=")[0] == "--dry_run" for flag in beam_flags):
        raise ValueError(
            "no flag '--dry_run' here; Beam's is for Dataflow alone, and the job would "
            "be done all the same: only clipmill relabel and clipmill train have one"
        )
    chosen, _ = _parsed(_parser_of([StandardOptions]), beam_flags)
    name: str | None = chosen.runner
    # With its module come the flags of a runner: Beam asks every class that it has.
    runner_class = _imported(name) if name else PipelineRunner
    beam = _parser_of(PipelineOptions.__subclasses__())
    _, unknown = _parsed(beam, beam_flags)
    names = [word.split("=")[0] for word in unknown]
    known = [*own_flags, *beam._option_string_actions]
    is_servers = issubclass(runner_class, PortableRunner)
    for flag in names:
        nearest_own = difflib.get_close_matches(flag, own_flags, 1, _TYPING_ERROR)
        if not is_servers or nearest_own:
            near = dict.fromkeys(difflib.get_close_matches(flag, known, n=3))
            nearest = ", ".join(near) or "none"
            raise ValueError(f"no flag {flag!r} here or in Beam; nearest: {nearest}")
    if names:
        logger.warning(
            "handed on to %s unchecked, for Beam does not list them: %s",
            name,
            ", ".join(flag for flag in names if flag.startswith("-")),
        )


def _parser_of(kinds: Sequence[type[PipelineOptions]]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        add_help=False, allow_abbrev=False, exit_on_error=False
    )
    for kind in kinds:
        kind._add_argparse_args(parser)  # Beam's own --help walks them this way
    return parser


def _parsed(
    parser: argparse.ArgumentParser, beam_flags: Sequence[str]
) -> tuple[argparse.Namespace, list[str]]:
    """Returns the flags that a parser has, and the words that are left."""
    try:
        return parser.parse_known_args(list(beam_flags))
    except argparse.ArgumentError as cause:
        why = cause.message.replace("<lambda> ", "")
        raise ValueError(f"Beam's flag {cause.argument_name}: {why}") from cause


def _path(name: str) -> str:
    """Returns the module and class of a runner, which Beam has under shorter names."""
    return _RUNNERS.get(name.lower()) or _RUNNERS.get(f"{name}runner".lower()) or name


def _imported(name: str) -> type[PipelineRunner]:
    path = _path(name)
    module, _, class_name = path.rpartition(".")
    if path == _DASK_RUNNER and importlib.util.find_spec("distributed") is None:
        raise ValueError(f"--runner={name} needs Dask: pip install '.[dask]'")
    try:
        runner_class: type[PipelineRunner] = getattr(
            importlib.import_module(module), class_name
        )
    except (ImportError, AttributeError, ValueError) as cause:
        names = sorted(path.rpartition(".")[2] for path in _RUNNERS.values())
        raise ValueError(
            f"no runner {name!r} ({cause}); there are {', '.join(names)}, or "
            f"package.module.Class"
        ) from cause
    return runner_class
