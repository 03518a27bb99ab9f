"""What would run on which host, and what is left of ranks that died."""

import re
import shlex
import sys

import pytest

from eval.running import launch, launch_hosts

JOB = ["--", "train", "--dataset", "d"]


def run(capsys, *words):
    """The lines of a dry run, of one device a host unless another number is given."""
    assert launch.main(["--devices", "1", *words, "--dry_run", *JOB]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    for name in ("SLURM_JOB_NODELIST", "SLURM_NODEID", "VC_WORKER_HOSTS"):
        monkeypatch.delenv(name, raising=False)


def test_one_device_needs_no_msrun(capsys):
    (line,) = run(capsys)
    words = shlex.split(line.partition(": ")[2])
    assert words == [sys.executable, "-P", "-m", "train", "--dataset", "d"]


def test_eight_devices_of_one_host(capsys):
    (line,) = run(capsys, "--devices", "8")
    words = shlex.split(line)
    assert words[1].endswith("/msrun")
    assert words[-6:] == ["python", "-P", "-m", "train", "--dataset", "d"]
    assert "--worker_num=8" in words
    assert "--local_worker_num=8" in words
    assert not any(word.startswith("--node_rank") for word in words)


def test_each_host_has_its_rank_and_the_first_ones_address(capsys):
    lines = run(capsys, "--devices", "8", "--hosts", "10.0.0.1,10.0.0.2")
    assert [line.partition(":")[0] for line in lines] == ["10.0.0.1", "10.0.0.2"]
    for rank, line in enumerate(lines):
        words = shlex.split(line)
        assert f"--node_rank={rank}" in words
        assert {"--worker_num=16", "--master_addr=10.0.0.1"} <= set(words)


def test_slurms_environment_names_hosts_and_rank(monkeypatch, capsys):
    monkeypatch.setenv("SLURM_JOB_NODELIST", "gpu[08-10,12]")
    lines = run(capsys, "--devices", "2")
    names = [line.partition(":")[0] for line in lines]
    assert names == ["gpu08", "gpu09", "gpu10", "gpu12"]
    environment = {"SLURM_JOB_NODELIST": "gpu[08-10,12]", "SLURM_NODEID": "2"}
    assert launch_hosts.choose([], None, environment).own_rank == 2


def test_volcanos_environment_names_hosts_and_rank():
    environment = {"VC_WORKER_HOSTS": "w-0.job,w-1.job", "VC_TASK_INDEX": "1"}
    hosts = launch_hosts.choose([], None, environment)
    assert hosts == launch_hosts.Hosts(("w-0.job", "w-1.job"), 1)


def test_an_indexed_job_gives_the_rank_in_a_list():
    hosts = launch_hosts.choose(["a", "b"], None, {"JOB_COMPLETION_INDEX": "1"})
    assert hosts.own_rank == 1


@pytest.mark.parametrize(
    ("nodelist", "names"),
    [
        ("login", ["login"]),
        ("a,b1", ["a", "b1"]),
        ("n[1-3,007-008],x[2]-ib", ["n1", "n2", "n3", "n007", "n008", "x2-ib"]),
    ],
)
def test_slurms_lists_are_expanded(nodelist, names):
    assert launch_hosts.expand(nodelist) == names


def test_a_hostfile_has_a_host_a_line(tmp_path, capsys):
    path = tmp_path / "hosts"
    path.write_text("a slots=8\n# remark\n\nb # second\n")
    lines = run(capsys, "--hostfile", str(path))
    assert [line.partition(":")[0] for line in lines] == ["a", "b"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*JOB[:1], "build"], "must follow -- and begin with one of"),
        ([], "got 'nothing'|got nothing"),
        (["--hosts", "a,a", *JOB], "each named once, got a, a"),
        (["--hosts", "a,b", "--node_rank", "2", *JOB], r"in \[0, 2\), .*, got 2"),
        (["--hosts", "far-a,far-b", *JOB], "none of far-a, far-b by its name"),
        (["--master_port", "80", *JOB], r"in \[1024, 65535\], got 80"),
    ],
)
def test_what_cannot_be_launched_is_wrong_usage(words, message, capsys):
    with pytest.raises(SystemExit) as ended:
        launch.main(["--devices", "1", *words])
    assert ended.value.code == 2
    assert re.search(message, " ".join(capsys.readouterr().err.split()))


def test_the_last_words_of_each_rank_are_shown(tmp_path, monkeypatch, capsys):
    logs = tmp_path / "host_0"
    logs.mkdir()
    (logs / "worker_0.log").write_text("".join(f"line {n}\n" for n in range(9)))
    (logs / "worker_1.log").write_text("no memory\n\n")
    monkeypatch.setattr(launch, "_run", lambda command: 1)
    assert launch.main(["--devices", "2", "--log_dir", str(tmp_path), *JOB]) == 1
    shown = capsys.readouterr().err.splitlines()
    assert shown[0] == "worker_0.log: line 4"
    assert shown[-2:] == ["worker_0.log: line 8", "worker_1.log: no memory"]


def test_a_job_that_fails_is_a_failure(tmp_path, monkeypatch):
    code = "import sys; sys.exit(int(sys.argv[1]))"
    assert launch._run([sys.executable, "-c", code, "0"]) == 0
    assert launch._run([sys.executable, "-c", code, "7"]) == 1
