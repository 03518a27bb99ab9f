"""Submits jobs to a Flink cluster as Beam's FlinkRunner does, and can end them again.

Beam's own submission of a jar that holds the pipeline has four faults. Its cancellation
asks for an address that Flink does not have; it looks at a job's state less and less
often, in the end once a minute; its artifact server listens on every network; and its
job goes on when whoever submitted it is gone. The last is what the watchman is for: see
`flink_watchman`.
"""

import subprocess
import sys
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
from apache_beam.options import pipeline_options
from apache_beam.portability.api import beam_artifact_api_pb2_grpc, endpoints_pb2
from apache_beam.runners.portability import (
    abstract_job_service,
    artifact_service,
    flink_runner,
    flink_uber_jar_job_server,
)

from pipelines.building import flink_watchman

__all__ = ["FlinkSubmission", "is_for"]


def is_for(options: pipeline_options.PipelineOptions) -> bool:
    """Returns whether the options name a cluster that is handed a jar."""
    flink = options.view_as(pipeline_options.FlinkRunnerOptions)
    runner = options.view_as(pipeline_options.StandardOptions).runner or ""
    return (
        runner.rpartition(".")[2].lower() in ("flinkrunner", "flink")
        and flink.flink_submit_uber_jar
        and flink.flink_master not in flink_runner.MAGIC_HOST_NAMES
    )


class FlinkSubmission(flink_runner.FlinkRunner):
    """Beam's FlinkRunner with the jobs below; see `is_for`."""

    def default_job_server(self, options: pipeline_options.PipelineOptions) -> Any:
        """Returns what takes jobs for the cluster that the options name."""
        flink = options.view_as(pipeline_options.FlinkRunnerOptions)
        master = self.add_http_scheme(flink.flink_master)
        flink.flink_master = "[auto]"  # for the cluster's own half, which is there
        return _JobServer(master, options)


class _JobServer(flink_uber_jar_job_server.FlinkUberJarJobServer):
    def create_beam_job(
        self, job_id: str, job_name: str, pipeline: Any, options: Any
    ) -> "_Job":
        jar = self.executable_jar()
        return _Job(self._master_url, jar, job_id, job_name, pipeline, options)


class _Job(flink_uber_jar_job_server.FlinkBeamJob):
    """One job on a cluster; ends with this process unless it has ended before."""

    _watchman: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        super().run()
        words = [self._master_url, self._flink_job_id, self._flink_jar_id]
        self._watchman = subprocess.Popen(
            [sys.executable, flink_watchman.__file__, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def cancel(self) -> None:
        """Ends the job and removes its jar; returns when no task of it runs."""
        flink_watchman.cancel(self._master_url, self._flink_job_id, self._flink_jar_id)
        self._dismiss()

    def get_state_stream(self) -> Iterator[Any]:
        for state in self.with_state_history(self._states()):
            yield state
            if self.is_terminal_state(state[0]):
                self._dismiss()
                return

    def _states(self) -> Iterator[Any]:
        while True:
            yield self.get_state()
            flink_watchman.pause()

    def _dismiss(self) -> None:
        if self._watchman is not None and self._watchman.stdin is not None:
            self._watchman.communicate(flink_watchman.DISMISSED)
            self._watchman = None

    def _start_artifact_service(self, jar: str, requested_port: int) -> int:
        self._artifact_manager = abstract_job_service.JarArtifactManager(
            jar, self.ARTIFACT_FOLDER
        )
        service = artifact_service.ArtifactStagingService(
            self._artifact_manager.file_writer
        )
        environments = self._pipeline_proto.components.environments
        wanted = {name: env.dependencies for name, env in environments.items()}
        service.register_job(self._job_id, wanted)
        server = grpc.server(futures.ThreadPoolExecutor())
        port: int = server.add_insecure_port(f"127.0.0.1:{requested_port}")
        beam_artifact_api_pb2_grpc.add_ArtifactStagingServiceServicer_to_server(
            service, server
        )
        server.start()
        self._artifact_staging_service, self._artifact_staging_server = service, server
        self._artifact_staging_endpoint = endpoints_pb2.ApiServiceDescriptor(
            url=f"127.0.0.1:{port}"
        )
        return port
