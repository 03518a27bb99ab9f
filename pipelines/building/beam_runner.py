"""Runs a transform on whatever runner the flags choose, and can stop it again."""

import contextlib
import functools
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import apache_beam as beam
from apache_beam.runners.runner import PipelineResult

from mindrecord_io import interrupts
from mindrecord_io.storage import files
from pipelines.building import beam_flags

__all__ = ["PipelineError", "run"]

# A task's error is this line among the hundreds that runners wrap it in: Beam's own
# lines stand before it, those of a cluster's virtual machine after it. Of an error that
# is a sentence already (see task_errors) the class says nothing more.
_TASK_ERROR = re.compile(
    r"^\s*(?:(?:\w+\.)*ShardFailedError: )?(.*) \[while running '.*'\]\s*$",
    re.MULTILINE,
)
_CANCELLED = "failed in state CANCELLED"  # what Beam calls a job that somebody ended
_WORKERS_END_SECONDS = 2  # their own children notice within one


class PipelineError(RuntimeError):
    """A pipeline did not come to its end; the text is the error of its task."""


def run(
    transform: beam.PTransform, flags: Sequence[str], num_threads: int
) -> PipelineResult:
    """Runs a pipeline of one transform to its end; returns Beam's word of it.

    A signal that ends this process cancels the job, wherever it runs.

    Args:
      flags: Beam's, and the engine's.
      num_threads: of the local runner.

    Raises:
      PipelineError: a task failed, more often than the runner tries again, or the
        runner itself did.
    """
    try:
        is_local = beam_flags.is_local(flags)
        with contextlib.nullcontext() if is_local else _temporary_files_removed():
            options = beam_flags.options(flags, num_threads)
            pipeline = beam.Pipeline(beam_flags.runner(options), options)
            pipeline | transform
            result = pipeline.run()
            with interrupts.cleaned_up(functools.partial(_stop, result)):
                result.wait_until_finish()
            return result
    except Exception as cause:  # the local runner hands on whatever a task raised
        raise PipelineError(_reason(cause)) from cause


def _stop(result: PipelineResult) -> None:
    """Cancels a job, and lets the processes that worked for it end."""
    result.cancel()
    time.sleep(_WORKERS_END_SECONDS)


@contextlib.contextmanager
def _temporary_files_removed() -> Iterator[None]:
    """Removes all files that tempfile makes in the block; Beam's job servers do not."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="clipmill-") as folder:
        tempfile.tempdir = folder
        remove = functools.partial(files.remove_folder, Path(folder))
        try:
            with interrupts.cleaned_up(remove):
                yield
        finally:
            tempfile.tempdir = before


def _reason(error: Exception) -> str:
    if errors := _TASK_ERROR.findall(f"{type(error).__name__}: {error}"):
        return str(errors[-1]).strip()
    if _CANCELLED in str(error):
        return "the job was cancelled on its cluster; nothing is published"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else repr(error)
