"""Pieces of a self-contained HTML page: no scripts, no links, no fonts.

Text goes through `escape` here and nowhere else; what is called markup is HTML already.
"""

import html
from collections.abc import Iterable, Sequence

__all__ = [
    "Cell",
    "bars",
    "details",
    "document",
    "escape",
    "num_bytes",
    "section",
    "table",
]

Cell = str | int | float

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --soft: #5d646c; --paper: #fff;
  --line: #d9dde1; --bar: #2f6fab; --bad: #a3341f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ea; --soft: #9aa2aa;
  --paper: #16181b; --line: #353a40; --bar: #6aa9e0; --bad: #ef8b74; } }
body { margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: var(--ink);
  background: var(--paper); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin-bottom: 0 } h2 { font-size: 1.15rem; margin-top: 2.2rem;
  border-bottom: 1px solid var(--line) } h3 { font-size: 1rem; margin-bottom: .3rem }
p.soft, figcaption, summary, caption { color: var(--soft) } .bad { color: var(--bad) }
.wide { overflow-x: auto } table { border-collapse: collapse; margin: .6rem 0 }
caption { text-align: left } th, td { padding: .15rem .9rem .15rem 0; text-align: left;
  vertical-align: top; border-bottom: 1px solid var(--line); overflow-wrap: anywhere }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
figure { margin: .8rem 0 } svg { width: 100%; height: 9rem; display: block;
  border-bottom: 1px solid var(--soft) } svg rect { fill: var(--bar) }
.sheet { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill,
  minmax(min(23rem, 100%), 1fr)) } .sheet figure { margin: 0; overflow-wrap: anywhere }
.sheet img { height: 4rem; max-width: 32%; margin-right: 2px }
summary { cursor: pointer } td:first-child { overflow-wrap: normal }
"""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_CHART_HEIGHT = 100


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
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{_joined(body)}\n</body>\n</html>\n"
    )


def section(title: str, *markup: str) -> str:
    """Returns a part of a page under a heading."""
    return f"<section>\n<h2>{escape(title)}</h2>\n{_joined(markup)}\n</section>"


def details(summary: str, *markup: str) -> str:
    """Returns a part of a page that is folded until it is clicked."""
    folded = _joined(markup)
    return f"<details><summary>{escape(summary)}</summary>\n{folded}\n</details>"


def table(
    head: Sequence[str], rows: Iterable[Sequence[Cell]], caption: str = ""
) -> str:
    """Returns a table; numbers are aligned to the right, with thousands set apart."""
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    lines = ("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    header = f"<thead><tr>{titles}</tr></thead>\n" if any(head) else ""
    return (
        f'<div class="wide"><table>{title}{header}<tbody>'
        f"{_joined(lines)}</tbody></table></div>"
    )


def bars(values: Sequence[tuple[str, int]], caption: str) -> str:
    """Returns a bar chart of (name, amount), in the order given, from zero up."""
    highest = max((amount for _, amount in values), default=0)
    shapes = []
    for index, (name, amount) in enumerate(values):
        height = _CHART_HEIGHT * amount / highest if highest else 0
        shapes.append(
            f'<rect x="{index + 0.05:.2f}" y="{_CHART_HEIGHT - height:.2f}" width="0.9"'
            f' height="{height:.2f}"><title>{escape(name)}: {amount:,}</title></rect>'
        )
    caption = f"{caption}; the highest bar is {highest:,}"
    return (
        f'<figure><svg role="img" aria-label="{escape(caption)}" '
        f'viewBox="0 0 {max(1, len(values))} {_CHART_HEIGHT}" '
        f'preserveAspectRatio="none">{"".join(shapes)}</svg>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _cell(value: Cell) -> str:
    if isinstance(value, str):
        return f"<td>{escape(value)}</td>"
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"
    return f'<td class="number">{text}</td>'


def _joined(markup: Iterable[str]) -> str:
    return "\n".join(markup)
