"""Writes the page of a training or of an evaluation.

A training's folder is read as it lies on the disk: config.json, metrics.jsonl and, once
a network was measured, predictions.parquet. Frames come from the data set's shards.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from mindrecord_io import naming
from mindrecord_io.storage import files
from mindrecord_io.versions import clips_table
from mindrecord_io.versions.manifests import Version
from pipelines.publishing import data_sets
from pipelines.publishing.data_sets import DataSet
from pipelines.report import clip_samples, confusions, predictions, run_page
from pipelines.report.page_style import FILM_FRAMES
from pipelines.report.predictions import Predictions
from pipelines.report.run_page import RunContent

__all__ = [
    "NUM_FILMS",
    "PAGE_FILE",
    "Evaluated",
    "RunError",
    "RunPage",
    "evaluation_page",
    "page_of_run",
    "write_run_page",
]

PAGE_FILE = "report.html"
"""The page in a training's folder."""

NUM_FILMS = 12
"""Wrong clips that are shown, unless another number is wanted."""

_FILM_HEIGHT_PX = 120
_SECTIONS = ("model", "evaluation", "training")


class RunError(ValueError):
    """A folder is not that of a training, or not one on this data set."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An evaluation whose page is wanted.

    Attributes:
      version: of the data set.
      predictions: the table that `eval --output` writes.
      recipe: keys and values of the configuration, by section.
    """

    dataset: Path | str
    version: str
    split: str
    checkpoint: str
    predictions: pa.Table
    recipe: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class RunPage:
    """A page, the version that the training is of, and the clips it was measured by."""

    content: bytes
    version: str
    num_clips: int


def evaluation_page(evaluated: Evaluated) -> bytes:
    """Returns the page of an evaluation.

    Raises:
      ManifestError, TableError, StorageError: the version cannot be read.
    """
    with data_sets.opened(evaluated.dataset) as data_set:
        version = data_set.open_version(evaluated.version)
        own = predictions.predictions_of(
            evaluated.predictions, Path("predictions"), version.category_names()
        )
        about = [
            ("checkpoint", evaluated.checkpoint),
            ("data set", str(evaluated.dataset)),
            ("version", evaluated.version),
            ("split", evaluated.split),
        ]
        title = f"{evaluated.split} of {_name(evaluated.dataset)}, measured"
        pictures = _pictures(data_set, version, own, NUM_FILMS)
        content = RunContent(title, about, evaluated.recipe, (), own, *pictures)
        return run_page.run_page_of(content).encode()


def page_of_run(
    dataset: Path | str, run: Path, *, num_films: int = NUM_FILMS
) -> RunPage:
    """Returns the page of the training in a folder.

    Raises:
      RunError: there is no training in the folder, or its files cannot be read.
      PredictionsError: its predictions are of other classes than the version's.
      ManifestError, TableError, StorageError: the version cannot be read.
    """
    config = _config(run)
    with data_sets.opened(dataset) as data_set:
        version = data_set.open_version(config["version"])
        path, own = run / "predictions.parquet", None
        if path.exists():
            own = predictions.read_predictions(path, version.category_names())
        about = [
            ("folder", str(run)),
            ("data set", str(dataset)),
            ("version", config["version"]),
            ("begun with", _first_weights(config)),
        ]
        pictures = _pictures(data_set, version, own, num_films)
        content = RunContent(
            title=f"{run.resolve().name}, trained on {_name(dataset)}",
            about=[(name, text) for name, text in about if text],
            recipe={s: config[s] for s in _SECTIONS if isinstance(config.get(s), dict)},
            epochs=_epochs(run / "metrics.jsonl"),
            predictions=own,
            strips=pictures[0],
            films=pictures[1],
        )
        return RunPage(
            run_page.run_page_of(content).encode(),
            config["version"],
            len(own.clip_ids) if own else 0,
        )


def write_run_page(dataset: Path | str, run: Path) -> Path:
    """Writes a training's page into its folder; returns its path.

    Raises: what `page_of_run` does. OSError: it cannot be written.
    """
    files.replace_file(run / PAGE_FILE, page_of_run(dataset, run).content)
    return run / PAGE_FILE


def _config(run: Path) -> dict[str, Any]:
    path = run / "config.json"
    try:
        config = json.loads(path.read_text("utf-8"))
        naming.version_number(config["version"])
    except (OSError, ValueError, TypeError, KeyError) as cause:
        raise RunError(
            f"{path}: not of a training ({cause}): give the folder that `clipmill "
            "train --output` was given"
        ) from cause
    return dict(config)


def _first_weights(config: Mapping[str, Any]) -> str:
    training = config.get("training")
    source = training.get("tune_from") if isinstance(training, dict) else None
    return str(source or "random weights")


def _epochs(path: Path) -> list[dict[str, Any]]:
    """Returns the lines of metrics.jsonl; none where there is no file yet."""
    if not path.exists():
        return []
    lines = path.read_text("utf-8").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]  # a crash may cut one off
    try:
        return [dict(json.loads(line)) for line in whole]
    except (ValueError, TypeError) as cause:
        raise RunError(f"{path}: a line is no JSON object: {cause}") from cause


def _pictures(
    data_set: DataSet, version: Version, own: Predictions | None, num_films: int
) -> tuple[dict[str, clip_samples.Sample], dict[str, clip_samples.Sample]]:
    """Returns strips of confused clips, and films of those that are most wrong."""
    if own is None or not num_films:
        return {}, {}
    pairs = confusions.confusions(own, run_page.NUM_PAIRS)
    rights = (confusions.right_clip(own, pair.predicted_label_id) for pair in pairs)
    chosen = [*(pair.clip_id for pair in pairs), *filter(None, rights)]
    wrong = [own.clip_ids[i].as_py() for i in confusions.most_wrong(own, num_films)]

    def samples(clip_ids: Sequence[str], **size: int) -> dict[str, clip_samples.Sample]:
        table = naming.clips_table_path(version.folder)
        batches = clips_table.batches(table, clip_samples.COLUMNS)
        return clip_samples.named_samples(
            version, batches, data_set.read_part, clip_ids, **size
        )

    films = samples(wrong, num_frames=FILM_FRAMES, height_px=_FILM_HEIGHT_PX)
    return samples(chosen), {i: films[i] for i in wrong if i in films}


def _name(dataset: Path | str) -> str:
    return str(dataset).rstrip("/").rpartition("/")[2]
