"""`python -m pipelines report`: a version as a page for people.

The page is written beside the version's own files, at any time and as often as one
likes: it is no part of what was published, since it also tells of the parent, which may
be gone by then, and shows what can be read now. So no job looks at it, and it goes with
its version when that is pruned.
"""

import argparse
import dataclasses
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mindrecord_io import naming, records
from mindrecord_io.storage import files, object_store, spilled_rows
from mindrecord_io.versions import clips_table, manifests
from pipelines.jobs import common_flags
from pipelines.publishing import data_sets
from pipelines.report import (
    clip_samples,
    version_differences,
    version_figures,
    version_page,
)

__all__ = ["ReportOptions", "ReportResult", "main", "report"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """One report.

    Attributes:
      version: None means the current one.
      output: None means report.html in the version's folder.
      num_samples: clips that are shown, chosen by `seed`.
    """

    dataset: Path | str
    version: str | None = None
    output: Path | None = None
    num_samples: int = 12
    seed: int = 1

    def __post_init__(self) -> None:
        if self.version is not None:
            naming.version_number(self.version)
        if self.num_samples < 0 or self.seed < 0:
            raise ValueError(
                f"num_samples and seed must be at least 0, got {self.num_samples} and "
                f"{self.seed}"
            )


@dataclass(frozen=True, slots=True)
class ReportResult:
    """What was written; `asdict` of it is the command's last line of output."""

    report: str
    version: str
    num_clips: int
    num_bytes: int
    seconds: float


def report(asked: ReportOptions) -> ReportResult:
    """Writes the page; replaces an older one in one step.

    Raises:
      ManifestError, TableError: there is no such version, or its table is damaged.
      OSError, StorageError: the page cannot be written.
    """
    begin = time.monotonic()
    with data_sets.opened(asked.dataset) as data_set:
        version = data_set.open_version(asked.version)
        content = _page(asked, data_set, version).encode()
        if asked.output is None:
            name = f"versions/{version.manifest.version}/report.html"
            written_to = data_set.write(name, content)
        else:
            files.replace_file(asked.output, content)
            written_to = str(asked.output)
    return ReportResult(
        report=written_to,
        version=version.manifest.version,
        num_clips=version.manifest.num_clips,
        num_bytes=len(content),
        seconds=round(time.monotonic() - begin, 1),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; the result is the last line of standard output."""
    parser = _parser()
    flags = parser.parse_args(argv)
    try:
        asked = ReportOptions(**vars(flags))
    except ValueError as error:
        parser.error(str(error))
    try:
        result = report(asked)
    except (object_store.StorageError, OSError, ValueError) as error:
        logger.error("report failed: %s", error)
        return 1
    print(json.dumps(dataclasses.asdict(result)))  # noqa: T201
    return 0


def _page(
    asked: ReportOptions, data_set: data_sets.DataSet, version: manifests.Version
) -> str:
    said = version.manifest
    figures = version_figures.figures_of(
        version.clip_batches(version_figures.COLUMNS), said.num_classes
    )
    # Hashed by now: it need not be again.
    table = naming.clips_table_path(version.folder)
    parent, parents_clips = _parent(data_set, version)
    difference = None
    if parents_clips is not None:
        own = clips_table.batches(table, version_differences.COLUMNS)
        own_clips = version_differences.spilled(own)
        difference = version_differences.compare(parents_clips, own_clips)
    return version_page.page_of(
        version_page.Content(
            manifest=version.manifest,
            label_names=version.category_names(),
            figures=figures,
            shards=version_figures.shard_figures(said),
            changes=version_differences.changes(said, parent),
            difference=difference,
            samples=clip_samples.samples_of(
                version,
                clips_table.batches(table, clip_samples.COLUMNS),
                data_set.read_part,
                num_stored={
                    split: figures.counts.get((split, records.STORED), 0)
                    for split in records.SPLITS
                },
                num_samples=asked.num_samples,
                seed=asked.seed,
            ),
        )
    )


def _parent(
    data_set: data_sets.DataSet, version: manifests.Version
) -> tuple[manifests.Manifest | None, spilled_rows.SpilledRows | None]:
    """Returns the parent and its clips, if there is one that can still be read."""
    if not version.manifest.parent:
        return None, None
    try:
        parent = data_set.open_version(version.manifest.parent)
        batches = parent.clip_batches(version_differences.COLUMNS)
        return parent.manifest, version_differences.spilled(batches)
    except (manifests.ManifestError, clips_table.TableError) as error:
        logger.warning("not compared with its parent: %s", error)
        return None, None


def _parser() -> argparse.ArgumentParser:
    defaults = ReportOptions(Path())
    parser = argparse.ArgumentParser(
        prog="python -m pipelines report",
        description="Writes a page that shows what a version holds: one file that "
        "needs nothing else, with pictures of some clips in it.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    common_flags.add_dataset(parser)
    parser.add_argument(
        "--version", metavar="V", help="such as 000003; by default the current one"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="the page; by default report.html in the version's folder",
    )
    parser.add_argument(
        "--num_samples",
        type=int,
        default=defaults.num_samples,
        metavar="N",
        help="clips to show frames of",
    )
    parser.add_argument(
        "--seed", type=int, default=defaults.seed, help="equal seeds show equal clips"
    )
    return parser
