"""Training from the first step to the files it leaves, on clips made here."""

import json

import mindspore
import numpy as np
import pytest
from mindspore import dataset

from eval import config as eval_config
from eval import evaluate
from model import checkpoint
from model.tsm import TSM, TSMConfig
from train import loop
from train.config import TrainConfig
from train.run_folder import RunFolder

NETWORK = TSMConfig(
    num_classes=2,
    arch="resnet18",
    width=8,
    num_segments=4,
    shift_div=4,
    dropout=0.0,
)
SETTINGS = TrainConfig(
    epochs=5,
    batch_size=4,
    optimizer="adamw",
    learning_rate=0.005,
    weight_decay=0.0,
    schedule="cosine",
    is_classifier_faster=False,
    evaluate_every=2,
    keep_checkpoints=2,
)


@pytest.fixture(autouse=True, scope="module")
def _graph_mode():
    eval_config.use_graph_mode()


def moving_bars(num_clips, seed=0):
    """Clips of a bright column that goes right (label 0) or left (label 1)."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 60, (num_clips, 4, 3, 32, 32), np.uint8)
    label_ids = np.arange(num_clips, dtype=np.int32) % 2
    for clip, label_id in zip(frames, label_ids, strict=True):
        begin = rng.integers(0, 8)
        order = range(4) if label_id == 0 else range(3, -1, -1)
        for segment, place in enumerate(order):
            left = begin + 6 * place
            clip[segment, :, :, left : left + 4] = 250
    return frames, label_ids


def open_dataset(frames, label_ids, batch_size=4):
    columns = {"frames": frames, "label": label_ids}
    return dataset.NumpySlicesDataset(columns, shuffle=False).batch(batch_size)


class Trial:
    """A training on moving bars; keeps the epochs that were opened."""

    def __init__(self, output, num_clips=8):
        mindspore.set_seed(1)
        self.network = TSM(NETWORK)
        self.clips = moving_bars(num_clips)
        self.output = output
        self.epochs = []

    def open_epoch(self, epoch):
        self.epochs.append(epoch)
        return open_dataset(*self.clips)

    def score(self):
        batches = open_dataset(*moving_bars(6, seed=9))
        return evaluate.evaluate(
            evaluate.make_predict(self.network),
            batches.create_dict_iterator(num_epochs=1, output_numpy=True),
            batch_size=4,
            num_classes=2,
        ).top_k

    def train(self, settings=SETTINGS):
        return loop.train(
            self.network,
            settings,
            open_epoch=self.open_epoch,
            score=self.score,
            folder=RunFolder(self.output),
            description={"version": "000001"},
        )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    trial = Trial(tmp_path_factory.mktemp("run") / "output")
    return trial, trial.train()


def metrics(output):
    lines = (output / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_result_counts_steps_and_epochs(trained):
    _, result = trained
    assert (result.epochs, result.steps) == (5, 10)
    assert result.seconds > 0
    assert result.clips_per_second > 0


def test_every_epoch_is_opened_by_its_number(trained):
    assert trained[0].epochs == [0, 0, 1, 2, 3, 4]  # the first also to count the steps


def test_metrics_have_a_line_an_epoch(trained):
    trial, result = trained
    lines = metrics(trial.output)
    assert [line["epoch"] for line in lines] == [0, 1, 2, 3, 4]
    assert [line["step"] for line in lines] == [2, 4, 6, 8, 10]
    assert [line["learning_rate"] for line in lines] == sorted(
        (line["learning_rate"] for line in lines), reverse=True
    )
    assert lines[result.best_epoch]["top1"] == result.best_top1


def test_evaluation_is_every_few_epochs_and_after_the_last(trained):
    lines = metrics(trained[0].output)
    assert [line["num_clips"] for line in lines] == [0, 6, 0, 6, 6]
    assert [line["top1"] is None for line in lines] == [True, False, True, False, False]


def test_the_loss_falls(trained):
    losses = [line["loss"] for line in metrics(trained[0].output)]
    assert losses[-1] < 0.8 * losses[0]


def test_newest_checkpoints_and_the_best_one_stay(trained):
    trial, _ = trained
    assert sorted(file.name for file in trial.output.iterdir()) == [
        "best.ckpt",
        "config.json",
        "epoch-0003.ckpt",
        "epoch-0004.ckpt",
        "metrics.jsonl",
    ]


def test_checkpoints_tell_where_they_are_from(trained):
    trial, result = trained
    network, facts = checkpoint.load(trial.output / "epoch-0004.ckpt")
    top1 = metrics(trial.output)[4]["top1"]
    run = {"version": "000001"}
    assert facts == {"epoch": 4, "step": 10, "top1": top1, "run": run}
    assert network.config == NETWORK
    _, best = checkpoint.load(trial.output / "best.ckpt")
    assert result.best_checkpoint == str(trial.output / "best.ckpt")
    assert (best["epoch"], best["top1"]) == (result.best_epoch, result.best_top1)


def test_a_checkpoint_scores_as_the_network_did(trained):
    trial, _ = trained
    network, facts = checkpoint.load(trial.output / "epoch-0004.ckpt")
    frames = moving_bars(6, seed=9)[0]
    np.testing.assert_allclose(
        evaluate.make_predict(network)(frames),
        evaluate.make_predict(trial.network)(frames),
        rtol=1e-5,
        atol=1e-5,
    )
    trial.network = network
    assert trial.score().top1 == facts["top1"]


def test_a_folder_with_another_training_is_refused(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("")
    with pytest.raises(FileExistsError, match="holds another training"):
        Trial(tmp_path).train()


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_training(tmp_path):
    trial = Trial(tmp_path)
    fast = TrainConfig(
        epochs=4,
        batch_size=4,
        learning_rate=1e30,
        clip_gradient=None,
        evaluate_every=4,
    )
    with pytest.raises(
        loop.TrainingError, match=r"the loss is nan at step \d, in epoch \d: try"
    ):
        trial.train(fast)
    assert not (tmp_path / "best.ckpt").exists()
