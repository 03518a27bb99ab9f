"""Pieces of a self-contained HTML page: no scripts, no links, no fonts.

Text goes through `escape` here and nowhere else; what is called markup is HTML already.
"""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipelines.report.page_style import STYLE

__all__ = [
    "Cell",
    "Link",
    "count",
    "details",
    "document",
    "escape",
    "facts",
    "film",
    "num_bytes",
    "section",
    "share",
    "strip_figure",
    "table",
]


@dataclass(frozen=True, slots=True)
class Link:
    """A text that leads to another page of a server."""

    text: str
    href: str


Cell = str | int | float | Link

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_NUM_SHORT = 32  # characters of a cell that stay in one line


def escape(text: object) -> str:
    """Returns text as markup."""
    return html.escape(str(text))


def num_bytes(value: float) -> str:
    """Returns a number of bytes with its unit: "1.5 MB"."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:,.0f} {unit}" if unit == "bytes" else f"{value:,.1f} {unit}"
        value /= 1000
    raise AssertionError("the last unit returns")


def count(number: int, noun: str) -> str:
    """Returns a number with its noun: "1 clip", "2,000 clips"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def document(title: str, body: Iterable[str]) -> str:
    """Returns a whole page.

    Args:
      title: text.
      body: markup.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<main>\n<h1>{escape(title)}</h1>\n{_joined(body)}\n</main>\n"
        "</body>\n</html>\n"
    )


def section(title: str, *markup: str) -> str:
    """Returns a part of a page under a heading."""
    return f"<section>\n<h2>{escape(title)}</h2>\n{_joined(markup)}\n</section>"


def details(summary: str, *markup: str) -> str:
    """Returns a part of a page that is folded until it is clicked."""
    folded = _joined(markup)
    return f"<details><summary>{escape(summary)}</summary>\n{folded}\n</details>"


def strip_figure(strip: str, problem: str, text: str, *markup: str) -> str:
    """Returns a strip of frames over its caption; without one, the problem.

    Args:
      strip: a data URI, or "".
    """
    image = (
        '<div class="reel" tabindex="0" role="group" aria-label="Frames">'
        f'<img class="strip" src="{escape(strip)}" alt="frames"></div>'
    )
    shown = image if strip else _problem(problem)
    caption = f"<figcaption>{escape(text)}</figcaption>"
    return f"<figure>{shown}{caption}{_joined(markup)}</figure>"


def film(strip: str, problem: str, text: str) -> str:
    """Returns a strip of page_style.FILM_FRAMES frames that plays when looked at.

    Args:
      strip: a data URI, or "".
      text: its caption.
    """
    image = f'<img src="{escape(strip)}" alt="">'
    name = f'tabindex="0" role="img" aria-label="{escape(text)}"'
    shown = f'<div class="film" {name}>{image}</div>' if strip else ""
    return (
        f"<figure>{shown or _problem(problem)}"
        f"<figcaption>{escape(text)}</figcaption></figure>"
    )


def table(
    head: Sequence[str], rows: Iterable[Sequence[Cell]], caption: str = ""
) -> str:
    """Returns a table; numbers are aligned to the right, with thousands set apart."""
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    lines = ("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    name = caption or ", ".join(filter(None, head)) or "table"
    header = f"<thead><tr>{titles}</tr></thead>\n" if any(head) else ""
    return (
        f'<div class="wide" tabindex="0" role="group" aria-label="{escape(name)}">'
        f"<table>{title}{header}<tbody>"
        f"{_joined(lines)}</tbody></table></div>"
    )


def facts(values: Iterable[tuple[str, str]]) -> str:
    """Returns (name, amount) as a row of boxes."""
    boxes = (
        f"<div><dt>{escape(name)}</dt><dd>{escape(amount)}</dd></div>"
        for name, amount in values
    )
    return f'<dl class="facts">{"".join(boxes)}</dl>'


def share(part: float, name: str) -> str:
    """Returns a thin bar of which a part of 0 to 1 is filled; `name` is for readers."""
    return (
        f'<svg class="share" role="img" aria-label="{escape(name)}" '
        f'viewBox="0 0 100 4" preserveAspectRatio="none">'
        f'<rect class="rest" width="100" height="4"/>'
        f'<rect width="{100 * part:.1f}" height="4"/></svg>'
    )


def _problem(text: str) -> str:
    return f'<p class="bad">{escape(text)}</p>'


def _cell(value: Cell) -> str:
    if isinstance(value, Link):
        return f'<td><a href="{escape(value.href)}">{escape(value.text)}</a></td>'
    if isinstance(value, str):
        kind = ' class="text"' if len(value) > _NUM_SHORT else ""
        return f"<td{kind}>{escape(value)}</td>"
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"
    return f'<td class="number">{text}</td>'


def _joined(markup: Iterable[str]) -> str:
    return "\n".join(markup)
