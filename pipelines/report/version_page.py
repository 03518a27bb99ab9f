"""Makes the page of a version, for one who decides whether to train on it."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mindrecord_io import records
from mindrecord_io.versions import manifests, version_differences
from mindrecord_io.versions.provenance import Provenance
from mindrecord_io.versions.same_bytes import SameBytes
from pipelines.report import (
    charts,
    clip_samples,
    html_pieces,
    problem_sections,
    version_figures,
)
from pipelines.report.class_section import classes_section
from pipelines.report.data_card import CARD_FILE, DataCard

__all__ = ["Content", "page_of"]

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


_NUM_FILES_SHOWN = 10  # of the annotations


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a page.

    Attributes:
      name: of the data set, where it has no card that names it.
      label_names: label texts by label_id.
      changes: from the parent, in words; empty for a first version.
      difference: from the parent, in clips; None where it is gone or there was none.
    """

    name: str
    card: DataCard | None
    manifest: manifests.Manifest
    label_names: Sequence[str]
    figures: version_figures.Figures
    shards: Sequence[version_figures.ShardFigures]
    changes: Sequence[str]
    difference: version_differences.Difference | None
    same: SameBytes
    class_samples: Sequence[clip_samples.Sample]
    samples: Sequence[clip_samples.Sample]


def page_of(content: Content) -> str:
    """Returns the page as HTML."""
    sections = (
        *(_attention, _card, _origin, _changed, _clips, _classes),
        *(_lengths, _sizes, _lost, _equal_files, _shards, _samples),
    )
    name = (content.card and content.card.name) or content.name
    title = f"{name}, version {content.manifest.version}"
    parts = (make(content) for make in sections)
    return html_pieces.document(
        title,
        (_summary(content), *(html_pieces.section(*part) for part in parts if part)),
    )


def _summary(content: Content) -> str:
    manifest, figures = content.manifest, content.figures
    hours = figures.total_seconds / 3600
    return html_pieces.facts(
        [
            ("clips stored", f"{manifest.num_clips:,}"),
            ("classes", f"{manifest.num_classes:,}"),
            ("frames", f"{manifest.num_frames:,}"),
            ("hours", f"{hours:,.1f}" if hours else "not on record"),
            ("size of the shards", html_pieces.num_bytes(manifest.num_bytes)),
            ("not stored", f"{sum(n.num_clips for n in figures.lost):,}"),
            ("made", manifest.created_at[:10]),
        ]
    )


def _attention(content: Content) -> tuple[str, ...]:
    """Returns what to know before training on the version."""
    figures, same = content.figures, content.same
    lines = []
    for split in records.SPLITS:
        sizes = figures.class_sizes[split]
        if num_empty := sum(n == 0 for n in sizes) if any(sizes) else 0:
            lines.append(f"{num_empty} of {len(sizes)} classes have no clip in {split}")
    if same.leaks:
        leaks = html_pieces.count(len(same.leaks), "file")
        lines.append(f"{leaks} stored in several splits")
    if same.conflicts:
        files = html_pieces.count(len(same.conflicts), "file")
        lines.append(f"{files} stored with several labels")
    if content.manifest.num_quarantined:
        clips = html_pieces.count(content.manifest.num_quarantined, "clip")
        lines.append(f"{clips} in quarantine")
    if content.manifest.num_missing:
        clips = html_pieces.count(content.manifest.num_missing, "annotated clip")
        lines.append(f"{clips} without a file")
    if not lines:
        return ()
    items = "".join(f"<li>{html_pieces.escape(line)}</li>" for line in lines)
    return "Look at this first", f'<ul class="bad">{items}</ul>'


def _card(content: Content) -> tuple[str, ...]:
    if content.card is None:
        text = (
            f"It has no card. Write {CARD_FILE} into the data set's folder with any of "
            f"{', '.join(field.name for field in dataclasses.fields(DataCard))}."
        )
        return "Card", f'<p class="soft">{html_pieces.escape(text)}</p>'
    fields = dataclasses.asdict(content.card).items()
    rows = [(name.replace("_", " "), text) for name, text in fields if text]
    return "Card", html_pieces.table(("", ""), rows)


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
        changed = [f"{n:,} {kind}" for kind, n in difference.numbers.items() if n]
        rows.append(("clips that changed", ", ".join(changed) or "none"))
    settings = dataclasses.asdict(manifest.settings).items()
    rows += [
        ("frames made with", ", ".join(f"{name} {value}" for name, value in settings)),
        ("decoded by", "; ".join(map(str, manifest.decoders)) or "not recorded"),
        ("annotations", f"digest {manifest.label_digest}"),
        *_provenance(manifest.provenance),
        ("format version", str(manifest.format_version)),
    ]
    return "Where it came from", html_pieces.table(("", ""), rows)


