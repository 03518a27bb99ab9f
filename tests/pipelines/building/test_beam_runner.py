import errno
import os
import tempfile

import apache_beam as beam
import pytest

from pipelines.building import beam_runner, task_errors

# What a Flink cluster makes of an error in a task, shortened.
BY_FLINK = """\
java.util.concurrent.ExecutionException: java.lang.RuntimeException: Error received
  File "apache_beam/runners/common.py", line 1514, in process
shard_plans.ShardFailedError: test shard 1: disk full [while running 'Build/Build-7']

\tat org.apache.beam.runners.fnexecution.control.FnApiControlClient.onNext(X.java:180)
\t... 1 more
"""


def refuse(element):
    raise LookupError(f"no {element} here")


def refuse_in_a_sentence(element):
    with task_errors.worded("shelf 3"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), f"/shop/{element}")


class Refused(beam.PTransform):
    def __init__(self, how=refuse):
        super().__init__()
        self._how = how

    def expand(self, pipeline):
        return pipeline | beam.Create(["bread"]) | "Refuse" >> beam.Map(self._how)


class Counted(beam.PTransform):
    def expand(self, pipeline):
        return pipeline | beam.Create([1, 2]) | beam.Map(str)


def test_a_pipeline_runs_to_its_end():
    beam_runner.run(Counted(), [], 1)


def test_what_a_job_server_leaves_in_the_temporary_folder_is_removed(tmp_path):
    """As Beam's for Flink does, whose folder is made before anything is submitted."""
    flags = ["--runner=FlinkRunner", "--flink_master=127.0.0.1:9"]
    flags += ["--flink_submit_uber_jar", "--flink_job_server_jar=/nothing.jar"]
    before = tempfile.tempdir
    tempfile.tempdir = str(tmp_path)
    try:
        with pytest.raises(Exception, match=r"jar|onnection"):
            beam_runner.run(Counted(), flags, 1)
        assert tempfile.tempdir == str(tmp_path)
    finally:
        tempfile.tempdir = before
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_a_task_is_told_in_its_own_words():
    with pytest.raises(beam_runner.PipelineError) as caught:
        beam_runner.run(Refused(), [], 1)

    assert str(caught.value) == "LookupError: no bread here"


def test_an_error_that_is_a_sentence_is_told_without_its_class():
    with pytest.raises(beam_runner.PipelineError) as caught:
        beam_runner.run(Refused(refuse_in_a_sentence), [], 1)

    assert str(caught.value) == "shelf 3: /shop/bread: No space left on device"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BY_FLINK, "test shard 1: disk full"),
        ("no cluster\n  at all \n\n", "at all"),
        ("", "RuntimeError('')"),
    ],
)
def test_of_many_lines_the_one_is_told_that_counts(monkeypatch, text, expected):
    def fail(*args, **kwargs):
        raise RuntimeError(text)

    monkeypatch.setattr(beam, "Pipeline", fail)

    with pytest.raises(beam_runner.PipelineError) as caught:
        beam_runner.run(Counted(), [], 1)

    assert str(caught.value) == expected
