"""Beam workers on request, for TaskManagers on the same machine or in the same pod.

Each worker is a process with this project's Python. Whoever reaches the pool can have a
process started that runs whatever its caller sends, without a password: that is what
Beam's EXTERNAL environment is. So the pool listens on the loopback interface, where
Beam's own listens on all of them.

Two TaskManagers that share a pool give their workers the same ids, and with Beam's pool
the first that is done stops the other's worker. Here a worker ends when the connection
to its TaskManager does, and not before. What workers print goes to standard error:
nobody has to read it for them to go on.
"""

import argparse
import logging
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc
from apache_beam.runners.worker import sdk_worker
from apache_beam.utils import thread_pool_executor

__all__ = ["WorkerPool", "main", "serve"]

logger = logging.getLogger("worker_pool")

_LOG_FORMAT = "%(asctime)s %(process)d %(levelname).1s %(name)s: %(message)s"


class WorkerPool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
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


def serve(host: str, port: int) -> grpc.Server:
    """Starts a pool that listens at one address.

    Raises:
      RuntimeError: the address cannot be had.
    """
    pings = ("grpc.http2.max_pings_without_data", "grpc.http2.max_ping_strikes")
    server = grpc.server(
        thread_pool_executor.shared_unbounded_instance(),
        options=[(name, 0) for name in pings],  # as many as a TaskManager likes
    )
    server.add_insecure_port(f"{host}:{port}")
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(
        WorkerPool(), server
    )
    server.start()
    return server


def main(argv: Sequence[str] | None = None) -> int:
    """Serves until it is killed, or works for one TaskManager."""
    logging.basicConfig(
        level=logging.INFO, format=_LOG_FORMAT, stream=sys.stderr, force=True
    )
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen at; who reaches it can run any code as this user",
    )
    parser.add_argument("--port", type=int, default=50000, help="where to listen")
    parser.add_argument("--control", help=argparse.SUPPRESS)
    parser.add_argument("--worker_id", help=argparse.SUPPRESS)
    flags = parser.parse_args(argv)
    if flags.control:
        return _work(flags.control, flags.worker_id)
    server = serve(flags.host, flags.port)
    logger.info("listening at %s:%d", flags.host, flags.port)
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
