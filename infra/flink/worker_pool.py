"""Beam workers on request, for a Flink cluster on one machine (EXTERNAL environment).

Each worker is a process with this project's Python. Beam's own pool will do where every
TaskManager has a pool to itself, as the containers of a pod do; two TaskManagers that
share one give their workers the same ids, and the first that is done stops the other's
worker. Here a worker ends when the connection to its TaskManager does, and not before.
What workers print goes to standard error: nobody has to read it for them to go on.
"""

import argparse
import logging
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.worker import sdk_worker, worker_pool_main

__all__ = ["WorkerPool", "main"]

logger = logging.getLogger("worker_pool")

_LOG_FORMAT = "%(asctime)s %(process)d %(levelname).1s %(name)s: %(message)s"


class WorkerPool(worker_pool_main.BeamFnExternalWorkerPoolServicer):
    """Starts a process for each request; see above for why it stops none."""

    def StartWorker(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Starts a worker for the TaskManager that asks."""
        endpoint = request.control_endpoint.url
        command = [sys.executable, __file__, "--control", endpoint]
        process = subprocess.Popen(
            [*command, "--worker_id", request.worker_id],
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),
        )
        logger.info("worker %s for %s: %d", request.worker_id, endpoint, process.pid)
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Does nothing: the worker's connection is closed next."""
        return beam_fn_api_pb2.StopWorkerResponse()


def main(argv: Sequence[str] | None = None) -> int:
    """Serves until it is killed, or works for one TaskManager."""
    logging.basicConfig(
        level=logging.INFO, format=_LOG_FORMAT, stream=sys.stderr, force=True
    )
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=50000, help="where to listen")
    parser.add_argument("--control", help=argparse.SUPPRESS)
    parser.add_argument("--worker_id", help=argparse.SUPPRESS)
    flags = parser.parse_args(argv)
    if flags.control:
        return _work(flags.control, flags.worker_id)
    address, server = WorkerPool.start(port=flags.port)
    logger.info("listening at %s", address)
    server.wait_for_termination()
    return 0


def _work(control: str, worker_id: str) -> int:
    """Works until the TaskManager hangs up, or is gone."""
    begin = time.monotonic()
    try:
        sdk_worker.SdkHarness(control, worker_id=worker_id).run()
    except Exception as error:
        logger.warning("worker %s lost its TaskManager: %r", worker_id, error)
        logging.shutdown()
        # A shard may be in the making for a TaskManager that will not ask for it.
        os._exit(1)
    logger.info("worker %s done in %.1f s", worker_id, time.monotonic() - begin)
    return 0


if __name__ == "__main__":
    sys.exit(main())
