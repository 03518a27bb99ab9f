"""Reads the flags of Beam, and runs a transform on the runner that they choose."""

import argparse
import contextlib
import difflib
import re
import tempfile
from collections.abc import Iterator, Sequence

import apache_beam as beam
from apache_beam.options import pipeline_options

__all__ = ["PipelineError", "beam_options", "is_local", "refuse_unknown", "run"]

_LOCAL_RUNNER = "FnApiRunner"  # DirectRunner tries to download another runner first

# A task's error is this line among the hundreds that runners wrap it in: Beam's own
# lines stand before it, those of a cluster's virtual machine after it.
_TASK_ERROR = re.compile(r"^\s*(.*) \[while running '.*'\]\s*$", re.MULTILINE)


class PipelineError(RuntimeError):
    """A pipeline did not come to its end; the text is the error of its task."""


def run(
    transform: beam.PTransform, beam_flags: Sequence[str], num_threads: int
) -> None:
    """Runs a pipeline of one transform to its end.

    Args:
      num_threads: of the local runner.

    Raises:
      PipelineError: a task failed, more often than the runner tries again, or the
        runner itself did.
    """
    try:
        local = is_local(beam_flags)
        with contextlib.nullcontext() if local else _temporary_files_removed():
            flags = beam_options(beam_flags, num_threads)
            pipeline = beam.Pipeline(options=flags)
            pipeline | transform
            pipeline.run().wait_until_finish()
    except Exception as cause:  # the local runner hands on whatever a task raised
        raise PipelineError(_reason(cause)) from cause


def beam_options(
    beam_flags: Sequence[str], num_threads: int
) -> pipeline_options.PipelineOptions:
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


def is_local(beam_flags: Sequence[str]) -> bool:
    """Returns whether the flags leave the choice of the runner to us."""
    return not any(flag.split("=")[0] == "--runner" for flag in beam_flags)


def refuse_unknown(flags: Sequence[str], own_flags: Sequence[str]) -> None:
    """Raises ValueError for a flag that Beam does not have.

    Args:
      own_flags: the flags of the job, which may be nearest to it as well.
    """
    beam = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for options in pipeline_options.PipelineOptions.__subclasses__():
        options._add_argparse_args(beam)  # Beam's own --help walks them this way
    _, unknown = beam.parse_known_args(list(flags))
    for flag in unknown:
        name = flag.split("=")[0]
        names = [*own_flags, *beam._option_string_actions]
        near = difflib.get_close_matches(name, names, n=3)
        raise ValueError(f"no flag {name!r} here or in Beam; nearest: {near}")


@contextlib.contextmanager
def _temporary_files_removed() -> Iterator[None]:
    """Removes all files that tempfile makes in the block; Beam's job servers do not."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="clipmill-") as folder:
        tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = before


def _reason(error: RuntimeError) -> str:
    if errors := _TASK_ERROR.findall(str(error)):
        return str(errors[-1]).strip()
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else repr(error)
