import logging
import re
import subprocess
import sys
import threading

import numpy as np
import pytest

from mindrecord_io.commands import progress_bar
from mindrecord_io.commands.progress_bar import Shown
from tests import clocks, terminals

# Shows a job of 5 clips that is done at once, and says something in the middle.
JOB = """\
import logging
import sys
from mindrecord_io.commands import command_line, log_lines, progress_bar

def call():
    done = 0
    progress_bar.phase("planning")
    with progress_bar.watched("shards", 5, lambda: done):
        shards = logging.getLogger("pipelines.building.build_transforms")
        shards.info("a line for each shard", extra=log_lines.PER_SHARD)
        logging.getLogger("pipelines.jobs.build").warning("look: %s", "here")
        logging.getLogger("apache_beam").info("chatter")
        logging.getLogger().warning("apitools not found, and so on")
        done = 5

sys.exit(command_line.start(lambda: call() or print("result") or 0))
"""
SIZES = (4, 4, 2)


def bars_of(session):
    return [line for line in session.drawn if "shards" in line]


def test_in_a_log_there_are_lines_and_no_bar():
    done = subprocess.run(
        [sys.executable, "-c", JOB],
        capture_output=True,
        text=True,
        env=terminals.environment(),
    )

    assert done.stdout == "result\n"
    lines = done.stderr.splitlines()
    assert [re.sub(r"^\d\d-\d\d \d\d:\d\d:\d\d ", "", line) for line in lines] == [
        "I pipelines.building.build_transforms: a line for each shard",
        "W pipelines.jobs.build: look: here",
    ]


@pytest.mark.parametrize("columns", [80, 40, 200])
def test_on_a_terminal_a_bar_stands_for_the_shards_lines(columns):
    session = terminals.run("-c", JOB, columns=columns, is_output_shown=False)

    assert session.output == "result\n"
    first, *_, last = [line for line in bars_of(session) if line.strip()]
    assert first.startswith("shards  ")
    assert "0/5 clips  00:00" in first
    assert "100%  5/5 clips  00:0" in last
    assert ("[####" in last) == (columns >= 80)
    assert max(map(len, bars_of(session))) < columns
    (warning,) = [line for line in session.lines if "look" in line]
    assert re.fullmatch(r"\d\d:\d\d:\d\d warning: look: here", warning)
    for hidden in ("a line for each shard", "chatter", "apitools"):
        assert hidden not in session.shown


def test_a_terminal_that_cannot_redraw_has_lines():
    session = terminals.run("-c", JOB, TERM="dumb")

    assert not terminals.CONTROL.search(session.shown.replace("\r\n", "\n"))
    assert "W pipelines.jobs.build: look: here" in session.shown
    assert "a line for each shard" in session.shown


SLOW = """\
import sys, time
from mindrecord_io.commands import command_line, progress_bar

def work():
    progress_bar.phase("compiling")
    time.sleep(2.5)
    bar = progress_bar.Bar("epoch 1/2", 8)
    progress_bar.phase("preparing")
    time.sleep(1.2)
    bar.advance(4, "loss 0.500")
    bar.close()
    return {"steps": 1}

sys.exit(command_line.start(lambda: command_line.run("train", work)))
"""


def test_what_is_not_counted_shows_its_name_and_seconds():
    session = terminals.run("-c", SLOW)

    phases = [line.rstrip() for line in session.drawn if line.startswith("compiling")]
    assert phases[0] == "compiling: 0 s"
    assert "compiling: 2 s" in phases
    bars = [line for line in session.drawn if line.startswith("epoch 1/2")]
    assert any("0/8 clips  00:01  preparing" in line for line in bars)
    assert "50%  4/8 clips  00:01" in bars[-1]
    assert "loss 0.500" in bars[-1]
    assert not any("compiling" in line for line in session.lines)
    assert session.lines[0].startswith("epoch 1/2  [####")
    assert session.lines[1].startswith("train took ")
    # Before the first named phase and after the last one: that of the command.
    named = [line for line in session.drawn if line.startswith(("train: ", "epoch"))]
    assert (named[0], named[-1]) == ("train: 0 s", "train: 0 s")


def shown(**changes):
    return Shown(
        **{"title": "shards", "num_done": 600, "num_total": 6000, "seconds": 60.0}
        | {"rate": 10.0}
        | changes
    )


