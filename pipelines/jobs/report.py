"""`clipmill report`: a version as a page for people.

The page is written beside the version's own files, at any time and as often as one
likes. It is no part of what was published: it also describes the parent, which may be
gone by then, and shows what can be read now. So no job looks at it, and it goes with
its version when that is pruned.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mindrecord_io import naming, records
from mindrecord_io.commands import command_line, log_lines
from mindrecord_io.storage import files
from mindrecord_io.versions import (
    clips_table,
    manifests,
    same_bytes,
    version_differences,
)
from mindrecord_io.versions.same_bytes import SameBytes
from pipelines.building import clip_notes, version_draft
from pipelines.jobs import brakes, parsers, run_report, tsv_lists
from pipelines.jobs.parsers import ReportOptions
from pipelines.planning.clip_listing import LOST_COLUMNS
from pipelines.publishing import data_sets
from pipelines.report import (
    clip_samples,
    data_card,
    refused_page,
    version_figures,
    version_page,
)

__all__ = ["ReportResult", "main", "report"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReportResult:
    """What was written; `asdict` of it is the command's last line of output."""

    report: str
    version: str
    num_clips: int
    num_bytes: int
    seconds: float


def report(options: ReportOptions) -> ReportResult:
    """Writes the page; replaces an older one in one step.

    Where nothing is published and a job was refused, the page is on that job.

    Raises:
      ManifestError, TableError: there is no such version, or its table is damaged.
      OSError, StorageError: the page cannot be written.
    """
    begin = time.monotonic()
    with data_sets.opened(options.dataset) as data_set:
        was_refused = _was_refused(data_set)
        if was_refused and data_set.current_name() is None:
            return _report_of_refused(options, data_set, begin)
        version = data_set.open_version(options.version)
        if was_refused:
            logger.warning(
                "%s: the last job was refused; its lists are in %s",
                data_set.location,
                brakes.REFUSED,
            )
        logger.info(
            "writing a page on version %s of %s: %d clips",
            version.manifest.version,
            data_set.location,
            version.manifest.num_clips,
            extra=log_lines.PER_SHARD,
        )
        content = _page(options, data_set, version).encode()
        name = f"versions/{version.manifest.version}/report.html"
        written_to = _write(options, data_set, name, content)
    return ReportResult(
        report=written_to,
        version=version.manifest.version,
        num_clips=version.manifest.num_clips,
        num_bytes=len(content),
        seconds=round(time.monotonic() - begin, 1),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; the result is the last line of standard output."""
    parser = parsers.report_parser()
    options = parser.make(ReportOptions, **vars(parser.parse_args(argv)))
    write = report if options.run is None else _report_of_run
    return command_line.run("report", lambda: write(options))


def _report_of_run(options: ReportOptions) -> ReportResult:
    """Writes the page of a training, as `report` does of a version."""
    begin = time.monotonic()
    assert options.run is not None
    run_page = run_report.page_of_run(
        options.dataset, options.run, num_films=options.num_samples
    )
    output = options.output or options.run / run_report.PAGE_FILE
    files.replace_file(output, run_page.content)
    return ReportResult(
        report=str(output),
        version=run_page.version,
        num_clips=run_page.num_clips,
        num_bytes=len(run_page.content),
        seconds=round(time.monotonic() - begin, 1),
    )


def _write(
    options: ReportOptions, data_set: data_sets.DataSet, name: str, content: bytes
) -> str:
    if options.output is None:
        return data_set.write(name, content)
    files.replace_file(options.output, content)
    return str(options.output)


def _was_refused(data_set: data_sets.DataSet) -> bool:
    lists = (f"{brakes.REFUSED}/{name}" for name in brakes.REFUSED_FILES[:-1])
    return any(tsv_lists.exists(data_set, path) for path in lists)


def _report_of_refused(
    options: ReportOptions, data_set: data_sets.DataSet, begin: float
) -> ReportResult:
    """Writes a page on the last job, as no version is published yet."""

    def rows(name: str, columns: Sequence[str]) -> Iterator[Mapping[str, str]]:
        return tsv_lists.rows(data_set, f"{brakes.REFUSED}/{name}", columns)

    equal = rows(same_bytes.SAME_BYTES, same_bytes.LISTED_COLUMNS)

    page = refused_page.page_of(
        refused_page.RefusedJob(
            name=_name(data_set),
            lost_list=f"{brakes.REFUSED}/{clip_notes.LOST}",
            lost=rows(clip_notes.LOST, LOST_COLUMNS),
            same=SameBytes.of_rows(equal),
            withdrawn=rows(version_draft.CHANGES, version_differences.CHANGE_COLUMNS),
        )
    ).encode()
    written_to = _write(options, data_set, f"{brakes.REFUSED}/report.html", page)
    logger.warning(
        "%s: nothing is published yet: the page is on the job that was refused",
        data_set.location,
    )
    seconds = round(time.monotonic() - begin, 1)
    return ReportResult(written_to, "", 0, len(page), seconds)


def _name(data_set: data_sets.DataSet) -> str:
    return str(data_set.location).rstrip("/").rpartition("/")[2]


def _page(
    options: ReportOptions, data_set: data_sets.DataSet, version: manifests.Version
) -> str:
    manifest = version.manifest
    figures = version_figures.figures_of(
        version.clip_batches(version_figures.COLUMNS), manifest.num_classes
    )
    # Hashed by now: it need not be again.
    table = naming.clips_table_path(version.folder)
    parent, difference = _compared_with_parent(data_set, version)
    return version_page.page_of(
        version_page.Content(
            name=_name(data_set),
            card=_card(data_set),
            manifest=manifest,
            label_names=version.category_names(),
            figures=figures,
            shards=version_figures.shard_figures(manifest),
            changes=version_differences.changes(manifest, parent),
            difference=difference,
            same=same_bytes.same_bytes_of(
                lambda: clips_table.batches(table, same_bytes.COLUMNS)
            ),
            class_samples=_class_samples(options, data_set, version),
            samples=clip_samples.samples_of(
                version,
                clips_table.batches(table, clip_samples.COLUMNS),
                data_set.read_part,
                num_stored={
                    split: figures.counts.get((split, records.STORED), 0)
                    for split in records.SPLITS
                },
                num_samples=options.num_samples,
                seed=options.seed,
            ),
        )
    )


def _class_samples(
    options: ReportOptions, data_set: data_sets.DataSet, version: manifests.Version
) -> list[clip_samples.Sample]:
    if not options.num_samples:
        return []
    table = naming.clips_table_path(version.folder)
    batches = clips_table.batches(table, clip_samples.COLUMNS)
    return clip_samples.class_samples(version, batches, data_set.read_part)


def _card(data_set: data_sets.DataSet) -> data_card.DataCard | None:
    name = data_card.CARD_FILE
    try:
        content = data_set.read_part(name, 0, data_card.MAX_NUM_BYTES + 1)
    except FileNotFoundError:
        return None
    return data_card.parse_card(content, f"{data_set.location}/{name}")


def _compared_with_parent(
    data_set: data_sets.DataSet, version: manifests.Version
) -> tuple[manifests.Manifest | None, version_differences.Difference | None]:
    """Returns the parent and what differs, if there is one that can still be read."""
    if not version.manifest.parent:
        return None, None
    try:
        parent = data_set.open_version(version.manifest.parent)
        batches = parent.clip_batches(version_differences.COLUMNS)
        parents_clips = version_differences.spilled(batches)
    except (manifests.ManifestError, clips_table.TableError) as error:
        logger.warning("not compared with its parent: %s", error)
        return None, None
    table = naming.clips_table_path(version.folder)
    own = clips_table.batches(table, version_differences.COLUMNS)
    difference = version_differences.compare(
        parents_clips, version_differences.spilled(own)
    )
    return parent.manifest, difference
