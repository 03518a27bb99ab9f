"""Makes the page of a version: origin, clips, classes, frames, shards, pictures."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mindrecord_io import records
from mindrecord_io.versions import manifests
from pipelines.report import (
    clip_samples,
    html_pieces,
    version_differences,
    version_figures,
)

__all__ = ["Content", "page_of"]

_MAX_NAMED_CLASSES = 10
_STATUSES = (records.STORED, records.QUARANTINED, records.MISSING, records.UNLISTED)
_FRAMES_HEAD = (
    "split",
    "fewest",
    "1 in 100 has at most",
    "median",
    "99 in 100 have at most",
    "most",
    "mean",
)
_SHARDS_HEAD = (
    "split",
    "shards",
    "rows: fewest",
    "median",
    "most",
    "bytes: fewest",
    "median",
    "most",
    "most against mean",
)


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a page.

    Attributes:
      label_names: label texts by label_id.
      changes: from the parent, in words; empty for a first version.
      difference: from the parent, in clips; None where it is gone or there was none.
    """

    manifest: manifests.Manifest
    label_names: Sequence[str]
    figures: version_figures.Figures
    shards: Sequence[version_figures.ShardFigures]
    changes: Sequence[str]
    difference: version_differences.Difference | None
    samples: Sequence[clip_samples.Sample]


def page_of(content: Content) -> str:
    """Returns the page as HTML."""
    sections = (_origin, _clips, _classes, _frames, _shards, _lost, _samples)
    return html_pieces.document(
        f"Version {content.manifest.version}",
        (
            _summary(content.manifest),
            *(html_pieces.section(*make(content)) for make in sections),
        ),
    )


def _summary(manifest: manifests.Manifest) -> str:
    text = (
        f"{manifest.num_clips:,} clips of {manifest.num_classes:,} classes, "
        f"{manifest.num_frames:,} frames, "
        f"{html_pieces.num_bytes(manifest.num_bytes)} in "
        f"{len(manifest.shards):,} shards; made {manifest.created_at}"
    )
    return f'<p class="soft">{html_pieces.escape(text)}</p>'


def _origin(content: Content) -> tuple[str, ...]:
    manifest = content.manifest
    rows = [
        ("made", manifest.created_at),
        (
            "from",
            f"version {manifest.parent}" if manifest.parent else "nothing: the first",
        ),
        ("what changed", "; ".join(content.changes) or "all of it is new"),
    ]
    if difference := content.difference:
        words = dataclasses.asdict(difference).items()
        changed = (f"{n:,} {name.removeprefix('num_')}" for name, n in words)
        rows.append(("clips that changed", ", ".join(changed)))
    settings = dataclasses.asdict(manifest.settings).items()
    rows += [
        ("frames made with", ", ".join(f"{name} {value}" for name, value in settings)),
        ("annotations", f"digest {manifest.label_digest}"),
        ("format version", str(manifest.format_version)),
    ]
    return "What it is", html_pieces.table(("", ""), rows)


def _clips(content: Content) -> tuple[str, ...]:
    counts = content.figures.counts
    splits = (*records.SPLITS, "")
    rows: list[Sequence[html_pieces.Cell]] = [
        [split or "in no split", *(counts.get((split, s), 0) for s in _STATUSES)]
        for split in splits
    ]
    sums = [sum(counts.get((split, s), 0) for split in splits) for s in _STATUSES]
    rows.append(["all", *sums])
    note = "Files are unlisted that no annotation names: they are in no split."
    return (
        "Clips",
        html_pieces.table(("split", *_STATUSES), rows, note),
    )


def _classes(content: Content) -> tuple[str, ...]:
    sizes, names = content.figures.class_sizes, content.label_names
    order = sorted(range(len(names)), key=lambda i: (-sizes["train"][i], i))
    markup = []
    for split in records.SPLITS:
        if not any(sizes[split]):
            note = f"{split}: no labelled clip"
            markup.append(f'<p class="soft">{html_pieces.escape(note)}</p>')
            continue
        markup.append(_imbalance(split, sizes[split], names))
        caption = f"{split}: clips of each class, in the order of their number in train"
        values = [(names[i], sizes[split][i]) for i in order]
        markup.append(html_pieces.bars(values, caption))
    rows: list[Sequence[html_pieces.Cell]] = [
        [i, names[i], *(sizes[split][i] for split in records.SPLITS)] for i in order
    ]
    listed = html_pieces.table(("label_id", "label", *records.SPLITS), rows)
    return "Classes", *markup, html_pieces.details("every class", listed)


