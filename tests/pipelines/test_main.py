import pytest

from pipelines import __main__ as command


@pytest.mark.parametrize("words", [["-h"], ["--help"]])
def test_help_lists_the_jobs_on_standard_output(capsys, words):
    status = command.main(words)

    captured = capsys.readouterr()
    assert status == 0
    assert captured.err == ""
    assert captured.out.startswith("usage: clipmill JOB [flags]; the jobs")
    for job in ("synthesize", "build", "relabel", "verify", "train", "eval"):
        assert f"\n  {job} " in captured.out


def test_no_job_is_wrong_usage(capsys):
    status = command.main([])

    captured = capsys.readouterr()
    assert status == 2
    assert captured.out == ""
    assert captured.err.startswith("usage: clipmill JOB [flags]")


@pytest.mark.parametrize("word", ["biuld", "--clips", "BUILD", "os", "__main__"])
def test_an_unknown_job_is_wrong_usage_and_the_jobs_are_named(capsys, word):
    status = command.main([word, "--clips", "c"])

    captured = capsys.readouterr()
    assert status == 2
    assert captured.out == ""
    assert captured.err.startswith(f"no job {word!r}; the jobs are:\n")
    assert "  build " in captured.err


@pytest.mark.parametrize("job", command._JOBS)
def test_every_job_that_is_named_exists_and_explains_itself(capsys, job):
    with pytest.raises(SystemExit) as caught:
        command.main([job, "--help"])

    captured = capsys.readouterr()
    assert caught.value.code == 0
    assert captured.err == ""
    assert captured.out.startswith(f"usage: clipmill {job} ")
    assert "--dataset" in captured.out or "--output" in captured.out


def test_flags_reach_the_job_and_its_status_the_shell(tools):
    wrong = tools.run_command("build", "--clips", "c", "--datset", "d")
    failed = tools.run_command(
        *("build", "--clips", "/no/clips", "--annotations", "/no/annotations"),
        *("--dataset", "/no/dataset"),
    )

    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "required: --annotations, --dataset" in wrong.stderr
    assert wrong.stderr.endswith("; did you mean --dataset for --datset?\n")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.endswith(
        "E clipmill: build failed: /no/annotations: cannot list the folder "
        "of annotations: No such file or directory\n"
    )


def test_corrections_take_the_place_of_annotations(tmp_path, caplog):
    corrections = tmp_path / "corrections.tsv"
    corrections.write_text("clip_id\tlabel\n")
    words = ["--corrections", str(corrections), "--dataset", str(tmp_path / "none")]
    assert command.main(["relabel", *words]) == 1
    assert "relabel failed: " in caplog.text
