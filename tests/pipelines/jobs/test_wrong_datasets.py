"""Every job says in one line that its `--dataset` is none, and ends with status 1."""

import tempfile
from pathlib import Path

import pytest

from pipelines import __main__ as command
from pipelines.jobs import (
    browse,
    build,
    fingerprint,
    history,
    prune,
    relabel,
    report,
    rollback,
    verify,
)
from tests import tiny_dataset as tiny

JOBS = {
    "build": build,
    "relabel": relabel,
    "verify": verify,
    "report": report,
    "history": history,
    "rollback": rollback,
    "prune": prune,
    "browse": browse,
    "fingerprint": fingerprint,
}
OTHERS = {"synthesize", "suspects", "checksums"}  # they read none
NO_FOLDER = "no folder, so no data set: it, or what it is in, is a file"
NONE_YET = "no data set here, or none published yet (no CURRENT file)"


@pytest.fixture
def folder():
    """A folder that other users can enter, with annotations and a clip."""
    with tempfile.TemporaryDirectory() as name:
        made = Path(name)
        made.chmod(0o755)
        splits = {"train": {"101": 0}, "validation": {"201": 1}, "test": {"301": -1}}
        tiny.annotate(made / "annotations", splits)
        (made / "clips").mkdir()
        for clip_id in ("101", "201", "301"):
            (made / "clips" / f"{clip_id}.webm").touch()
        (made / "file").touch()
        (made / "empty").mkdir()
        yield made


def flags_of(job, folder, dataset):
    flags = {
        "build": ["--clips", folder / "clips", "--annotations", folder / "annotations"],
        "relabel": ["--annotations", folder / "annotations"],
        "rollback": ["--version", "000001"],
        "prune": ["--keep", "1"],
    }.get(job, [])
    return [*map(str, flags), "--dataset", str(dataset)]


def told(caplog, job):
    """The one thing that is said to be wrong."""
    (message,) = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    beginning = f"{job} failed: "
    assert message.startswith(beginning)
    assert "\n" not in message
    return message.removeprefix(beginning)


def test_every_job_that_reads_a_data_set_is_tried():
    assert {*JOBS, *OTHERS} == command._JOBS.keys()


@pytest.mark.parametrize("place", ["file", "file/below"])
@pytest.mark.parametrize("job", JOBS)
def test_a_file_is_no_data_set(folder, caplog, capsys, job, place):
    status = JOBS[job].main(flags_of(job, folder, folder / place))
    assert (status, capsys.readouterr().out) == (1, "")
    assert told(caplog, job) == f"{folder / place}: {NO_FOLDER}"


@pytest.mark.parametrize("place", ["empty", "nowhere"])
@pytest.mark.parametrize("job", sorted(JOBS.keys() - {"build"}))
def test_a_folder_without_versions_is_no_data_set(folder, caplog, capsys, job, place):
    """To `build` it is one that is yet to be made."""
    status = JOBS[job].main(flags_of(job, folder, folder / place))
    assert (status, capsys.readouterr().out) == (1, "")
    assert told(caplog, job) == f"{folder / place}: " + {
        "history": "no data set here, it has no versions",
    }.get(job, NONE_YET)
    assert not (folder / "nowhere").exists()
    assert list((folder / "empty").iterdir()) == []


@pytest.mark.parametrize("job", JOBS)
def test_a_folder_that_may_not_be_entered_is_told(folder, caplog, capsys, job, request):
    (folder / "closed").mkdir(mode=0)
    request.getfixturevalue("unprivileged")
    status = JOBS[job].main(flags_of(job, folder, folder / "closed"))
    assert (status, capsys.readouterr().out) == (1, "")
    message = told(caplog, job)
    assert "Permission denied" in message
    assert str(folder / "closed") in message


def test_a_data_set_is_not_begun_where_nothing_may_be_written(
    folder, caplog, capsys, request
):
    request.getfixturevalue("unprivileged")
    status = build.main(flags_of("build", folder, folder / "new"))
    assert (status, capsys.readouterr().out) == (1, "")
    assert told(caplog, "build") == f"{folder / 'new'}: Permission denied"


@pytest.mark.parametrize("words", [["history"], ["prune", "--keep", "1"]])
def test_as_a_command_it_is_one_line_and_no_traceback(tools, folder, words):
    done = tools.run_command(*words, "--dataset", folder / "file")
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.endswith(f" {words[0]} failed: {folder / 'file'}: {NO_FOLDER}")
