"""A device is kept busy: what the host waits for, and when, by the order of calls."""

import dataclasses
import gc
import weakref

import mindspore
import pytest

from eval.metrics import TopK
from mindrecord_io.serving.batch_memory import BatchMemory
from tests.train.moving_bars import NETWORK, BarClips, Trial
from train import learner
from train.config import TrainConfig

pytestmark = pytest.mark.usefixtures("small_graphs")

SETTINGS = TrainConfig(
    epochs=1, batch_size=2, learning_rate=0.001, evaluate_every=1, keep_checkpoints=1
)
NUM_STEPS = 20


class Calls:
    """Everything that a training did of interest, in order: (what, step)."""

    def __init__(self, monkeypatch):
        self.made = []
        self.step_of = {}
        self.num_launched = 0
        launch, read = learner.Learner.launch, learner.Pending.read
        prepare, asnumpy = learner.Learner.prepare, mindspore.Tensor.asnumpy

        def launched(own, batch, inputs):
            self.made.append(("launch", self.num_launched))
            pending = launch(own, batch, inputs)
            self.step_of[id(pending)] = self.num_launched
            self.num_launched += 1
            return pending

        def reading(own):
            self.made.append(("read", self.step_of[id(own)]))
            outcome = read(own)
            self.made.append(("read all", self.step_of[id(own)]))
            return outcome

        def prepared(own, batch, step_index):
            self.made.append(("prepare", step_index))
            return prepare(own, batch, step_index)

        def waited(own):
            self.made.append(("wait", None))
            return asnumpy(own)

        monkeypatch.setattr(learner.Learner, "launch", launched)
        monkeypatch.setattr(learner.Pending, "read", reading)
        monkeypatch.setattr(learner.Learner, "prepare", prepared)
        monkeypatch.setattr(mindspore.Tensor, "asnumpy", waited)

    def of(self, *kinds):
        return [call for call in self.made if call[0] in kinds]

    def waits_outside_of_reading(self):
        """The waits between the second launch and the last that no reading made.

        MindSpore itself reads constants while it compiles, in the first.
        """
        launches = [i for i, call in enumerate(self.made) if call[0] == "launch"]
        is_reading, waits = False, []
        for place in range(launches[1], launches[-1] + 1):
            kind, _ = self.made[place]
            if kind in ("read", "read all"):
                is_reading = kind == "read"
            elif kind == "wait" and not is_reading:
                waits.append(place)
        return waits


class ManyClips(BarClips):
    """Twenty steps of an epoch, in memory that is lent as the reader lends it."""

    def __init__(self):
        super().__init__(2 * NUM_STEPS, 2)
        self.memory = BatchMemory(2 * 4 * 3 * 32 * 32)

    def __iter__(self):
        for frames, label_ids in super().__iter__():
            lent = self.memory.lend(frames.shape)
            lent[:] = frames
            yield lent, label_ids
            del lent


def trial(folder, settings=SETTINGS):
    network = dataclasses.replace(NETWORK, dropout=0.5)
    made = Trial(folder, settings, network, ManyClips())
    made.training._score = TopK.empty
    return made


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_a_step_is_launched_before_the_figures_of_the_one_before_are_read(
    tmp_path, monkeypatch, ema_decay
):
    calls = Calls(monkeypatch)
    trial(tmp_path, dataclasses.replace(SETTINGS, ema_decay=ema_decay)).begin()
    expected = [("prepare", 0), ("launch", 0), ("read", 0), ("prepare", 1)]
    expected += [("launch", 1), ("prepare", 2)]  # the first step compiles, and is alone
    for step in range(2, NUM_STEPS):
        expected.append(("launch", step))
        if step + 1 < NUM_STEPS:
            expected.append(("prepare", step + 1))
        expected.append(("read", step - 1))
    expected.append(("read", NUM_STEPS - 1))
    assert calls.of("prepare", "launch", "read") == expected
    assert calls.waits_outside_of_reading() == []
    # Four figures a step and no more: loss, norm, two of overflow, and the logits.
    first = calls.made.index(("read", 5))
    assert calls.made[first + 1 : calls.made.index(("read all", 5))] == (
        [("wait", None)] * 5
    )


def test_a_wait_between_steps_would_be_seen(tmp_path, monkeypatch):
    calls = Calls(monkeypatch)
    made = trial(tmp_path)
    add = made.training._add_to_board
    parameter = made.network.new_fc.bias
    monkeypatch.setattr(
        made.training,
        "_add_to_board",
        lambda figures: (parameter.asnumpy(), add(figures)),
    )
    made.begin()
    assert len(calls.waits_outside_of_reading()) == NUM_STEPS - 3


def test_a_checkpoint_is_of_steps_whose_figures_were_read(tmp_path, monkeypatch):
    calls = Calls(monkeypatch)
    settings = dataclasses.replace(SETTINGS, checkpoint_every=6)
    made = trial(tmp_path, settings)
    save = made.training._save
    monkeypatch.setattr(
        made.training,
        "_save",
        lambda facts: (calls.made.append(("save", facts["step"])), save(facts)),
    )
    made.begin()
    order = calls.of("launch", "read", "prepare", "save")
    for step in (6, 12, 18):
        place = order.index(("save", step))
        assert order[place - 1] == ("read", step - 1)
        assert order[place + 1 : place + 3] == [("prepare", step), ("launch", step)]


def test_a_batch_lives_until_its_figures_are_read(tmp_path, monkeypatch):
    """Its memory is the reader's, which must not write the next clips to it before."""
    alive = {}
    launch, read = learner.Learner.launch, learner.Pending.read

    def launched(own, batch, inputs):
        alive[len(alive)] = weakref.ref(batch[0].base)
        return launch(own, batch, inputs)

    num_read = []

    def reading(own):
        assert alive[len(num_read)]() is not None
        num_read.append(own is not None)
        return read(own)

    monkeypatch.setattr(learner.Learner, "launch", launched)
    monkeypatch.setattr(learner.Pending, "read", reading)
    made = trial(tmp_path)
    made.begin()
    assert len(num_read) == NUM_STEPS
    gc.collect()
    # MindSpore may keep the inputs of its last call.
    assert [ref() for ref in alive.values()][:-1] == [None] * (NUM_STEPS - 1)
    assert made.clips.memory.num_blocks <= 5
