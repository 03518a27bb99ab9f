"""Makes the page of a training or of an evaluation, in the dress of a version's."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.report import charts, confusions, html_pieces
from pipelines.report.clip_samples import Sample
from pipelines.report.html_pieces import escape
from pipelines.report.predictions import Predictions

__all__ = ["NUM_PAIRS", "RunContent", "run_page_of"]

NUM_PAIRS = 12
"""Pairs of confused classes that are shown with strips."""

_NUM_WORST = 10
_NUM_COLUMNS = 3  # of the recipe
_CURVES: tuple[tuple[str, tuple[tuple[str, str], ...], float], ...] = (
    ("loss", (("train", "loss"),), 1),
    (
        "top-1 accuracy in per cent",
        (("validation", "top1"), ("train", "train_top1")),
        100,
    ),
    ("learning rate", (("at the epoch's end", "learning_rate"),), 1),
    (
        "time spent waiting for clips, in per cent",
        (("share of the epoch", "waiting_share"),),
        100,
    ),
)
"""Of each chart: caption, (name, key of metrics.jsonl) of each curve, a factor."""

_ALWAYS_SHOWN = (
    *("arch", "num_segments", "shift_place", "shift_mode", "num_classes"),
    *("crop_px", "resize_px", "epochs", "batch_size", "accumulate", "optimizer"),
    *("learning_rate", "schedule", "weight_decay", "tune_from", "seed"),
    *("eval_crops", "eval_frames", "device_target"),
)


@dataclass(frozen=True, slots=True)
class RunContent:
    """The content of a page.

    Attributes:
      about: what it is of, in rows: (name, text).
      recipe: keys and values of the configuration, by section.
      epochs: the lines of metrics.jsonl; none for an evaluation.
      predictions: of clips that were not trained on; None where there are none.
      strips: of confused clips and of those that they are taken for, by id.
      films: of the clips that the network is most wrong about, by id, in that order.
    """

    title: str
    about: Sequence[tuple[str, str]]
    recipe: Mapping[str, Mapping[str, Any]]
    epochs: Sequence[Mapping[str, Any]]
    predictions: Predictions | None
    strips: Mapping[str, Sample]
    films: Mapping[str, Sample]


def run_page_of(content: RunContent) -> str:
    """Returns the page as HTML."""
    parts = (_curves, _recipe, _classes, _pairs, _wrong_clips)
    sections = filter(None, (make(content) for make in parts))
    about = html_pieces.table(("", ""), content.about)
    body = (_summary(content), about, *(html_pieces.section(*s) for s in sections))
    return html_pieces.document(content.title, body)


def _summary(content: RunContent) -> str:
    epochs, predictions = content.epochs, content.predictions
    boxes = []
    if predictions is not None and any(predictions.label_ids >= 0):
        scores = confusions.class_scores(predictions).values()
        num_clips = sum(score.num_clips for score in scores)
        num_right = sum(score.num_right for score in scores)
        mean = sum(score.accuracy for score in scores) / len(scores)
        boxes += [
            ("top-1", _percent(num_right / num_clips)),
            ("mean over the classes", _percent(mean)),
            ("clips with a label", f"{num_clips:,}"),
        ]
    elif best := max(_values(epochs, "top1"), default=None):
        boxes.append(("best top-1", _percent(best)))
    if epochs:
        seconds = sum(_values(epochs, "seconds"))
        speeds = sorted(_values(epochs, "clips_per_second")) or [0.0]
        boxes += [
            ("epochs", f"{len(epochs):,}"),
            ("steps", f"{epochs[-1].get('step', 0):,}"),
            ("hours of training", f"{seconds / 3600:,.2f}"),
            ("clips a second, median", f"{speeds[len(speeds) // 2]:,.1f}"),
        ]
    return html_pieces.facts(boxes)


def _values(epochs: Sequence[Mapping[str, Any]], key: str) -> list[float]:
    return [y for _, y in _points(epochs, key, 1)]


def _points(
    epochs: Sequence[Mapping[str, Any]], key: str, factor: float
) -> tuple[tuple[float, float], ...]:
    """Returns (epoch, counted from 1, value) of the epochs that have the value."""
    values = [
        (line.get("epoch", i) + 1, line.get(key)) for i, line in enumerate(epochs)
    ]
    return tuple(
        (epoch, factor * value)
        for epoch, value in values
        if isinstance(value, int | float) and math.isfinite(value)
    )


def _curves(content: RunContent) -> tuple[str, ...]:
    if not content.epochs:
        return ()
    drawn = []
    for caption, named, factor in _CURVES:
        curves = [
            charts.Line(name, points)
            for name, key in named
            if (points := _points(content.epochs, key, factor))
        ]
        chart = charts.lines(curves, caption, x_label="epoch")
        drawn.append(f"<div>{chart}</div>")
    return "Curves", f'<div class="charts">{"".join(drawn)}</div>'


def _recipe(content: RunContent) -> tuple[str, ...]:
    if not content.recipe:
        return ()
    keys = [
        (section, key, _text(value))
        for section, values in content.recipe.items()
        for key, value in values.items()
    ]
    chief = [(key, value) for _, key, value in keys if key in _ALWAYS_SHOWN]
    chief.sort(key=lambda pair: _ALWAYS_SHOWN.index(pair[0]))
    every = html_pieces.table(("section", "key", "value"), keys)
    height = -(-len(chief) // _NUM_COLUMNS) or 1
    columns = (
        html_pieces.table(("", ""), chief[begin : begin + height])
        for begin in range(0, len(chief), height)
    )
    return (
        "Recipe",
        f'<div class="beside">{"".join(columns)}</div>',
        html_pieces.details("every key", every),
    )


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None or value == "" else str(value)


def _classes(content: RunContent) -> tuple[str, ...]:
    predictions = content.predictions
    scores = confusions.class_scores(predictions) if predictions else {}
    if predictions is None or not scores:
        return ()
    order = sorted(scores, key=lambda i: (scores[i].accuracy, i))
    values = [(predictions.names[i], round(100 * scores[i].accuracy)) for i in order]
    rows: list[Sequence[html_pieces.Cell]] = [
        [
            place,
            predictions.names[i],
            scores[i].num_clips,
            scores[i].num_right,
            _percent(scores[i].accuracy),
        ]
        for place, i in enumerate(order, 1)
    ]
    head = ("place", "class", "clips", "right", "accuracy")
    markup = [
        charts.bars(
            values,
            "accuracy of each class in per cent, the worst first",
            x_ticks=charts.place_ticks(len(order)),
            x_label="place of the class in the table below",
        ),
        html_pieces.table(head, rows[:_NUM_WORST], "the worst classes"),
    ]
    if len(rows) > _NUM_WORST:
        every = html_pieces.table(head, rows)
        markup.append(html_pieces.details("every class", every))
    return "Classes", *markup


def _pairs(content: RunContent) -> tuple[str, ...]:
    predictions = content.predictions
    pairs = confusions.confusions(predictions, NUM_PAIRS) if predictions else []
    if predictions is None or not pairs:
        return ()
    names = predictions.names
    markup = [
        '<p class="soft">The most frequent ones: above a clip that is taken for '
        "another class, below one that is of that class and predicted right.</p>"
    ]
    figures = []
    for pair in pairs:
        own, other = names[pair.label_id], names[pair.predicted_label_id]
        clips = html_pieces.count(pair.num_clips, "clip")
        right = confusions.right_clip(predictions, pair.predicted_label_id)
        shown = [
            (pair.clip_id, f'{clips} of "{own}" taken for "{other}": {pair.clip_id}'),
            (right, f'"{other}": {right}'),
        ]
        strips = "".join(
            html_pieces.strip_figure(sample.strip, sample.problem, text)
            for clip_id, text in shown
            if (sample := content.strips.get(clip_id))
        )
        figures.append(f"<div>{strips or f'<p>{escape(shown[0][1])}</p>'}</div>")
    markup.append(f'<div class="sheet pairs">{"".join(figures)}</div>')
    return "Taken for another class", *markup


def _wrong_clips(content: RunContent) -> tuple[str, ...]:
    predictions = content.predictions
    if predictions is None or not content.films:
        return ()
    rows = {
        clip_id: row for row, clip_id in enumerate(predictions.clip_ids.to_pylist())
    }
    films = []
    for clip_id, sample in content.films.items():
        row = rows[clip_id]
        label = predictions.names[int(predictions.label_ids[row])]
        first = predictions.names[int(predictions.ranked[row, 0])]
        text = (
            f'{clip_id}: "{label}" ({_percent(predictions.label_probabilities[row])}), '
            f'predicted "{first}" ({_percent(predictions.probabilities[row, 0])})'
        )
        films.append(html_pieces.film(sample.strip, sample.problem, text))
    return (
        "The clips it is most wrong about",
        '<p class="soft">They play under the mouse and with the focus. A label may be '
        "wrong as well: `clipmill suspects` and `clipmill browse` lead through "
        "these.</p>",
        f'<div class="films">{"".join(films)}</div>',
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
