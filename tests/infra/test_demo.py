import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def demo():
    """The demo as a module: it is a program, of no package."""
    spec = importlib.util.spec_from_file_location("demo", REPOSITORY / "infra/demo.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_command_gives_the_last_line_of_its_output(demo):
    code = "print('first'); print('{\"version\": \"000001\"}')"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)

    assert demo.result_of(process) == {"version": "000001"}


def test_a_command_that_fails_stops_the_demo_with_its_name(demo, capfd, tmp_path):
    with pytest.raises(
        demo.DemoError, match=r"exit status 1: python -m pipelines history --dataset"
    ):
        demo.run_command("pipelines", "history", "--dataset", tmp_path)

    assert "no data set here" in capfd.readouterr().err


def test_what_is_trained_already_is_not_trained_again(demo, tmp_path):
    demo.result_path(tmp_path).write_text(json.dumps({"best_checkpoint": "best.ckpt"}))

    process = demo.start_training(tmp_path, tmp_path)

    assert process is None
    assert demo.finish_training(process, tmp_path) == Path("best.ckpt")


@pytest.mark.parametrize("has_checkpoint", [False, True])
def test_an_interrupted_training_goes_on_from_its_checkpoint_if_it_has_one(
    demo, tmp_path, monkeypatch, has_checkpoint
):
    folder = tmp_path / "tsm-000001"
    (folder / "checkpoints").mkdir(parents=True)
    if has_checkpoint:
        (folder / "checkpoints/step-00000004").mkdir()
    started = []
    monkeypatch.setattr(
        demo, "start_command", lambda *words, log, cores: started.append(words)
    )

    demo.start_training(tmp_path, folder, "--shift_place", "none")

    assert folder.exists() == has_checkpoint
    assert started[0][0] == "train"
    flags = ("--shift_place", "none", *(["--resume"] if has_checkpoint else []))
    assert started[0][started[0].index(folder) + 1 :] == flags


def test_the_table_names_where_everything_lies(demo, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(
        demo, "demonstrate", lambda *args, **flags: [("clips", "3"), ("in", "x")]
    )

    monkeypatch.setattr(
        demo, "commands_to_try", lambda workdir, seed: ["one", "another"]
    )

    assert demo.main(["--workdir", str(tmp_path)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[:2] == ["clips    3", "in       x"]
    assert re.fullmatch(r"seconds  \d+", shown[2])


def test_a_failure_is_exit_status_1(demo, monkeypatch, tmp_path):
    def fail(workdir, num_clips, *, has_online, seed):
        raise demo.DemoError("exit status 3: python -m train")

    monkeypatch.setattr(demo, "demonstrate", fail)

    assert demo.main(["--workdir", str(tmp_path)]) == 1


def test_a_command_runs_on_the_cores_it_gets(demo, monkeypatch):
    core = min(os.sched_getaffinity(0))
    code = (
        "import json, os; print(json.dumps({'cores': list(os.sched_getaffinity(0))}))"
    )
    monkeypatch.setattr(
        demo.subprocess,
        "Popen",
        lambda command, _start=subprocess.Popen, **rest: _start(
            [sys.executable, "-c", code], **rest
        ),
    )

    process = demo.start_command("train", cores=[core])

    assert demo.result_of(process) == {"cores": [core]}


@pytest.mark.parametrize(
    ("has_online", "names"),
    [(False, ["TSM", "unshifted"]), (True, ["TSM", "unshifted", "online TSM"])],
)
def test_every_network_is_trained_with_its_flags_and_measured_without(
    demo, monkeypatch, tmp_path, has_online, names
):
    built = {"num_clips": 3, "num_frames": 9, "shards": {"decoded": 0}, "damaged": []}
    answers = built | {"version": "000001", "report": "x", "top1": 0.5, "top5": 1.0}
    trained, measured = {}, {}

    def start_evaluation(*words, log, cores):
        path = words[words.index("--checkpoint") + 1]
        measured[Path(path).parent.name] = words[words.index(path) + 1 :]

    def start(dataset, folder, *flags, log=None, cores=()):
        trained[folder.name] = flags

    monkeypatch.setattr(demo, "run_command", lambda *words: answers)
    monkeypatch.setattr(demo, "start_command", start_evaluation)
    monkeypatch.setattr(demo, "result_of", lambda process: answers)
    monkeypatch.setattr(demo, "start_training", start)
    monkeypatch.setattr(
        demo, "finish_training", lambda process, folder: folder / "best.ckpt"
    )

    rows = demo.demonstrate(tmp_path, 3, has_online=has_online, seed=7)

    scored = [name for name, _ in rows if name.endswith(": top-1, top-5")]
    assert scored == [f"{name}: top-1, top-5" for name in names]
    expected = {
        "tsm-000001-seed7": ("--seed", "7"),
        "unshifted-000001-seed7": ("--shift_place", "none", "--seed", "7"),
        "online-000001-seed7": ("--shift_mode", "online", "--seed", "7"),
    }
    assert trained == dict(list(expected.items())[: len(names)])
    assert measured == dict.fromkeys(trained, ())


def test_the_commands_to_try_are_ones_that_there_are(demo, tmp_path):
    labels = tmp_path / "dataset" / "versions" / "000002" / "labels"
    labels.mkdir(parents=True)
    (tmp_path / "dataset" / "CURRENT").write_text("000002\n")
    (labels / "val_videofolder.txt").write_text("17 40 3\n18 41 2")

    commands = demo.commands_to_try(tmp_path, 1)

    assert commands[0].endswith(" --clip_id 17")
    program = REPOSITORY / "tests" / "documented_commands.py"
    lines = [shlex.join(["clipmill", *shlex.split(line)[1:]]) for line in commands]
    answer = subprocess.run(
        [sys.executable, program],
        input=json.dumps(lines),
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    ).stdout
    assert json.loads(answer.splitlines()[-1]) == ["", ""]


def test_the_first_line_comes_within_two_seconds(tmp_path):
    command = [sys.executable, REPOSITORY / "infra" / "demo.py", "--num_clips", "0"]
    begin = os.times()
    with subprocess.Popen(
        [*command, "--workdir", tmp_path / "demo"], stderr=subprocess.PIPE, text=True
    ) as process:
        first = process.stderr.readline()
        process.kill()
    end = os.times()

    assert "drawing 0 clips" in first
    assert end.children_user + end.children_system < (
        begin.children_user + begin.children_system + 2
    )
