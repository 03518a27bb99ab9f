"""The pages that list: clips by a filter, classes, one class with its confusions."""

from collections import Counter
from collections.abc import Iterator, Sequence

from mindrecord_io import records
from pipelines.browse import layout
from pipelines.browse.clip_table import CHANGES, ClipFilter
from pipelines.browse.collection import Collection
from pipelines.quarantine import REASONS
from pipelines.report import confusions, html_pieces
from pipelines.report.html_pieces import Link, escape

__all__ = ["CLIPS_PER_PAGE", "class_page", "classes_page", "clips_page"]

CLIPS_PER_PAGE = 60
_NUM_CONFUSED = 20


def clips_page(collection: Collection, chosen: ClipFilter, begin: int) -> str:
    """Returns the clips that a filter leaves, from place `begin` of them on."""
    rows = collection.rows(chosen)
    begin = min(begin, max(0, len(rows) - 1))
    begin -= begin % CLIPS_PER_PAGE
    shown = rows[begin : begin + CLIPS_PER_PAGE].tolist()
    cards = "\n".join(layout.card(collection, row, chosen.query) for row in shown)
    last = begin + len(shown)
    text = f"{begin + 1:,} to {last:,} of {len(rows):,}" if shown else "No such clip"
    around = []
    if begin:
        before = layout.link("/", **chosen.query, begin=begin - CLIPS_PER_PAGE)
        around.append(f'<a rel="prev" href="{escape(before)}">back (p)</a>')
    if last < len(rows):
        after = layout.link("/", **chosen.query, begin=last)
        around.append(f'<a rel="next" href="{escape(after)}">on (n)</a>')
    body = (
        _form(collection, chosen),
        *_withdrawn(collection, chosen),
        f'<p role="status">{text} {" ".join(around)}</p>',
        f'<div class="cards">{cards}</div>',
        '<p class="soft">Keys: / to search, arrows between clips, Enter for a clip, '
        "n and p for the next page and the one before.</p>",
    )
    return layout.page(collection, "Clips", "/", body)


def classes_page(collection: Collection) -> str:
    """Returns all classes with their clips in each split and their accuracy."""
    sizes = collection.table.class_sizes(len(collection.names))
    accuracy = _accuracies(collection)
    rows: list[Sequence[html_pieces.Cell]] = [
        [
            Link(name, layout.link("/class", label_id=label_id)),
            *(int(sizes[split][label_id]) for split in records.SPLITS),
            *([accuracy.get(label_id, "")] if collection.predictions else []),
        ]
        for label_id, name in enumerate(collection.names)
    ]
    head = ["class", *records.SPLITS]
    if collection.predictions:
        head.append("predicted right")
    body = [html_pieces.table(head, rows)]
    return layout.page(collection, "Classes", "/classes", body)


def class_page(collection: Collection, label_id: int) -> str:
    """Returns a class: its clips by split, what it is taken for, some of its clips."""
    name = collection.names[label_id]
    table = collection.table
    sizes = table.class_sizes(len(collection.names))
    totals = {split: max(1, int(sizes[split].sum())) for split in records.SPLITS}
    rows: list[Sequence[html_pieces.Cell]] = [
        [
            Link(split, layout.link("/", label_id=label_id, split=split)),
            int(sizes[split][label_id]),
            f"{100 * sizes[split][label_id] / totals[split]:.2f} %",
        ]
        for split in records.SPLITS
    ]
    chosen = ClipFilter(label_id=str(label_id), status=records.STORED)
    shown = table.rows(chosen)[:12].tolist()
    cards = "".join(layout.card(collection, row, chosen.query) for row in shown)
    body = [
        html_pieces.table(("split", "clips", "share of the split"), rows),
        *_confusions(collection, label_id),
        html_pieces.section("Some of its clips", f'<div class="cards">{cards}</div>'),
    ]
    return layout.page(collection, name, "/classes", body)


