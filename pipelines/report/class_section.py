"""The classes on a version's page: the long tail, a strip of each, a table."""

from collections.abc import Iterator, Mapping, Sequence

from mindrecord_io import records
from pipelines.report import charts, html_pieces
from pipelines.report.clip_samples import Sample

__all__ = ["classes_section"]

_MAX_NAMED = 10
_MAX_PROBLEMS = 3
Sizes = Mapping[str, Sequence[int]]


def classes_section(
    sizes: Sizes, names: Sequence[str], samples: Sequence[Sample]
) -> tuple[str, ...]:
    """Returns the part's title and markup.

    Args:
      sizes: of each split, the clips stored by label_id.
      names: label texts by label_id.
      samples: one of each class that has a clip, as far as there is room.
    """
    order = sorted(range(len(names)), key=lambda i: (-sizes["train"][i], i))
    markup = [_balance(split, sizes[split], names) for split in records.SPLITS]
    for split in records.SPLITS:
        if any(sizes[split]):
            markup.append(_tail(split, sizes[split], names, order))
    listed = html_pieces.details("every class in numbers", _table(sizes, names, order))
    return "Classes", *markup, listed, *_strips(sizes, names, order, samples)


def _tail(
    split: str, sizes: Sequence[int], names: Sequence[str], order: Sequence[int]
) -> str:
    return charts.bars(
        [(names[i], sizes[i]) for i in order],
        f"{split}: clips of each class, in the order of their number in train",
        x_ticks=charts.place_ticks(len(order)),
        x_label="place of the class in the table below",
    )


def _table(sizes: Sizes, names: Sequence[str], order: Sequence[int]) -> str:
    totals = {split: max(1, sum(sizes[split])) for split in records.SPLITS}
    rows: list[Sequence[html_pieces.Cell]] = [
        [
            place,
            i,
            names[i],
            *(sizes[split][i] for split in records.SPLITS),
            *(f"{100 * sizes[s][i] / totals[s]:.2f} %" for s in records.SPLITS),
        ]
        for place, i in enumerate(order, 1)
    ]
    shares = [f"share of {split}" for split in records.SPLITS]
    return html_pieces.table(
        ("place", "label_id", "label", *records.SPLITS, *shares), rows
    )


def _strips(
    sizes: Sizes, names: Sequence[str], order: Sequence[int], samples: Sequence[Sample]
) -> Iterator[str]:
    by_label_id = {sample.label_id: sample for sample in samples}
    problems = [f"{s.clip_id}: {s.problem}" for s in samples if s.problem]
    for problem in problems[:_MAX_PROBLEMS]:
        yield f'<p class="bad">{html_pieces.escape(problem)}</p>'
    if len(problems) > _MAX_PROBLEMS:
        yield f'<p class="bad">and {len(problems) - _MAX_PROBLEMS:,} more.</p>'
    most = max(1, *sizes["train"])
    figures = []
    for i in order:
        shown = by_label_id.get(i)
        counts = ", ".join(f"{split} {sizes[split][i]:,}" for split in records.SPLITS)
        bar = html_pieces.share(
            sizes["train"][i] / most, f"train {sizes['train'][i]:,}"
        )
        if shown and shown.strip:
            text = f"{names[i]}: {counts}; clip {shown.clip_id}"
            figures.append(html_pieces.strip_figure(shown.strip, "", text, bar))
        elif not shown:
            text = f"{names[i]}: {counts}"
            figures.append(html_pieces.strip_figure("", "no picture", text, bar))
    if figures:
        yield (
            '<p class="soft">One clip of each class, the largest class first: eight '
            "frames, one of each equal part of the clip, as TSM sees it. The bar is "
            "the class's number of clips in train.</p>"
        )
        yield f'<div class="sheet">{"".join(figures)}</div>'


def _balance(split: str, sizes: Sequence[int], names: Sequence[str]) -> str:
    if not any(sizes):
        note = f"{split}: no labelled clip"
        return f'<p class="soft">{html_pieces.escape(note)}</p>'
    largest, smallest = max(sizes), min(n for n in sizes if n)
    text = (
        f"{split}: the largest class has {largest:,} clips, the smallest {smallest:,}: "
        f"{largest / smallest:.1f} to 1."
    )
    missing = [name for name, n in zip(names, sizes, strict=True) if not n]
    if not missing:
        return f"<p>{html_pieces.escape(text)}</p>"
    named = ", ".join(missing[:_MAX_NAMED])
    more = f" and {len(missing) - _MAX_NAMED} more" if len(missing) > _MAX_NAMED else ""
    warning = f"{len(missing)} classes have no clip in {split}: {named}{more}"
    return (
        f"<p>{html_pieces.escape(text)} "
        f'<span class="bad">{html_pieces.escape(warning)}</span></p>'
    )
