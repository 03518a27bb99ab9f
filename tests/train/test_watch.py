import io
import logging
import sys

import numpy as np
import pytest
from tensorboardX.proto import event_pb2

from tests import clocks
from train import watch

FIGURES = {
    "loss": 1.23456,
    "top1": 0.5,
    "clips_per_second": 12.34,
    "waiting_share": 0.02,
}


@pytest.fixture
def clock(monkeypatch):
    """A clock that only goes on when it is told to."""
    clock = clocks.Clock()
    monkeypatch.setattr(watch, "time", clock)
    return clock


def batches(clock, num_batches, seconds_each):
    for _ in range(num_batches):
        clock.now += seconds_each
        yield np.zeros((4, 1)), np.zeros(4, np.int32)


def test_waiting_is_the_time_in_which_there_is_no_batch(clock):
    stopwatch = watch.Stopwatch(num_ranks=2)
    for _ in stopwatch.timed(batches(clock, 3, seconds_each=1.0)):
        clock.now += 3.0
    assert stopwatch.spent == watch.Spent(num_clips=24, seconds=12.0, waited=3.0)
    assert stopwatch.figures() == {"clips_per_second": 2.0, "waiting_share": 0.25}


def test_after_a_restart_nothing_was_spent(clock):
    stopwatch = watch.Stopwatch()
    for _ in stopwatch.timed(batches(clock, 1, seconds_each=1.0)):
        stopwatch.restart()
    assert stopwatch.spent == watch.Spent(0, 0.0, 0.0)
    assert stopwatch.figures() == {"clips_per_second": 0.0, "waiting_share": 0.0}


def test_a_total_is_a_sum():
    parts = [watch.Spent(10, 2.0, 1.0), watch.Spent(20, 4.0, 0.5)]
    assert watch.Spent.total(parts) == watch.Spent(30, 6.0, 1.5)
    assert watch.Spent.total([]).clips_per_second == 0.0


def shown(caplog, *, begin_step=0, num_steps=4, is_shown=True):
    bar = watch.EpochBar(
        "epoch 1/2",
        4,
        begin_step=begin_step,
        clips_per_step=8,
        log_every=2,
        is_shown=is_shown,
    )
    with caplog.at_level(logging.INFO):
        for _ in range(num_steps):
            bar.step(FIGURES)
    bar.close()
    return [record.getMessage() for record in caplog.records]


def test_a_log_has_a_line_every_few_steps(caplog):
    figures = "loss 1.235, top1 0.5, clips_per_second 12.34, waiting_share 0.02"
    assert shown(caplog) == [f"epoch 1/2, step {step}: {figures}" for step in (2, 4)]


def test_a_resumed_epoch_counts_on(caplog):
    lines = shown(caplog, begin_step=1, num_steps=2)
    assert [line.partition(":")[0] for line in lines] == ["epoch 1/2, step 2"]


def test_only_one_rank_shows_anything(caplog, capsys):
    assert shown(caplog, is_shown=False) == []
    assert capsys.readouterr().err == ""


def test_a_terminal_has_a_bar_with_the_figures(caplog, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    shown(caplog)
    last = terminal.getvalue().split("\r")[-1]
    assert last.startswith("epoch 1/2  [####")
    assert "100%  32/32 clips  00:00  loss 1.235" in last


def events(folder):
    """The (tag, step, value) of all scalars in TensorBoard's files (TFRecord)."""
    actual = []
    for path in sorted(folder.iterdir()):
        raw = path.read_bytes()
        while raw:
            size = int.from_bytes(raw[:8], "little")
            event = event_pb2.Event.FromString(raw[12 : 12 + size])
            actual += [(v.tag, event.step, v.simple_value) for v in event.summary.value]
            raw = raw[16 + size :]
    return actual


def test_the_board_has_the_figures_that_are_numbers(tmp_path):
    board = watch.Board(tmp_path)
    tags = {"loss": "train/loss", "top1": "train/top1"}
    board.add(tags, {"loss": 1.5, "top1": None, "seconds": 3.0}, 20)
    board.add({"top5": "epoch/top5"}, {"top5": 1}, 40)
    board.close()
    assert events(tmp_path) == [("train/loss", 20, 1.5), ("epoch/top5", 40, 1.0)]


def test_a_board_of_no_folder_writes_nothing(tmp_path):
    board = watch.Board(None)
    board.add({"loss": "train/loss"}, {"loss": 1.5}, 20)
    board.close()
    assert list(tmp_path.iterdir()) == []
