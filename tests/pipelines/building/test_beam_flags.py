import importlib.util

import pytest
from apache_beam.options import pipeline_options

from pipelines.building import beam_flags

OWN = ("--dataset", "--num_shards", "--max_quarantined")
PORTABLE = ("--runner=PortableRunner", "--job_endpoint=127.0.0.1:1")
NO_DASK = importlib.util.find_spec("distributed") is None


def refusal(*flags):
    with pytest.raises(ValueError, match=r"^(no|--runner|Beam's)") as caught:
        beam_flags.check(flags, OWN)
    return str(caught.value)


def test_the_local_runner_is_the_default_with_threads_for_the_workers():
    beam = beam_flags.options((), 3)

    assert beam.view_as(pipeline_options.StandardOptions).runner == "FnApiRunner"
    direct = beam.view_as(pipeline_options.DirectOptions)
    assert direct.direct_num_workers == 3
    assert direct.direct_running_mode == "in_memory"
    assert beam_flags.runner(beam) is None


@pytest.mark.parametrize(
    "flags", [("--runner=FlinkRunner",), ("--runner", "FlinkRunner")]
)
def test_a_runner_that_is_named_is_left_alone(flags):
    beam = beam_flags.options((*flags, "--parallelism=6"), 3)

    assert beam.view_as(pipeline_options.StandardOptions).runner == "FlinkRunner"
    assert beam.view_as(pipeline_options.DirectOptions).direct_num_workers == 1
    assert beam_flags.runner(beam) is None  # Beam's own job server: Beam's own runner


def test_flags_of_the_local_runner_are_kept_beside_ours():
    beam = beam_flags.options(("--job_name=nightly",), 2)

    assert beam.get_all_options()["job_name"] == "nightly"
    assert beam.view_as(pipeline_options.StandardOptions).runner == "FnApiRunner"


def test_a_flink_cluster_that_is_handed_a_jar_has_a_runner_of_ours():
    flags = ("--runner=FlinkRunner", "--flink_master=h:1", "--flink_submit_uber_jar")
    runner = beam_flags.runner(beam_flags.options(flags, 1))
    assert type(runner).__name__ == "FlinkSubmission"


@pytest.mark.parametrize(
    "flags",
    [
        (),
        ("--job_name=nightly",),
        ("--runner=DirectRunner", "--direct_num_workers=2"),
        ("--runner", "flink", "--parallelism", "2"),
    ],
)
def test_flags_of_beam_pass_without_a_word(caplog, flags):
    beam_flags.check(flags, OWN)
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("flags", "flag", "nearest"),
    [
        (("--num_shard=3",), "--num_shard", "--num_shards"),
        (("--parallelisms=2",), "--parallelisms", "--parallelism"),
        (("stray",), "stray", "none"),
        (("--runner=FnApiRunner", "--state_backend=x"), "--state_backend", "nearest: "),
        ((*PORTABLE, "--num_shard=3"), "--num_shard", "--num_shards"),
        ((*PORTABLE, "--max_quarantine", "3"), "--max_quarantine", "--max_quarantined"),
    ],
)
def test_a_flag_that_nobody_can_have_is_refused_with_the_nearest(flags, flag, nearest):
    text = refusal(*flags)
    assert text.startswith(f"no flag {flag!r} here or in Beam; nearest: ")
    assert nearest in text


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--parallelism=two",), "--parallelism: invalid int value: 'two'"),
        (("--job_name",), "--job_name: expected one argument"),
        (("--streaming=yes",), "--streaming: ignored explicit argument 'yes'"),
        (("--beam_services=x",), "--beam_services: invalid value: 'x'"),
    ],
)
def test_a_wrong_value_of_beams_flags_is_refused_in_one_sentence(flags, text, capsys):
    assert refusal(*flags) == f"Beam's flag {text}"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("flags", [("--dry_run",), ("--dry_run=true",)])
def test_a_dry_run_that_would_not_be_one_is_refused(flags):
    assert "the job would be done all the same" in refusal(*flags)


def test_flags_that_only_a_job_server_has_pass_with_one_warning(caplog):
    flags = ("--execution_mode_for_batch=BATCH_FORCED", "--max_bundle_size", "1")
    beam_flags.check((*PORTABLE, *flags, "--fasterCopy=true"), OWN)
    (record,) = caplog.records
    assert record.getMessage() == (
        "handed on to PortableRunner unchecked, for Beam does not list them: "
        "--execution_mode_for_batch, --max_bundle_size, --fasterCopy"
    )


@pytest.mark.skipif(NO_DASK, reason="dask is not installed")
@pytest.mark.parametrize(
    "name", ["DaskRunner", "dask", "apache_beam.runners.dask.dask_runner.DaskRunner"]
)
def test_dasks_flags_are_known_with_its_runner(caplog, name):
    flags = (f"--runner={name}", "--dask_client_address=tcp://h:1")
    beam_flags.check(flags, OWN)
    assert caplog.text == ""
    assert "--dask_npartition'" in refusal(*flags, "--dask_npartition=3")
    runner = beam_flags.runner(beam_flags.options(flags, 1))
    assert type(runner).__name__ == "DaskRunner"


def test_without_dask_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert refusal("--runner=DaskRunner").endswith("pip install '.[dask]'")


def test_a_runner_that_there_is_not_is_refused_with_those_there_are():
    text = refusal("--runner=Flonk")
    assert text.startswith("no runner 'Flonk' (")
    assert "DaskRunner" in text
    assert "FlinkRunner" in text
    assert refusal("--runner=no.such.module.Runner").startswith("no runner 'no.such")
