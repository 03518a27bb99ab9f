"""Checkpoints as files: whole or not there, and damage told by name."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import mindspore
import numpy as np
import pytest
from mindspore import Parameter, Tensor

from model import checkpoint
from model.checkpoint import CheckpointError
from model.tsm import TSM, TSMConfig
from train.checkpoints import Checkpoints

CONFIG = TSMConfig(num_classes=2, arch="resnet18", width=4, num_segments=2, shift_div=4)


def tensors(value):
    return {
        "accum.weight": Parameter(Tensor(np.full(3, value, np.float32)), name="a"),
        "global_step": Parameter(Tensor(np.array([value], np.int32)), name="s"),
    }


def network(value):
    made = TSM(CONFIG)
    made.new_fc.bias.set_data(Tensor(np.full(2, value, np.float32)))
    return made


def save(checkpoints, step, num_kept=9):
    facts = {"step": step, "progress": {"sum_loss": 0.1 + step}}
    return checkpoints.save(
        network(step), tensors(step), facts, step=step, num_kept=num_kept
    )


@pytest.fixture(scope="module")
def _saved(tmp_path_factory):
    checkpoints = Checkpoints(tmp_path_factory.mktemp("run") / "checkpoints")
    for step in (10, 20, 30):
        save(checkpoints, step)
    return checkpoints


@pytest.fixture
def saved(_saved, tmp_path):
    """Three checkpoints, to damage."""
    for path in _saved.folder.rglob("*.*"):
        copy = tmp_path / path.relative_to(_saved.folder)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
    return Checkpoints(tmp_path)


def test_a_checkpoint_brings_back_network_optimizer_and_facts(saved):
    into, others = network(0), tensors(0)
    facts = saved.restore(20, into, others)
    assert facts == {"step": 20, "progress": {"sum_loss": 20.1}}
    assert into.new_fc.bias.asnumpy().tolist() == [20.0, 20.0]
    assert others["accum.weight"].asnumpy().tolist() == [20.0] * 3
    assert others["global_step"].asnumpy().tolist() == [20]
    assert others["global_step"].dtype == mindspore.int32


def test_only_the_newest_stay(saved):
    path = save(saved, 40, num_kept=2)
    assert path == saved.folder / "step-00000040"
    assert saved.steps() == [30, 40]
    assert sorted(p.name for p in saved.folder.iterdir()) == [
        "step-00000030",
        "step-00000040",
    ]


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_ones(saved, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mindspore, "save_checkpoint", fail)
    with pytest.raises(OSError, match="No space left"):
        save(saved, 40, num_kept=1)
    assert sorted(p.name for p in saved.folder.iterdir()) == [
        f"step-000000{step}" for step in (10, 20, 30)
    ]


def test_later_ones_are_removed_where_they_will_be_made_again(saved):
    saved.remove_later(20)
    assert saved.steps() == [10, 20]


def test_no_folder_has_no_checkpoints(tmp_path):
    assert Checkpoints(tmp_path / "none").steps() == []


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("damage", "name"),
    [
        (flip, "network.ckpt"),
        (cut, "network.ckpt"),
        (Path.unlink, "network.ckpt"),
        (flip, "training.ckpt"),
        (cut, "training.ckpt"),
        (Path.unlink, "training.ckpt"),
        (Path.unlink, "checkpoint.json"),
    ],
)
def test_a_damaged_one_is_refused_by_name_with_the_next_good_one(saved, damage, name):
    path = saved.path_of(30)
    damage(path / name)
    flip(saved.path_of(20) / "training.ckpt")
    with pytest.raises(CheckpointError) as caught:
        saved.restore(30, network(0), tensors(0))
    message = str(caught.value)
    assert message.startswith(f"{path} is damaged: ")
    assert name in message
    assert message.endswith("the newest older one that is good: --resume 10")


def test_where_no_good_one_is_left_it_is_said(saved):
    for step in saved.steps():
        cut(saved.path_of(step) / "network.ckpt")
    with pytest.raises(CheckpointError, match="there is no older one that is good"):
        saved.restore(30, network(0), tensors(0))


def test_a_checkpoint_of_another_training_is_refused_and_named(saved):
    others = tensors(0) | {"moment": Parameter(Tensor(np.zeros(2, np.float32)))}
    with pytest.raises(CheckpointError, match=r"another training: 1 tensors .* moment"):
        saved.restore(30, network(0), others)


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {folder!r})
import test_checkpoints as t
checkpoints = t.Checkpoints(Path({output!r}))
for step in range(1, 10_000):
    t.save(checkpoints, step, num_kept=1)
    print(step, flush=True)
"""


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_a_good_one(tmp_path):
    """Of one kept: the moment between writing the new and removing the old counts."""
    program = KILLED.format(folder=str(Path(__file__).parent), output=str(tmp_path))
    rng = np.random.default_rng(5)
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, env=os.environ
        ) as process:
            assert process.stdout.readline() == b"1\n"
            time.sleep(rng.uniform(0.0, 0.3))
            process.send_signal(signal.SIGKILL)
            printed = process.stdout.read().split()
        last = int(printed[-1]) if printed else 1
        checkpoints = Checkpoints(tmp_path)
        newest = checkpoints.steps()[-1]
        assert newest in (last, last + 1)
        assert checkpoints.restore(newest, network(0), tensors(0))["step"] == newest
        for step in checkpoints.steps():
            checkpoints.path_of(step).rename(tmp_path / f"kept-{rng.integers(1 << 40)}")


def test_its_optimizers_half_is_no_network_and_says_where_that_is(saved):
    with pytest.raises(
        checkpoint.CheckpointError,
        match=r"training\.ckpt is the optimizer's half of a checkpoint: the network is "
        r"in .*step-00000020/network\.ckpt",
    ):
        checkpoint.load(saved.path_of(20) / "training.ckpt")
