import apache_beam as beam
import pytest

from pipelines import running

# What a Flink cluster makes of an error in a task, shortened.
BY_FLINK = """\
java.util.concurrent.ExecutionException: java.lang.RuntimeException: Error received
  File "apache_beam/runners/common.py", line 1514, in process
ShardFailedError: test shard 1: disk full [while running 'Build/Build-7']

\tat org.apache.beam.runners.fnexecution.control.FnApiControlClient.onNext(X.java:180)
\t... 1 more
"""


def refuse(element):
    raise LookupError(f"no {element} here")


class Refused(beam.PTransform):
    def expand(self, pipeline):
        return pipeline | beam.Create(["bread"]) | "Refuse" >> beam.Map(refuse)


class Counted(beam.PTransform):
    def expand(self, pipeline):
        return pipeline | beam.Create([1, 2]) | beam.Map(str)


def test_a_pipeline_runs_to_its_end():
    running.run(Counted(), [], 1)


def test_an_error_in_a_task_is_told_in_its_own_words():
    with pytest.raises(running.PipelineError) as caught:
        running.run(Refused(), [], 1)

    assert str(caught.value).endswith("LookupError: no bread here")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BY_FLINK, "ShardFailedError: test shard 1: disk full"),
        ("no cluster\n  at all \n\n", "at all"),
        ("", "RuntimeError('')"),
    ],
)
def test_of_many_lines_the_one_is_told_that_counts(monkeypatch, text, expected):
    def fail(*args, **kwargs):
        raise RuntimeError(text)

    monkeypatch.setattr(beam, "Pipeline", fail)

    with pytest.raises(running.PipelineError) as caught:
        running.run(Counted(), [], 1)

    assert str(caught.value) == expected