def _imbalance(split: str, sizes: Sequence[int], names: Sequence[str]) -> str:
    largest, smallest = max(sizes), min(n for n in sizes if n)
    text = (
        f"{split}: the largest class has {largest:,} clips, the smallest {smallest:,}: "
        f"{largest / smallest:.1f} times fewer."
    )
    missing = [name for name, n in zip(names, sizes, strict=True) if not n]
    if not missing:
        return f"<p>{html_pieces.escape(text)}</p>"
    more = ", ..." if len(missing) > _MAX_NAMED_CLASSES else ""
    named = f"{', '.join(missing[:_MAX_NAMED_CLASSES])}{more}"
    warning = f"{len(missing)} classes have no clip in {split}: {named}"
    return (
        f"<p>{html_pieces.escape(text)} "
        f'<span class="bad">{html_pieces.escape(warning)}</span></p>'
    )


def _frames(content: Content) -> tuple[str, ...]:
    figures = content.figures
    if not figures.bins:
        return "Frames", "<p>No clip is stored.</p>"
    rows: list[Sequence[html_pieces.Cell]] = [
        [split, *map(int, _quantiles(spread)), spread.mean]
        for split, spread in figures.num_frames.items()
    ]
    values = [
        (str(begin) if end == begin + 1 else f"{begin} to {end - 1}", n)
        for begin, end, n in figures.bins
    ]
    last = figures.bins[-1][1] - 1
    num_stored = sum(n for _, _, n in figures.bins)
    stored_bytes = content.manifest.num_bytes
    return (
        "Frames",
        html_pieces.table(_FRAMES_HEAD, rows, "frames a clip"),
        html_pieces.bars(values, f"clips by their number of frames, 0 to {last}"),
        html_pieces.table(("width x height", "clips"), figures.pixels),
        html_pieces.table(
            ("frames a second", "clips"),
            [("not told" if rate == "0" else rate, n) for rate, n in figures.rates],
        ),
        html_pieces.table(
            ("bytes", "all", "a clip"),
            [
                (name, html_pieces.num_bytes(n), html_pieces.num_bytes(n / num_stored))
                for name, n in (
                    ("of the clips' files", figures.source_num_bytes),
                    ("of the shards", stored_bytes),
                )
            ],
        ),
    )


def _shards(content: Content) -> tuple[str, ...]:
    rows: list[Sequence[html_pieces.Cell]] = [
        [
            figures.split,
            figures.num_shards,
            *(int(n) for n in _range(figures.num_rows)),
            *(html_pieces.num_bytes(n) for n in _range(figures.num_bytes)),
            f"{figures.num_bytes.maximum / max(1.0, figures.num_bytes.mean):.2f}",
        ]
        for figures in content.shards
    ]
    return "Shards", html_pieces.table(_SHARDS_HEAD, rows)


def _lost(content: Content) -> tuple[str, ...]:
    lost = content.figures.lost
    if not lost:
        return "Clips that are not stored", "<p>None.</p>"
    return "Clips that are not stored", *map(_lost_for, lost)


def _lost_for(lost: version_figures.Lost) -> str:
    title = f"{lost.reason}: {lost.num_clips:,}"
    listed = html_pieces.table(("clip", "split", "what was found"), lost.shown)
    more = lost.num_clips - len(lost.shown)
    note = f"<p>and {more:,} more, see clips.parquet</p>" if more else ""
    return html_pieces.details(title, listed, note)


def _samples(content: Content) -> tuple[str, ...]:
    if not content.samples:
        return "Some clips", "<p>None.</p>"
    sheet = "\n".join(_figures(content.samples))
    return (
        "Some clips",
        '<p class="soft">Chosen at random: first, middle and last frame.</p>',
        f'<div class="sheet">{sheet}</div>',
    )


def _figures(samples: Sequence[clip_samples.Sample]) -> Iterator[str]:
    for sample in samples:
        images = "".join(
            f'<img src="{html_pieces.escape(picture)}" alt="frame of {sample.clip_id}">'
            for picture in sample.pictures
        )
        problem = f'<p class="bad">{html_pieces.escape(sample.problem)}</p>'
        text = (
            f"{sample.clip_id}, {sample.split}, {sample.num_frames} frames: "
            f"{sample.label or 'not labelled'}"
        )
        yield (
            f"<figure>{images}{problem if sample.problem else ''}"
            f"<figcaption>{html_pieces.escape(text)}</figcaption></figure>"
        )


def _quantiles(spread: version_figures.Spread) -> tuple[float, ...]:
    return spread.minimum, spread.p1, spread.median, spread.p99, spread.maximum


def _range(spread: version_figures.Spread) -> tuple[float, ...]:
    return spread.minimum, spread.median, spread.maximum