def _confusions(collection: Collection, label_id: int) -> Iterator[str]:
    predictions = collection.predictions
    if predictions is None:
        return
    first = predictions.ranked[:, 0]
    own = predictions.label_ids == label_id
    pairs = (
        ("Taken for", first[own & ~predictions.is_right]),
        (
            "Other classes taken for it",
            predictions.label_ids[(first == label_id) & ~own],
        ),
    )
    accuracy = _accuracies(collection).get(label_id, "no prediction")
    yield f"<p>Predicted right: {escape(accuracy)}</p>"
    for title, label_ids in pairs:
        counted = Counter(int(i) for i in label_ids if i >= 0).most_common(
            _NUM_CONFUSED
        )
        rows = [
            (Link(collection.names[i], layout.link("/class", label_id=i)), n)
            for i, n in counted
        ]
        listed = html_pieces.table(("class", "clips"), rows, title)
        yield listed if rows else f"<p>{title}: none.</p>"


def _accuracies(collection: Collection) -> dict[int, str]:
    predictions = collection.predictions
    if predictions is None:
        return {}
    return {
        label_id: f"{score.num_right:,} of {score.num_clips:,} "
        f"({100 * score.accuracy:.0f} %)"
        for label_id, score in confusions.class_scores(predictions).items()
    }


def _form(collection: Collection, chosen: ClipFilter) -> str:
    splits = [(s, s) for s in records.SPLITS] + [("none", "in no split")]
    statuses = [
        (s, s)
        for s in (
            *(records.STORED, records.QUARANTINED),
            *(records.MISSING, records.UNLISTED),
        )
    ]
    classes = [(str(i), name) for i, name in enumerate(collection.names)]
    fields = [
        _input("text", "part of the id", chosen.text, "search"),
        _select("split", "split", splits, chosen.split),
        _select("label_id", "class", classes, chosen.label_id),
        _select("status", "status", statuses, chosen.status),
        _select("reason", "reason", [(r, r) for r in REASONS], chosen.reason),
        _input("min_frames", "frames from", chosen.min_frames, "number"),
        _input("max_frames", "frames to", chosen.max_frames, "number"),
    ]
    if collection.predictions is not None:
        choices = [("right", "right"), ("wrong", "wrong")]
        fields.append(_select("prediction", "prediction", choices, chosen.prediction))
    others = [n for n in collection.others.names if n != _shown_name(collection)]
    if others:
        versions = [(name, f"version {name}") for name in reversed(others)]
        fields.append(_select("since", "changed since", versions, chosen.since))
        kinds = [(change, change) for change in CHANGES]
        fields.append(_select("change", "how it changed", kinds, chosen.change))
    return (
        f'<form action="/" role="search">{"".join(fields)}<button>Filter</button> '
        '<a href="/">all clips</a></form>'
    )


def _withdrawn(collection: Collection, chosen: ClipFilter) -> Iterator[str]:
    if chosen.since:
        number = collection.changes(chosen.since).num_withdrawn
        clips = html_pieces.count(number, "clip")
        text = (
            f"Gone since version {chosen.since}: {clips}; see `clipmill history "
            "--changes`."
        )
        yield f'<p class="soft">{escape(text)}</p>' if number else ""


def _shown_name(collection: Collection) -> str:
    return collection.version.manifest.version


def _input(name: str, text: str, value: str, kind: str) -> str:
    bounds = ' min="0"' if kind == "number" else ' maxlength="200"'
    return (
        f'<label>{escape(text)} <input name="{name}" type="{kind}"{bounds} '
        f'value="{escape(value)}"></label>'
    )


def _select(
    name: str, text: str, choices: Sequence[tuple[str, str]], value: str
) -> str:
    options = "".join(
        f'<option value="{escape(choice)}"{" selected" if choice == value else ""}>'
        f"{escape(shown)}</option>"
        for choice, shown in [("", "any"), *choices]
    )
    return f'<label>{escape(text)} <select name="{name}">{options}</select></label>'