def _provenance(provenance: Provenance) -> list[tuple[str, str]]:
    """Returns rows on what was run, on what and of what, as far as is on record."""
    files = provenance.annotation_files
    shown = [f"{f.path} (SHA-256 {f.sha256})" for f in files[:_NUM_FILES_SHOWN]]
    if len(files) > _NUM_FILES_SHOWN:
        shown.append(f"and {len(files) - _NUM_FILES_SHOWN:,} more")
    rows = [
        ("command", provenance.command),
        ("clipmill", provenance.program_version),
        ("machine", provenance.machine),
        ("folder of clips", provenance.clips),
        ("the clips' files", _digest(provenance.clips_digest)),
        ("annotations' path", provenance.annotations),
        ("annotations' files", "; ".join(shown)),
    ]
    return [(name, text) for name, text in rows if text]


def _digest(digest: str) -> str:
    return f"digest {digest}" if digest else ""


def _changed(content: Content) -> tuple[str, ...]:
    difference = content.difference
    if difference is None or not difference.listed:
        return ()
    where = f"clipmill history --changes {content.manifest.version} lists all"
    markup = []
    for kind, number in difference.numbers.items():
        rows = [(c, *values) for c, k, *values in difference.listed if k == kind]
        if rows:
            listed = html_pieces.table(("clip", "before", "now"), rows)
            more = problem_sections.more(number - len(rows), where)
            markup.append(html_pieces.details(f"{kind}: {number:,}", listed, more))
    return f"Changed since version {content.manifest.parent}", *markup


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
    sizes = content.figures.class_sizes
    return classes_section(sizes, content.label_names, content.class_samples)


def _lengths(content: Content) -> tuple[str, ...]:
    figures = content.figures
    if not figures.bins:
        return "Lengths", "<p>No clip is stored.</p>"
    rows: list[Sequence[html_pieces.Cell]] = [
        [split, *map(int, _quantiles(spread)), spread.mean]
        for split, spread in figures.num_frames.items()
    ]
    markup = [html_pieces.table(_FRAMES_HEAD, rows, "frames a clip")]
    markup.append(_histogram(figures.bins, "frames", 1))
    if figures.seconds is None:
        markup.append("<p>No clip's frames a second are on record.</p>")
        return "Lengths", *markup
    seconds = [[*_quantiles(figures.seconds), figures.seconds.mean]]
    head = [name.replace("fewest", "shortest") for name in _FRAMES_HEAD[1:]]
    markup.append(html_pieces.table(head, seconds, "seconds a clip, all splits"))
    markup.append(_histogram(figures.second_bins, "seconds", 0.1))
    return "Lengths", *markup


def _histogram(
    bins: Sequence[tuple[int, int, int]], unit: str, unit_per_step: float
) -> str:
    """Returns a chart of ranges of one width; a step of them is some units."""

    def text(step: float) -> str:
        return charts.number(round(step * unit_per_step, 6))

    num_bins = 4 * math.ceil(len(bins) / 4)  # so that the ticks are edges of bins
    width = bins[0][1] - bins[0][0]
    bins = [
        *bins,
        *((i * width, (i + 1) * width, 0) for i in range(len(bins), num_bins)),
    ]
    values = [(f"{text(begin)} to {text(end)} {unit}", n) for begin, end, n in bins]
    ticks = [text(bins[-1][1] * i / 4) for i in range(5)]
    caption = f"clips by their number of {unit}"
    return charts.bars(values, caption, x_ticks=ticks, x_label=unit)


def _sizes(content: Content) -> tuple[str, ...]:
    figures = content.figures
    num_stored = content.manifest.num_clips
    if not num_stored:
        return ()
    rates = [("not on record" if r == "0" else r, n) for r, n in figures.rates]
    num_bytes = (
        ("of the clips' files", figures.source_num_bytes),
        ("of the shards", content.manifest.num_bytes),
    )
    rows = [
        (name, html_pieces.num_bytes(n), html_pieces.num_bytes(n / num_stored))
        for name, n in num_bytes
    ]
    return (
        "Sizes",
        '<div class="beside">',
        html_pieces.table(("width x height", "clips"), figures.pixels),
        html_pieces.table(("frames a second", "clips"), rates),
        html_pieces.table(("bytes", "all", "a clip"), rows),
        "</div>",
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
    return problem_sections.lost_section(content.figures.lost, "clips.parquet")


def _equal_files(content: Content) -> tuple[str, ...]:
    return problem_sections.equal_files_section(content.same)


def _samples(content: Content) -> tuple[str, ...]:
    if not content.samples:
        return "Some clips", "<p>None.</p>"
    sheet = "\n".join(_figures(content.samples))
    return (
        "Some clips",
        f'<p class="soft">Chosen at random: {clip_samples.NUM_SEGMENTS} frames, one '
        "of each equal part of a clip, as TSM sees it.</p>",
        f'<div class="sheet">{sheet}</div>',
    )


def _figures(samples: Sequence[clip_samples.Sample]) -> Iterator[str]:
    for sample in samples:
        text = (
            f"{sample.clip_id}, {sample.split}, {sample.num_frames} frames: "
            f"{sample.label or 'not labelled'}"
        )
        yield html_pieces.strip_figure(sample.strip, sample.problem, text)


def _quantiles(spread: version_figures.Spread) -> tuple[float, ...]:
    return spread.minimum, spread.p1, spread.median, spread.p99, spread.maximum


def _range(spread: version_figures.Spread) -> tuple[float, ...]:
    return spread.minimum, spread.median, spread.maximum
