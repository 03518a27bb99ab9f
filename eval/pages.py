"""Draws the page of a training or of an evaluation, as `clipmill report` does."""

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from mindrecord_io.storage import files, job_files
from mindrecord_io.storage.folder_mirror import FolderMirror
from mindrecord_io.versions.manifests import Version
from pipelines.jobs import run_report
from pipelines.jobs.run_report import Evaluated

__all__ = ["write_evaluation", "write_run"]

logger = logging.getLogger(__name__)


def write_run(version: Version, mirror: FolderMirror) -> None:
    """Writes the page of a training that has ended into its folder.

    What goes wrong is logged: it is no reason for a training to have failed.

    Args:
      mirror: of the folder.
    """
    place = mirror.place_of(mirror.folder)
    try:
        path = run_report.write_run_page(version.location, mirror.folder)
        mirror.send(path)
    except (OSError, ValueError, RuntimeError) as error:
        logger.warning(
            "%s has no page: %s; `clipmill report --run` writes it", place, error
        )
    else:
        logger.info("a page on this training: %s", mirror.place_of(path))


def write_evaluation(
    location: Path | str,
    version: Version,
    table: pa.Table,
    *,
    split: str,
    checkpoint: str,
    recipe: Mapping[str, Any],
) -> None:
    """Writes the page of an evaluation to a path or URI.

    Args:
      table: of predictions.
      recipe: configurations by the name of their section.
    """
    sections = {name: dataclasses.asdict(value) for name, value in recipe.items()}
    evaluated = Evaluated(
        version.location,
        version.manifest.version,
        split,
        checkpoint,
        predictions=table,
        recipe=sections,
    )
    page = run_report.evaluation_page(evaluated)
    with job_files.written(location) as path:
        files.replace_file(path, page)
