"""Clips made here, and what tests of training need besides."""

import contextlib

import mindspore
import numpy as np
import pytest

from eval import evaluate
from eval.metrics import TopK
from model import resnet
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


class BarClips:
    """Moving bars as what training reads; `places` tells every batch that was read."""

    def __init__(self, num_clips=8, batch_size=4):
        self.frames, self.label_ids = moving_bars(num_clips)
        self.batch_size = batch_size
        self.steps_per_epoch = num_clips // batch_size
        self.place = (0, 0)
        self.places = []

    def __iter__(self):
        epoch, begin = self.place
        for step in range(begin, self.steps_per_epoch):
            self.places.append((epoch, step))
            is_last = step + 1 == self.steps_per_epoch
            self.place = (epoch + 1, 0) if is_last else (epoch, step + 1)
            part = self._part(step)
            yield self.frames[part], self.label_ids[part]

    def _part(self, step):
        return slice(step * self.batch_size, (step + 1) * self.batch_size)

    def state(self):
        return {"place": list(self.place)}

    def resume(self, state):
        self.place = tuple(state["place"])

    def clip_ids(self, epoch, step, num_clips):
        return [f"{epoch}-{i}" for i in range(len(self.frames))[self._part(step)]]

    def first_steps(self, epoch, num_steps):
        for step in range(min(num_steps, self.steps_per_epoch)):
            yield self.frames[self._part(step)], self.label_ids[self._part(step)]


@contextlib.contextmanager
def fewer_blocks():
    """Halves the depth of resnet18: most of a test's time is compiling the network."""
    with pytest.MonkeyPatch.context() as patch:
        layout = resnet.ResNetLayout(resnet.BasicBlock, (1, 1, 1, 1))
        patch.setitem(resnet.RESNETS, "resnet18", layout)
        yield


class Trial:
    """A training on moving bars."""

    def __init__(self, output, settings=SETTINGS, network=NETWORK, clips=None):
        mindspore.set_seed(1)
        self.network = TSM(network)
        self.clips = clips or BarClips(batch_size=settings.clips_per_step)
        self.output = output
        self.kept = []
        self.training = loop.Training(
            self.network,
            settings,
            clips=self.clips,
            score=self.score,
            keep_best=lambda: self.kept.append(self.training.network is self.network),
            folder=output if isinstance(output, RunFolder) else RunFolder(output),
            description={"version": "000001"},
        )

    def score(self):
        frames, label_ids = moving_bars(6, seed=9)
        logits = evaluate.make_predict(self.network)(frames)
        return TopK.of(logits, label_ids)

    def begin(self, *, is_again=False, **flags):
        self.training.begin(is_again=is_again)
        return self.training.run(**flags)

    def resume(self, step, **flags):
        self.training.resume(step)
        return self.training.run(**flags)

    def tensors(self):
        return {p.name: p.asnumpy().copy() for p in self.network.get_parameters()}
