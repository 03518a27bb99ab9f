"""Runs a transform on whatever Beam runner was asked for, and says why it failed."""

import contextlib
import re
import tempfile
from collections.abc import Iterator, Sequence

import apache_beam as beam

from pipelines.jobs import build_options

__all__ = ["PipelineError", "run"]

# What a task said is this line, of the hundreds that runners wrap it in: Beam's own
# lines stand before it, those of a cluster's virtual machine after it.
_SAID = re.compile(r"^\s*(.*) \[while running '.*'\]\s*$", re.MULTILINE)


class PipelineError(RuntimeError):
    """A pipeline did not come to its end; the text is what its task said."""


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
    is_local = build_options.is_local(beam_flags)
    try:
        with contextlib.nullcontext() if is_local else _temporary_files_removed():
            flags = build_options.beam_options(beam_flags, num_threads)
            pipeline = beam.Pipeline(options=flags)
            pipeline | transform
            pipeline.run().wait_until_finish()
    except RuntimeError as cause:  # what runners make of an error in a task
        raise PipelineError(_reason(cause)) from cause


@contextlib.contextmanager
def _temporary_files_removed() -> Iterator[None]:
    """Removes all that is made by tempfile in the block: Beam's job servers do not."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="clipmill-") as folder:
        tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = before


def _reason(error: RuntimeError) -> str:
    if said := _SAID.findall(str(error)):
        return str(said[-1]).strip()
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else repr(error)
