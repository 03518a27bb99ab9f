"""Refuses what is not there before MindSpore is loaded, which takes seconds."""

import argparse
from pathlib import Path

from mindrecord_io.commands import command_line

__all__ = ["refuse_absent"]


def refuse_absent(job: str, flags: argparse.Namespace) -> int:
    """Checks that a job's data set and checkpoint are there, if they are local.

    Args:
      flags: of the job; `dataset`, `version` and `checkpoint` are looked at.

    Returns:
      0; 1 if one is not there: then a line is logged.
    """

    def check() -> None:
        dataset = getattr(flags, "dataset", None)
        if isinstance(dataset, Path):
            # Not before a wrong flag was answered: it loads pyarrow.
            from mindrecord_io.versions import opening

            opening.open_version(dataset, flags.version)
        checkpoint = getattr(flags, "checkpoint", None)
        if isinstance(checkpoint, Path) and not checkpoint.exists():
            raise FileNotFoundError(f"there is no checkpoint {checkpoint}")

    return command_line.run(job, check)
