"""Charts with axes for pages: bars and lines in SVG, their ticks as text.

The ticks are no part of the drawing, so that they stay readable on a phone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.report.html_pieces import escape

__all__ = ["Line", "bars", "lines", "nice_top", "place_ticks"]

_HEIGHT = 100
_WIDTH = 100
_NUM_STEPS = 4
_KINDS = ("first", "second")


@dataclass(frozen=True, slots=True)
class Line:
    """A curve: its name and points (x, y), in the order of x."""

    name: str
    points: tuple[tuple[float, float], ...]


def nice_top(value: float) -> float:
    """Returns the least of 1, 2, 4, 8 or 10 times a power of ten that holds a value."""
    if value <= 0:
        return 1
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(f * power for f in (1, 2, 4, 8, 10) if f * power >= value * (1 - 1e-9))


def place_ticks(num_bars: int) -> tuple[str, ...]:
    """Returns the places, counted from 1, of the bars at each quarter of the width."""
    at = (num_bars * i // _NUM_STEPS for i in range(_NUM_STEPS + 1))
    places = dict.fromkeys(min(i, num_bars - 1) + 1 for i in at)
    return tuple(map(str, places))


def bars(
    values: Sequence[tuple[str, int]],
    caption: str,
    *,
    x_ticks: Sequence[str] = (),
    x_label: str = "",
) -> str:
    """Returns a bar chart of (name, amount), in the order given, from zero up.

    Args:
      x_ticks: texts set apart evenly below the bars, from the left to the right edge.
      x_label: what they count.
    """
    highest = max((amount for _, amount in values), default=0)
    top = max(_NUM_STEPS, nice_top(highest))
    shapes = []
    for index, (name, amount) in enumerate(values):
        height = _HEIGHT * amount / top
        shapes.append(
            f'<rect class="bar" x="{index + 0.05:.2f}" y="{_HEIGHT - height:.2f}" '
            f'width="0.9" height="{height:.2f}"><title>{escape(name)}: {amount:,}'
            "</title></rect>"
        )
    text = f"{caption}; the highest bar is {highest:,}"
    width = max(1, len(values))
    return _figure(text, width, "".join(shapes), y=(0, top), x=(x_ticks, x_label))


def lines(curves: Sequence[Line], caption: str, *, x_label: str = "") -> str:
    """Returns a chart of one or two curves over one axis; y begins at zero."""
    points = [point for curve in curves for point in curve.points]
    if not points:
        return f"<p>{escape(caption)}: nothing was recorded.</p>"
    begin, end = min(x for x, _ in points), max(x for x, _ in points)
    top = nice_top(max(y for _, y in points))
    width = end - begin or 1
    shapes = []
    for index, curve in enumerate(curves):
        path = " ".join(
            f"{_WIDTH * (x - begin) / width:.2f},{_HEIGHT * (1 - max(0, y) / top):.2f}"
            for x, y in curve.points
        )
        shapes.append(
            f'<polyline class="line {_KINDS[index]}" '
            f'vector-effect="non-scaling-stroke" points="{path}"/>'
        )
        if len(curve.points) == 1:  # a line of no length is not drawn
            shapes.append(
                f'<path class="line dot {_KINDS[index]}" '
                f'vector-effect="non-scaling-stroke" d="M{path}h0"/>'
            )
    num_steps = _num_steps(begin, end)
    ticks = [number(begin + width * i / num_steps) for i in range(num_steps + 1)]
    if begin == end:
        ticks = [number(begin)]
    names = "".join(
        f'<span><i class="{_KINDS[i]}"></i>{escape(c.name)}</span>'
        for i, c in enumerate(curves)
    )
    chart = _figure(caption, _WIDTH, "".join(shapes), y=(0, top), x=(ticks, x_label))
    return f'{chart}<p class="key">{names}</p>'


def _num_steps(begin: float, end: float) -> int:
    """Returns the parts of an axis; of one of whole numbers, their ends are whole."""
    is_whole = begin == round(begin) and end == round(end)
    width = round(end - begin)
    if not is_whole or width == 0:
        return _NUM_STEPS
    return next(n for n in (4, 5, 6, 7, 3, 2, 1) if width % n == 0)


def number(value: float) -> str:
    """Returns a tick's text: few digits, thousands set apart."""
    if value == round(value):
        return f"{round(value):,}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3g}"


def _figure(
    caption: str,
    width: int,
    shapes: str,
    *,
    y: tuple[float, float],
    x: tuple[Sequence[str], str],
) -> str:
    low, top = y
    steps = [low + (top - low) * i / _NUM_STEPS for i in range(_NUM_STEPS, -1, -1)]
    grid = "".join(
        f'<line class="grid" vector-effect="non-scaling-stroke" x1="0" x2="{width}" '
        f'y1="{_HEIGHT * i / _NUM_STEPS:g}" y2="{_HEIGHT * i / _NUM_STEPS:g}"/>'
        for i in range(_NUM_STEPS)
    )
    y_ticks = "".join(f"<span>{number(step)}</span>" for step in steps)
    ticks, x_label = x
    x_ticks = "".join(f"<span>{escape(tick)}</span>" for tick in ticks)
    below = f'<div class="x">{x_ticks}</div>' if ticks else ""
    label = f"; across: {x_label}" if x_label else ""
    return (
        f'<figure><div class="chart"><div class="y">{y_ticks}</div>'
        f'<svg role="img" aria-label="{escape(caption)}" '
        f'viewBox="0 0 {width} {_HEIGHT}" preserveAspectRatio="none">{grid}{shapes}'
        f"</svg>{below}</div>"
        f"<figcaption>{escape(caption)}{escape(label)}</figcaption></figure>"
    )
