"""What is seen while clips are scored."""

import functools
import io
import logging
import sys

import numpy as np
import pytest
import tqdm

from eval.running import progress_bar
from tests import clocks

SIZES = (4, 4, 2)


@pytest.fixture
def clock(monkeypatch):
    """A clock that only goes on when it is told to."""
    clock = clocks.Clock()
    monkeypatch.setattr(progress_bar, "time", clock)
    return clock


def score(clock, *, seconds_each, is_shown=True):
    """Goes through three batches, slowly; returns how large they were."""
    batches = [{"frames": np.zeros((size, 1))} for size in SIZES]
    sizes = []
    for batch in progress_bar.show(batches, "scoring test", 10, is_shown=is_shown):
        clock.now += seconds_each
        sizes.append(len(batch["frames"]))
    return tuple(sizes)


def lines(caplog):
    return [record.getMessage() for record in caplog.records]


def test_a_log_has_a_line_now_and_then(clock, caplog):
    with caplog.at_level(logging.INFO):
        assert score(clock, seconds_each=16.0) == SIZES
    assert lines(caplog) == ["scoring test: 8 of 10 clips, 0.2 clips/s"]


def test_what_is_quick_leaves_no_line(clock, caplog):
    with caplog.at_level(logging.INFO):
        assert score(clock, seconds_each=1.0) == SIZES
    assert lines(caplog) == []


def test_other_ranks_show_nothing(clock, caplog, capsys):
    with caplog.at_level(logging.INFO):
        assert score(clock, seconds_each=60.0, is_shown=False) == SIZES
    assert (lines(caplog), capsys.readouterr().err) == ([], "")


def test_a_terminal_has_a_bar_and_no_lines(clock, caplog, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    always = functools.partial(tqdm.tqdm, mininterval=0, miniters=1)
    monkeypatch.setattr(progress_bar.tqdm, "tqdm", always)
    with caplog.at_level(logging.INFO):
        score(clock, seconds_each=60.0)
    drawn = sys.stderr.getvalue().split("\r")
    counts = [text.split("|")[-1].split()[0] for text in drawn if "scoring" in text]
    assert counts == ["0/10", "4/10", "8/10", "10/10"]
    assert drawn[-2].strip() == drawn[-1] == ""  # it is gone in the end
    assert lines(caplog) == []
