"""Two processes that train together, started by msrun, against one alone."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from eval import config, evaluate, job
from model import checkpoint, tsm
from train.checkpoints import Checkpoints

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("ranks_program.py")


def free_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def msrun(logs, *words, **popen):
    """Starts two workers; what they write goes to files in `logs` and to the output."""
    command = [
        *(sys.executable, "-m", "mindspore.parallel.cluster.run"),
        *("--worker_num=2", "--local_worker_num=2", "--join=True"),
        *(f"--master_port={free_port()}", f"--log_dir={logs}", "--tail_worker_log=-1"),
        *("python", *map(str, words)),
    ]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=os.environ | {"PATH": path, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **popen,
    )


def train_together(folder, *pairs):
    folder.mkdir()
    process = msrun(folder / "logs", PROGRAM, folder, *pairs)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return [np.load(folder / f"rank{rank}of2.npz") for rank in (0, 1)]


def train_alone(folder, *pairs):
    folder.mkdir(exist_ok=True)
    subprocess.run(
        [sys.executable, PROGRAM, folder, *pairs],
        check=True,
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
    )
    return np.load(folder / "rank0of1.npz")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ranks") / "together"


@pytest.fixture(scope="module")
def together(folder):
    return train_together(folder, "sync_norm=true")


def assert_close(weights, others):
    for name in weights.files:
        if name.startswith(("base_model.", "new_fc.")):
            difference = np.abs(weights[name] - others[name]).max()
            assert difference < 1e-5, (name, difference)


@pytest.mark.slow
def test_two_ranks_train_to_the_weights_of_one(together, tmp_path):
    """After 20 steps, of a batch of 4 clips: 2 and 2 against 4, with dropout."""
    alone = train_alone(tmp_path / "alone")
    assert len(alone["hashes"]) == 20
    assert_close(together[0], alone)


@pytest.mark.slow
def test_all_ranks_have_the_same_weights_after_every_step(together):
    first, second = together
    assert len(set(first["hashes"])) == 20
    assert first["hashes"].tolist() == second["hashes"].tolist()
    for name in set(first.files) - {"own"}:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


@pytest.mark.slow
def test_one_rank_goes_on_where_two_have_stopped(together, folder, tmp_path):
    begun = folder / "run/checkpoints/step-00000012"
    shutil.copytree(begun, tmp_path / "alone/run/checkpoints" / begun.name)
    shutil.copy(folder / "run/config.json", tmp_path / "alone/run")
    alone = train_alone(tmp_path / "alone")
    assert len(alone["hashes"]) == 8
    assert_close(together[0], alone)


@pytest.mark.slow
def test_sums_means_and_first_values_are_over_all_ranks(together):
    for rank, actual in enumerate(together):
        assert actual["own"].tolist() == [rank + 1.0, 10.0]
        assert actual["summed"].tolist() == [3.0, 20.0]
        assert actual["average"].tolist() == [1.5, 10.0]
        assert actual["equalised"].tolist() == [1.0, 10.0]


CONFIG = """
model: {arch: resnet18, width: 4, num_segments: 2, shift_div: 4}
evaluation: {crop_px: 32, resize_px: 32, eval_batch_size: 3}
training: {epochs: 500, batch_size: 2, learning_rate: 0.01, keep_checkpoints: 500}
"""


@pytest.mark.slow
def test_a_rank_that_dies_ends_the_job_with_its_reason(published_version, tmp_path):
    """Started by `clipmill launch`, which shows the last lines of every rank."""
    (tmp_path / "run.yaml").write_text(CONFIG)
    words = ["launch", "--devices", 2, "--log_dir", tmp_path / "logs"]
    words += ["--master_port", free_port(), "--", "train"]
    words += ["--config_path", tmp_path / "run.yaml"]
    words += ["--dataset", published_version.dataset, "--output", tmp_path / "output"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines", *map(str, words)],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        while not (tmp_path / "output/checkpoints/step-00000003").exists():
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.01)
        (worker,) = workers_of(launcher_of(process.pid), rank=1)
        began = time.monotonic()
        os.kill(worker, signal.SIGKILL)
        output, _ = process.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)  # msrun ends its workers then
    assert process.returncode != 0
    assert f"Worker process {worker} exit with exception. Error code: -9." in output
    assert time.monotonic() - began < 60
    last = [line.partition(": ")[0] for line in output.splitlines()[-10:]]
    assert last == ["worker_0.log"] * 5 + ["worker_1.log"] * 5
    check_evaluation(published_version, tmp_path / "output")


def check_evaluation(version, output):
    """What two ranks found at the end of the first epoch is what one finds."""
    step = Checkpoints(output / "checkpoints").steps()[0]
    line = json.loads((output / "metrics.jsonl").read_text().splitlines()[0])
    path = output / f"checkpoints/step-{step:08d}/network.ckpt"
    network, facts = checkpoint.load(path)
    assert (line["step"], line["top1"]) == (step, facts["top1"])
    config.use_graph_mode()
    evaluation = job.evaluate_split(
        evaluate.make_predict(network),
        network.config,
        config.EvalConfig(crop_px=32, resize_px=32, eval_batch_size=3),
        version=version,
        split="validation",
    )
    assert evaluation.num_clips == line["num_clips"] == 4
    assert (evaluation.top_k.top1, evaluation.top_k.top5) == (line["top1"], 1.0)


@pytest.mark.slow
def test_two_ranks_score_what_one_scores(published_version, tmp_path):
    """The command itself: the first rank alone tells the result and writes files."""
    (tmp_path / "run.yaml").write_text(CONFIG)
    network = tsm.TSM(
        tsm.TSMConfig(
            num_classes=3, arch="resnet18", width=4, num_segments=2, shift_div=4
        )
    )
    checkpoint.save(network, tmp_path / "best.ckpt", {})
    words = [
        *("-m", "eval", "--config_path", tmp_path / "run.yaml"),
        *("--dataset", published_version.dataset, "--split", "train"),
        *("--checkpoint", tmp_path / "best.ckpt", "--output"),
    ]
    alone = subprocess.run(
        [sys.executable, *map(str, words), str(tmp_path / "alone.parquet")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert alone.returncode == 0, alone.stderr
    process = msrun(tmp_path / "logs", *words, tmp_path / "ranks.parquet")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    lines = [line for line in output.splitlines() if '"num_labelled"' in line]
    assert len(lines) == 1
    results = [json.loads(text[text.index("{") :]) for text in (*lines, alone.stdout)]
    for key in ("num_clips", "num_labelled", "top1", "top5", "mean_class_accuracy"):
        assert results[0][key] == results[1][key]
    assert results[0]["num_clips"] == 7
    tables = [
        parquet.read_table(tmp_path / f"{name}.parquet").to_pylist()
        for name in ("ranks", "alone")
    ]
    for row, other in zip(*tables, strict=True):
        probabilities = row.pop("top_probabilities"), other.pop("top_probabilities")
        np.testing.assert_allclose(*probabilities, atol=1e-5)
        assert row == other


def launcher_of(parent):
    """The process id of the msrun that a process has started."""
    children = (
        Path("/proc") / str(parent) / "task" / str(parent) / "children"
    ).read_text()
    (child,) = children.split()
    return int(child)


def workers_of(parent, rank):
    """The process ids of msrun's worker of a rank."""
    actual = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            environment = (path / "environ").read_bytes().split(b"\0")
            is_worker = {b"MS_ROLE=MS_WORKER", b"RANK_ID=%d" % rank} <= {*environment}
            is_python = (path / "cmdline").read_bytes().startswith(b"python")
            if int(fields[1]) == parent and is_worker and is_python:
                actual.append(int(path.name))
    return actual
