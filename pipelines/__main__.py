"""`python -m pipelines JOB`: one name for every job."""

import importlib
import sys
from collections.abc import Sequence

from mindrecord_io import interrupts

_JOBS = {
    "synthesize": "make a stand-in for the licensed data set",
    "build": "turn clips and annotations into a published version",
    "relabel": "give the clips of a version other labels, without decoding",
    "verify": "check a version's shards byte by byte",
    "report": "write a page that shows what a version holds",
    "history": "list the versions and what changed from one to the next",
    "rollback": "publish an older version again",
    "prune": "remove old versions and the shards that only they need",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Hands the flags to the job that is named first; returns its exit status."""
    words = sys.argv[1:] if argv is None else list(argv)
    job = words[0] if words else ""
    if job in _JOBS:
        # Imported only now: a job loads what it needs and nothing else.
        from pipelines.jobs import progress

        progress.configure_logging()
        status: int = importlib.import_module(f"pipelines.jobs.{job}").main(words[1:])
        return status
    is_help = job in ("-h", "--help")
    stream = sys.stdout if is_help else sys.stderr
    if job and not is_help:
        print(f"no job {job!r}; the jobs are:", file=stream)
    else:
        print("usage: python -m pipelines JOB [flags]; the jobs are:", file=stream)
    for name, text in _JOBS.items():
        print(f"  {name:<12}{text}", file=stream)
    return 0 if is_help else 2


if __name__ == "__main__":
    interrupts.exit_at_sigint(
        "interrupted: nothing half-done counts, run the same command again to finish"
    )
    sys.exit(main())
