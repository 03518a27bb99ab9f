"""The frame of every page that is served, and cards of clips."""

from collections.abc import Iterable
from urllib.parse import urlencode

from pipelines.browse.collection import Collection
from pipelines.report.html_pieces import escape

__all__ = ["card", "link", "page"]

_PLACES = (("/", "Clips"), ("/classes", "Classes"), ("/suspects", "Suspects"))


def link(path: str, **query: object) -> str:
    """Returns an address of this server, as text; the query is encoded."""
    words = urlencode({name: str(value) for name, value in query.items()})
    return f"{path}?{words}" if words else path


def page(collection: Collection, title: str, here: str, body: Iterable[str]) -> str:
    """Returns a whole page.

    Args:
      title: text.
      here: the path of the part of the pages that it belongs to.
      body: markup.
    """
    version = collection.version
    name = str(version.location).rstrip("/").rpartition("/")[2]
    places = "".join(
        f'<a href="{path}"{current(path == here)}>{escape(text)}</a>'
        for path, text in _PLACES
    )
    content = "\n".join(body)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)} - {escape(name)}</title>\n"
        '<link rel="icon" href="data:,">\n<link rel="stylesheet" href="/page.css">\n'
        '<script src="/page.js" defer></script>\n</head>\n<body>\n'
        f"<header><p>{escape(name)}, version {escape(version.manifest.version)}</p>"
        f'<nav aria-label="Parts">{places}</nav></header>\n'
        f"<main>\n<h1>{escape(title)}</h1>\n{content}\n</main>\n</body>\n</html>\n"
    )


def current(is_current: bool) -> str:
    """Returns the attribute of the link to the page that is shown."""
    return ' aria-current="page"' if is_current else ""


def card(collection: Collection, row: int, query: dict[str, str]) -> str:
    """Returns a clip as a picture that plays, its id and its label.

    Args:
      query: of the list that it is shown in, which its page leads back to.
    """
    table = collection.table
    clip_id, num_frames = table.clip_id(row), int(table.num_frames[row])
    label = collection.label(row) or "not labelled"
    text = (
        f"{clip_id}, {table.text('split', row) or 'in no split'}, {num_frames} frames"
    )
    status = table.text("status", row)
    if num_frames:
        source = link("/frame", id=clip_id, index=num_frames // 2)
        picture = f'<img loading="lazy" src="{escape(source)}" alt="">'
    else:
        why = f"{status}: {table.text('reason', row)}"
        picture = f'<span class="none">{escape(why)}</span>'
    place = collection.table.prediction_row(row)
    predicted = ""
    if place is not None and collection.predictions is not None:
        first = collection.predictions.names[
            int(collection.predictions.ranked[place, 0])
        ]
        kind = "good" if collection.predictions.is_right[place] else "bad"
        predicted = f'<span class="{kind}">predicted: {escape(first)}</span>'
    href = link("/clip", id=clip_id, **query)
    return (
        f'<a class="card" href="{escape(href)}" data-clip="{escape(clip_id)}" '
        f'data-fps="{table.fps(row):g}" data-frames="{num_frames}">'
        f'<span class="picture">{picture}</span><span>{escape(label)}</span>'
        f'<span class="soft">{escape(text)}</span>{predicted}</a>'
    )
