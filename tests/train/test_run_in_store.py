"""A training whose folder is in an object store."""

import dataclasses
import json
import os

import pytest

from mindrecord_io.storage import object_store
from tests.train.moving_bars import NETWORK, SETTINGS, BarClips, Trial
from train import resuming, run_folder
from train.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("small_graphs")

URI = "s3://runs/r50"
STORED = dataclasses.replace(
    SETTINGS, epochs=3, checkpoint_every=1, evaluate_every=1, batch_size=2
)
WITH_DROPOUT = dataclasses.replace(NETWORK, dropout=0.5)
TIMES = ("clips_per_second", "waiting_share", "seconds")
STEP_FILES = ("network.ckpt", "training.ckpt", "checkpoint.json")


class KilledError(Exception):
    """In place of a SIGKILL: nothing of the training runs after it."""


class ClipsUntil(BarClips):
    """Clips of a training that is killed where it would read a step."""

    def __init__(self, step):
        super().__init__(8, STORED.batch_size)
        self.num_left = step

    def __iter__(self):
        for batch in super().__iter__():
            if not self.num_left:
                raise KilledError
            self.num_left -= 1
            yield batch


def metrics(content):
    lines = map(json.loads, content.decode().splitlines())
    return [{k: v for k, v in line.items() if k not in TIMES} for line in lines]


def weights(contents):
    return {name: part for name, part in contents.items() if name.endswith(".ckpt")}


def test_a_training_is_resumed_on_another_machine_to_the_same_bytes(bucket, tmp_path):
    """Killed within the second epoch; of the two newest checkpoints one is of it."""
    whole = Trial(tmp_path / "whole", STORED, WITH_DROPOUT)
    whole.begin()
    first = RunFolder(tmp_path / "first", URI)
    with pytest.raises(KilledError), first.locked():
        Trial(first, STORED, WITH_DROPOUT, ClipsUntil(6)).begin()
    steps = ["checkpoints/step-00000005", "checkpoints/step-00000006"]
    stored = [f"{step}/{name}" for step in steps for name in STEP_FILES]
    names = [*stored, "best.ckpt", "config.json", "metrics.jsonl", "owner.json"]
    events = {n for n in bucket.contents("runs/r50") if n.startswith("tensorboard/")}
    assert sorted({*bucket.contents("runs/r50")} - events) == sorted(names)
    assert len(events) == 1

    second = RunFolder(tmp_path / "second", URI)
    second.fetch()
    assert resuming.step_to_resume(second, "newest") == 6
    with second.locked():
        result = Trial(second, STORED, WITH_DROPOUT).resume(6)

    assert result.best_checkpoint == f"{URI}/best.ckpt"
    contents = bucket.contents("runs/r50")
    bucket.reset()
    bucket.make_bucket("runs")
    bucket.upload(whole.output, "runs/r50")
    expected = bucket.contents("runs/r50")
    assert weights(contents) == weights(expected)
    assert len(weights(expected)) == 5
    assert metrics(contents["metrics.jsonl"]) == metrics(expected["metrics.jsonl"])


def test_a_checkpoint_that_was_cut_off_on_its_way_is_none(bucket, tmp_path):
    folder = RunFolder(tmp_path, URI)
    for step, names in ((4, STEP_FILES), (8, STEP_FILES[:2])):
        for name in names:
            bucket.write(f"runs/r50/checkpoints/step-{step:08d}/{name}", b"1")
    bucket.write("runs/r50/config.json", b'{"try": 1}')
    bucket.write("runs/r50/best.ckpt", b"best")
    bucket.write("runs/r50/checkpoints/step-00000004/../../../escaped", b"no")
    folder.fetch()
    assert folder.checkpoints.steps() == [4]
    assert folder.read_config() == {"try": 1}
    assert not list(tmp_path.parent.glob("escaped"))
    folder.go_back(4)
    assert not [n for n in bucket.contents("runs/r50") if "step-00000008" in n]


def test_going_back_goes_back_in_the_store(bucket, tmp_path):
    folder = RunFolder(tmp_path, URI)
    for step in (2, 4):
        for name in STEP_FILES:
            path = folder.checkpoints.path_of(step) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("1")
        folder.append_metrics({"step": step})
    folder.mirror.send(tmp_path)
    folder.go_back(2)
    names = [f"checkpoints/step-00000002/{name}" for name in STEP_FILES]
    assert folder.mirror.names() == sorted([*names, "metrics.jsonl"])
    assert bucket.read("runs/r50/metrics.jsonl") == b'{"step": 2}\n'


@pytest.mark.parametrize(
    "name", ["metrics.jsonl", "checkpoints/step-00000004/checkpoint.json"]
)
def test_a_store_with_another_training_is_refused(bucket, tmp_path, name):
    bucket.write(f"runs/r50/{name}", b"{}")
    message = f"{URI} holds another training: --resume it, or choose a new"
    with pytest.raises(FileExistsError, match=message):
        RunFolder(tmp_path, URI).check_new()


def test_a_store_that_cannot_be_written_is_noticed_first(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(object_store, "_FIRST_PAUSE_SECONDS", 0.001)
    RunFolder(tmp_path, URI).check_new()
    assert bucket.contents("runs") == {}
    with pytest.raises(object_store.StorageError, match="s3://nobody/r50"):
        RunFolder(tmp_path, "s3://nobody/r50").check_new()


def test_of_two_trainings_in_a_store_the_one_before_ends(bucket, tmp_path):
    before, after = (RunFolder(tmp_path / name, URI) for name in ("before", "after"))
    with before.locked():
        before.check_owner()
        with after.locked():
            after.check_owner()
            message = f"process {os.getpid()} on .* goes on with the training in {URI}"
            with pytest.raises(FileExistsError, match=message):
                before.check_owner()


def test_a_failed_upload_names_the_store_and_says_what_to_do(
    bucket, tmp_path, monkeypatch
):
    monkeypatch.setattr(object_store, "_FIRST_PAUSE_SECONDS", 0.001)
    folder = RunFolder(tmp_path, URI)
    trial = Trial(folder, dataclasses.replace(SETTINGS, epochs=1))
    with folder.locked():
        trial.training.begin()
        bucket.fail(100)
        monkeypatch.setattr(RunFolder, "check_owner", lambda self: None)
        with pytest.raises(
            Exception, match=f"cannot write to {URI} after step 2: .*re"
        ):
            trial.training.run()


def test_the_folder_of_this_machine_is_gone_after_the_training(bucket, tmp_path):
    with run_folder.opened(URI) as folder:
        assert folder.path.is_relative_to(tmp_path / "cache")
        assert (folder.place, folder.uri) == (URI, URI)
    assert not folder.path.exists()
    with run_folder.opened(tmp_path) as folder:
        assert (folder.place, folder.uri) == (tmp_path, "")
