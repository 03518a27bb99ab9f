"""Evaluating a checkpoint on a split of a published version."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval import config, config_file, evaluate, predictions
from mindrecord_io import clip_index, manifest, reader, shard_hashes, views
from model import checkpoint, tsm

__all__ = ["EvalOptions", "EvalResult", "evaluate_split", "run"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EvalOptions:
    """One evaluation.

    Attributes:
      overrides: keys of the configuration file and their values as text.
      version: of the data set; None for the newest.
      output: where to write the predictions as Parquet; None for nowhere.
    """

    config_path: Path
    dataset: Path
    checkpoint: Path
    overrides: Mapping[str, str]
    split: str = "validation"
    version: str | None = None
    output: Path | None = None


@dataclass(frozen=True, slots=True)
class EvalResult:
    """What the program's last line tells.

    Attributes:
      num_clips: clips scored, all the split has.
      num_labelled: those that count in the accuracies, which are None without any.
    """

    split: str
    version: str
    checkpoint: str
    num_clips: int
    num_labelled: int
    top1: float | None
    top5: float | None
    mean_class_accuracy: float | None
    seconds: float
    clips_per_second: float


def run(options: EvalOptions) -> EvalResult:
    """Rebuilds the checkpoint's network and scores every clip of the split.

    Raises:
      config_file.ConfigError: the configuration is wrong, or is not the checkpoint's.
      checkpoint.CheckpointError: the checkpoint cannot be used.
      ValueError: the data set has not the classes the network was trained for.
    """
    began = time.monotonic()
    sections = config_file.load(
        options.config_path,
        {"model": tsm.TSMConfig, "evaluation": config.EvalConfig},
        overrides=options.overrides,
        ignored=("training",),
    )
    settings = config_file.build(config.EvalConfig, sections["evaluation"])
    version = manifest.open_version(options.dataset, options.version)
    config.use_device(settings.device_target)
    if settings.check_hashes:
        shard_hashes.check_hashes(version, options.split)
    network, facts = checkpoint.load(options.checkpoint)
    logger.info("loaded %s: %s", options.checkpoint, facts)
    _check_agreement(options, network.config, sections["model"])
    names = version.category_names()
    if len(names) != network.config.num_classes:
        raise ValueError(
            f"{options.checkpoint} knows {network.config.num_classes} classes, but "
            f"{options.dataset} has {len(names)}"
        )
    evaluation = evaluate_split(
        evaluate.make_predict(network), network.config, settings, version, options.split
    )
    clip_ids = clip_index.read_clip_index(version, options.split).clip_ids
    table = predictions.to_table(evaluation, clip_ids, names)
    if options.output:
        predictions.write(table, options.output)
        logger.info("wrote %d predictions to %s", table.num_rows, options.output)
    return _result(options, version.manifest.version, evaluation, began)


def evaluate_split(
    predict: evaluate.Predict,
    network_config: tsm.TSMConfig,
    settings: config.EvalConfig,
    version: manifest.Version,
    split: str,
) -> evaluate.Evaluation:
    """Scores every clip of a split, in table order, by its centre view."""
    view = views.CentreView(
        num_segments=network_config.num_segments,
        crop_px=settings.crop_px,
        resize_px=settings.resize_px,
    )
    batches = reader.open_split(
        version.dataset,
        split,
        view,
        batch_size=settings.eval_batch_size,
        num_workers=settings.num_workers,
        version=version.manifest.version,
    )
    return evaluate.evaluate(
        predict,
        batches.create_dict_iterator(num_epochs=1, output_numpy=True),
        batch_size=settings.eval_batch_size,
        num_classes=network_config.num_classes,
    )


def _check_agreement(
    options: EvalOptions, network_config: tsm.TSMConfig, fields: dict[str, Any]
) -> None:
    disagreements = network_config.disagreements(fields)
    if disagreements:
        raise config_file.ConfigError(
            f"{options.checkpoint} and {options.config_path} are of two networks: "
            f"{'; '.join(disagreements)}"
        )


def _result(
    options: EvalOptions, version: str, evaluation: evaluate.Evaluation, began: float
) -> EvalResult:
    seconds = time.monotonic() - began
    return EvalResult(
        split=options.split,
        version=version,
        checkpoint=str(options.checkpoint),
        num_clips=evaluation.num_clips,
        num_labelled=evaluation.top_k.num_clips,
        top1=evaluation.top_k.top1,
        top5=evaluation.top_k.top5,
        mean_class_accuracy=evaluation.confusion.mean_class_accuracy(),
        seconds=round(seconds, 3),
        clips_per_second=round(evaluation.num_clips / seconds, 3),
    )