@pytest.mark.parametrize(
    ("changes", "columns", "expected"),
    [
        (
            {},
            80,
            "shards  [###........................]   10%  600/6,000 clips  01:00, "
            "09:00 left",
        ),
        ({}, 60, "shards   10%  600/6,000 clips  01:00, 09:00 left"),
        ({}, 30, "shards   10%  600/6,000 clips  "),
        (
            {
                "num_total": 168_913,
                "seconds": 5000,
                "extras": ("loss 1.234", "top-1 0"),
            },
            80,
            "shards  [.....................]    0%  600/168,913 clips  1:23:20, "
            "4:40:31 left",
        ),
        (
            {"num_done": 6000, "extras": ("loss 1.234", "top-1 0.500", "9 clips/s")},
            80,
            "shards  [############]  100%  6,000/6,000 clips  01:00  loss 1.234  "
            "top-1 0.500",
        ),
        (
            {"num_done": 0, "rate": 0.0, "num_total": 7},
            44,
            "shards    0%  0/7 clips  01:00",
        ),
        ({"num_total": 0, "num_done": 0}, 44, "shards  100%  0/0 clips  01:00"),
        ({"num_total": None}, 80, "shards: 60 s"),
        ({"num_total": None}, 10, "shards: 6"),
    ],
)
def test_a_bar_fits_and_has_what_there_is_room_for(changes, columns, expected):
    drawn = shown(**changes).drawn(columns)
    assert len(drawn) < columns
    assert drawn == expected[: columns - 1]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"num_done": 0, "rate": 0.0, "seconds": 31},
            "shards: none of 6,000 clips in 31 s",
        ),
        ({}, "shards: 600 of 6,000 clips (10%), 10.0 clips/s, 9.0 min left"),
        (
            {"num_done": 6000, "rate": 66.66},
            "shards: 6,000 of 6,000 clips (100%), 66.7 clips/s, 0.0 min left",
        ),
        ({"num_total": None}, "shards: 60 s"),
    ],
)
def test_a_line_has_how_far_how_fast_and_how_long(changes, expected):
    assert shown(**changes).line() == expected


def test_counting_goes_on_while_the_block_runs_and_once_after_it(monkeypatch):
    monkeypatch.setattr(progress_bar, "_LINE_SECONDS", 0.01)
    counted = threading.Event()
    num_calls = []

    def num_done():
        num_calls.append(1)
        counted.set()
        return 3

    with progress_bar.watched("shards", 5, num_done):
        assert counted.wait(60)
        during = len(num_calls)

    assert len(num_calls) > during


def test_the_counting_thread_ends_with_the_block_even_if_that_fails():
    before = threading.active_count()

    with (
        pytest.raises(LookupError),
        progress_bar.watched("shards", 5, lambda: 0),
    ):
        raise LookupError

    assert threading.active_count() == before


def test_a_phase_ends_with_the_next():
    before = threading.active_count()
    for name in ("one", "two"):
        progress_bar.phase(name)
    assert threading.active_count() == before + 1
    progress_bar.end_phase()
    assert threading.active_count() == before


@pytest.mark.parametrize("num_total", [5, None])
def test_in_a_log_a_line_comes_now_and_then(monkeypatch, num_total):
    logged = threading.Event()
    monkeypatch.setattr(progress_bar, "_LINE_SECONDS", 0)
    monkeypatch.setattr(progress_bar, "_TICK_SECONDS", 0.01)
    monkeypatch.setattr(progress_bar.logger, "info", lambda *words: logged.set())

    bar = progress_bar.Bar("shards", num_total)
    assert logged.wait(60)
    bar.close()


@pytest.fixture
def clock(monkeypatch):
    """A clock that only goes on when it is told to, and that nothing else looks at."""
    clock = clocks.Clock()
    monkeypatch.setattr(progress_bar, "time", clock)
    monkeypatch.setattr(progress_bar, "_TICK_SECONDS", 3600)
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


def test_a_log_has_a_line_of_batches_now_and_then(clock, caplog):
    with caplog.at_level(logging.INFO):
        assert score(clock, seconds_each=16.0) == SIZES
    assert lines(caplog) == [
        "scoring test: 8 of 10 clips (80%), 0.2 clips/s, 0.1 min left"
    ]


def test_what_is_quick_leaves_no_line(clock, caplog):
    with caplog.at_level(logging.INFO):
        assert score(clock, seconds_each=1.0) == SIZES
    assert lines(caplog) == []


def test_other_ranks_show_nothing(clock, caplog, capsys):
    with caplog.at_level(logging.INFO):
        assert score(clock, seconds_each=60.0, is_shown=False) == SIZES
    assert (lines(caplog), capsys.readouterr().err) == ([], "")


BATCHES = """\
import sys
import numpy as np
from mindrecord_io.commands import command_line, progress_bar

def work():
    batches = [{"frames": np.zeros((size, 1))} for size in (4, 4, 2)]
    for batch in progress_bar.show(batches, "scoring test", 10, is_shown=True):
        progress_bar._open[-1]._drawn.refresh()

sys.exit(command_line.start(lambda: work() or 0))
"""


def test_a_bar_of_batches_is_gone_in_the_end():
    session = terminals.run("-c", BATCHES)
    drawn = [line for line in session.drawn if "scoring test" in line]
    counts = [re.search(r"(\d+)/10", line)[1] for line in drawn]
    assert sorted(set(counts), key=int) == ["0", "4", "8"]
    assert session.lines == []
