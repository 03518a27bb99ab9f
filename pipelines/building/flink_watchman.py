"""Cancels a job on a Flink cluster once the process that submitted it is gone.

Runs as a process of its own, for the submitter may be killed: it reads its standard
input, whose other end only the submitter has. When that ends without a word the job is
cancelled and the jar that the cluster holds for it is removed. It imports little, so
that it costs little to have around: nothing but Python's own.
"""

import contextlib
import json
import sys
import time
import urllib.error
import urllib.request
from typing import Any

__all__ = ["DISMISSED", "cancel", "main", "pause"]

DISMISSED = b"dismissed"
"""What the submitter writes when the job has ended."""

_POLL_SECONDS = 2.0
_REQUEST_SECONDS = 10.0
_CANCEL_SECONDS = 30.0
_NUM_TRIES = 12
_TRY_AGAIN_SECONDS = 5.0
_ENDED = ("CANCELED", "FAILED", "FINISHED")


def pause() -> None:
    """Waits until a job is to be looked at again."""
    time.sleep(_POLL_SECONDS)


def cancel(cluster: str, job: str, jar: str) -> None:
    """Ends a job, waits for the end of its tasks and removes its jar.

    Args:
      cluster: URL of the JobManager's REST server.
      jar: the name under which the cluster holds the jar.

    Raises:
      OSError: the cluster does not answer, or not that the job has ended.
    """
    with contextlib.suppress(urllib.error.HTTPError):  # it has ended already
        _ask(f"{cluster}/v1/jobs/{job}?mode=cancel", "PATCH")
    deadline = time.monotonic() + _CANCEL_SECONDS
    while (state := _ask(f"{cluster}/v1/jobs/{job}", "GET")["state"]) not in _ENDED:
        if time.monotonic() > deadline:
            raise TimeoutError(f"job {job} is {state} {_CANCEL_SECONDS:g} s after that")
        time.sleep(0.2)
    with contextlib.suppress(urllib.error.HTTPError):  # whoever saw the end removed it
        _ask(f"{cluster}/v1/jars/{jar}", "DELETE")


def main() -> int:
    """Waits for the end of the submitter, or for its word that the job has ended."""
    if sys.stdin.buffer.read() == DISMISSED:
        return 0
    cluster, job, jar = sys.argv[1:]
    for _ in range(_NUM_TRIES):
        try:
            cancel(cluster, job, jar)
            return 0
        except OSError as cause:
            error = cause
            time.sleep(_TRY_AGAIN_SECONDS)
    sys.stderr.write(f"job {job} may go on at {cluster}, cancel it there: {error}\n")
    return 1


def _ask(url: str, method: str) -> dict[str, Any]:
    # The URL is the one that the user named the cluster by.
    request = urllib.request.Request(url, method=method)  # noqa: S310
    with urllib.request.urlopen(request, timeout=_REQUEST_SECONDS) as answer:  # noqa: S310
        content = answer.read()
    fields: dict[str, Any] = json.loads(content) if content else {}
    return fields


if __name__ == "__main__":
    sys.exit(main())
