import re

import pytest

from pipelines.report import charts
from pipelines.report.charts import Line


def test_bars_are_as_high_as_their_amounts():
    markup = charts.bars([("a", 1), ("b", 4), ("c", 0)], "clips")
    heights = re.findall(r'height="([\d.]+)"><title>(\w): (\d+)<', markup)
    assert heights == [("25.00", "a", "1"), ("100.00", "b", "4"), ("0.00", "c", "0")]
    assert 'viewBox="0 0 3 100"' in markup
    assert "<figcaption>clips; the highest bar is 4</figcaption>" in markup


@pytest.mark.parametrize("values", [[], [("a", 0)]])
def test_bars_of_nothing_are_no_error(values):
    assert "the highest bar is 0" in charts.bars(values, "clips")


def ticks(markup, axis):
    (part,) = re.findall(rf'<div class="{axis}">(.*?)</div>', markup)
    return re.findall("<span>(.*?)</span>", part)


def test_both_axes_have_ticks_with_what_they_count():
    values = [(str(i), n) for i, n in enumerate((350, 20, 7))]
    markup = charts.bars(values, "clips", x_ticks=("0", "1.5", "3"), x_label="seconds")
    assert ticks(markup, "y") == ["400", "300", "200", "100", "0"]
    assert ticks(markup, "x") == ["0", "1.5", "3"]
    assert "the highest bar is 350; across: seconds</figcaption>" in markup
    assert 'height="87.50"' in markup


@pytest.mark.parametrize(
    ("num_bars", "expected"),
    [(1, ["1"]), (4, ["1", "2", "3", "4"]), (10, ["1", "3", "6", "8", "10"])],
)
def test_a_tick_names_the_bar_above_it(num_bars, expected):
    """Of ten bars the third goes from 0.2 to 0.3 of the width: a quarter is in it."""
    assert list(charts.place_ticks(num_bars)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, 1), (1, 1), (1.5, 2), (3, 4), (5, 8), (9, 10), (101, 200), (0.03, 0.04)],
)
def test_an_axis_ends_at_a_round_number(value, expected):
    assert charts.nice_top(value) == pytest.approx(expected)


def test_a_curve_goes_through_its_points():
    """From 10 to 30 across, up to 4: (20, 1) is in the middle and at a quarter."""
    curve = Line("loss", ((10, 4.0), (20, 1.0), (30, 0.0)))
    markup = charts.lines([curve, Line("other", ((10, 2.0),))], "x", x_label="epoch")
    points = re.findall(r'points="([^"]*)"', markup)
    assert points == ["0.00,0.00 50.00,75.00 100.00,100.00", "0.00,50.00"]
    assert ticks(markup, "x") == ["10", "15", "20", "25", "30"]
    assert ticks(markup, "y") == ["4", "3", "2", "1", "0"]
    assert "loss" in markup
    assert "other" in markup


def test_curves_of_nothing_are_no_error():
    assert "nothing was recorded" in charts.lines([Line("loss", ())], "loss")


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        (1, 21, ["1", "6", "11", "16", "21"]),
        (1, 50, ["1", "8", "15", "22", "29", "36", "43", "50"]),
        (1, 18, ["1", "18"]),
        (1, 2, ["1", "2"]),
        (3, 3, ["3"]),
        (0.5, 1.5, ["0.5", "0.75", "1", "1.25", "1.5"]),
    ],
)
def test_between_whole_numbers_the_ticks_are_whole(begin, end, expected):
    markup = charts.lines([Line("loss", ((begin, 1.0), (end, 2.0)))], "loss")
    assert ticks(markup, "x") == expected


def test_a_single_point_is_drawn_as_a_dot():
    markup = charts.lines([Line("loss", ((1, 2.0),))], "loss")
    assert 'd="M0.00,0.00h0"' in markup
    assert "dot" not in charts.lines([Line("a", ((1, 2.0), (2, 1.0)))], "loss")
