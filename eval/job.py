"""Evaluates a checkpoint on a split of a published version."""

import dataclasses
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from eval import (
    class_report,
    config,
    evaluate,
    pages,
    predictions,
    split_coverage,
    trained,
)
from eval.running import config_file, outputs, rank_group
from eval.running.rank_group import Ranks
from mindrecord_io.commands import progress_bar
from mindrecord_io.serving import reader, split_columns
from mindrecord_io.serving.batches import BatchPlan
from mindrecord_io.storage import files, job_files
from mindrecord_io.versions import manifests, opening, shard_checks
from model import tsm

__all__ = ["EvalOptions", "EvalResult", "evaluate_split", "open_scored", "run"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EvalOptions:
    """One evaluation.

    Attributes:
      checkpoint: a file, or a training's folder for its best one.
      overrides: keys of the configuration file and their values as text.
      config_path: a configuration file; None to go by the checkpoint alone.
      version: of the data set; None for the newest.
      map_classes: go by the classes' names where the data set numbers them otherwise.
      guess_left_out: give the clips that are not stored the most frequent labels of the
        training in the submission, which otherwise needs every clip.
      output: where to write the predictions as Parquet; None for nowhere.
      report: where to write the report by class as JSON; None for nowhere.
      submission: where to write the predictions for the test server; None for nowhere.
      page: where to write a page for people; None for nowhere.
    """

    dataset: Path | str
    checkpoint: Path | str
    overrides: Mapping[str, str]
    config_path: Path | None = None
    split: str = "validation"
    version: str | None = None
    output: Path | str | None = None
    report: Path | str | None = None
    submission: Path | str | None = None
    page: Path | str | None = None
    map_classes: bool = False
    guess_left_out: bool = False


@dataclass(frozen=True, slots=True)
class EvalResult:
    """The result of an evaluation, which the program prints last.

    Attributes:
      num_annotated: clips that the annotations have in the split.
      num_clips: clips scored: all that are stored of them.
      left_out: how many of the others there are, by reason.
      num_labelled: those that count in the accuracies, which are None without any.
    """

    split: str
    version: str
    checkpoint: str
    num_annotated: int
    num_clips: int
    left_out: dict[str, int]
    num_labelled: int
    top1: float | None
    top5: float | None
    mean_class_accuracy: float | None
    seconds: float
    clips_per_second: float

    @property
    def zoo_accuracies(self) -> dict[str, float | None]:
        """The accuracies by the names and in the order of the model zoo's eval.py."""
        return {"top_5_accuracy": self.top5, "top_1_accuracy": self.top1}


def run(options: EvalOptions) -> EvalResult | None:
    """Loads the checkpoint's network and scores every clip of the split.

    Of several ranks only the first writes files and has a result.

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
    _check_files(options)
    version = opening.open_version(options.dataset, options.version)
    coverage = split_coverage.read(version, options.split)
    _check_submission(options, coverage)
    config.use_device(*_device(sections["evaluation"]))
    ranks = rank_group.join()
    progress_bar.phase("loading the network")
    network = trained.load(options.checkpoint)
    _check_agreement(options, network.config, sections["model"])
    settings = trained.view_settings(network, sections["evaluation"])
    evaluation = _score(options, network, settings, version=version, ranks=ranks)
    if not ranks.is_first:
        return None
    recipe = {"model": network.config, "evaluation": settings}
    _write_files(options, evaluation, version, coverage, recipe=recipe)
    logger.info("%s: %s", options.split, coverage.describe())
    result = _result(options, version.manifest.version, evaluation, began)
    return dataclasses.replace(
        result, num_annotated=coverage.num_annotated, left_out=coverage.reasons
    )


def _score(
    options: EvalOptions,
    network: tsm.TSM,
    settings: config.EvalConfig,
    *,
    version: manifests.Version,
    ranks: Ranks,
) -> evaluate.Evaluation:
    """Returns the evaluation of the split, by the data set's own numbers of classes."""
    order = trained.class_order(
        network,
        version.category_names(),
        checkpoint_name=str(options.checkpoint),
        dataset=str(options.dataset),
        is_mapped=options.map_classes,
    )
    if settings.check_hashes:
        shard_checks.check_hashes(version, options.split)
    return evaluate_split(
        trained.in_order(evaluate.make_predict(network), order),
        network.config,
        settings,
        version=version,
        split=options.split,
        ranks=ranks,
    )


def evaluate_split(
    predict: evaluate.Predict,
    network_config: tsm.TSMConfig,
    settings: config.EvalConfig,
    *,
    version: manifests.Version,
    split: str,
    ranks: Ranks | None = None,
) -> evaluate.Evaluation:
    """Returns the evaluation of every clip of a split, in table order.

    Each rank scores its part; every rank must call it and gets all clips.
    """
    ranks = ranks or Ranks()
    batches = open_scored(
        network_config, settings, version=version, split=split, ranks=ranks
    )
    num_views = settings.view(network_config.num_segments).num_views
    _, batch_size = evaluate.batch_shape(settings.eval_batch_size, num_views)
    rows = batches.rows()
    scores = np.zeros((len(batches.index), network_config.num_classes), np.float32)
    scores[rows] = evaluate.score_clips(
        predict,
        progress_bar.show(
            batches.create_dict_iterator(num_epochs=1, output_numpy=True),
            f"scoring {split}",
            len(rows),
            is_shown=ranks.is_first,
        ),
        batch_size=batch_size,
        num_classes=network_config.num_classes,
        average=settings.average,
    )
    # What another rank scored is zero here.
    label_ids = batches.index.label_ids.astype(np.int32)
    return evaluate.Evaluation.of(ranks.summed(scores), label_ids)


def open_scored(
    network_config: tsm.TSMConfig,
    settings: config.EvalConfig,
    *,
    version: manifests.Version,
    split: str,
    ranks: Ranks,
) -> reader.SplitReader:
    """Opens a split as `evaluate_split` reads it: a rank's part, in table order."""
    view = settings.view(network_config.num_segments)
    num_clips, _ = evaluate.batch_shape(settings.eval_batch_size, view.num_views)
    plan = BatchPlan(
        num_clips * ranks.num_ranks, rank=ranks.rank, num_ranks=ranks.num_ranks
    )
    return reader.open_split(
        version, split, view, plan, num_workers=settings.num_workers
    )


def _check_files(options: EvalOptions) -> None:
    """Checks, before anything is scored, that the files can be written after it."""
    for name in ("output", "report", "submission", "page"):
        location = getattr(options, name)
        if location is not None:
            outputs.check(f"--{name}", location)


def _check_submission(
    options: EvalOptions, coverage: split_coverage.SplitCoverage
) -> None:
    """Checks, before anything is scored, that a submission will have every clip."""
    if options.submission and coverage.left_out and not options.guess_left_out:
        raise ValueError(
            f"a submission needs every clip of the split, but of {options.split!r} "
            f"only {coverage.describe()}; --guess_left_out gives them the most "
            f"frequent labels of the training"
        )


def _write_files(
    options: EvalOptions,
    evaluation: evaluate.Evaluation,
    version: manifests.Version,
    coverage: split_coverage.SplitCoverage,
    *,
    recipe: Mapping[str, Any],
) -> None:
    names = version.category_names()
    clip_ids = split_columns.clip_ids_of(version, options.split)
    table = predictions.to_table(evaluation, clip_ids, names)
    if options.output:
        with job_files.written(options.output) as path:
            predictions.write(table, path)
        logger.info("wrote %d predictions to %s", table.num_rows, options.output)
    if options.report:
        with job_files.written(options.report) as path:
            class_report.write(class_report.to_json(evaluation, names), path)
        logger.info("wrote a report of %d classes to %s", len(names), options.report)
    if options.submission:
        num_labels = evaluation.ranked.shape[1]
        frequent = split_coverage.frequent_label_ids(version, num_labels)
        guesses = dict.fromkeys(coverage.left_out, frequent)
        _write_submission(options.submission, table, guesses)
    if options.page:
        pages.write_evaluation(
            options.page,
            version,
            table,
            split=options.split,
            checkpoint=str(options.checkpoint),
            recipe=recipe,
        )
        logger.info("wrote a page to %s", options.page)


def _write_submission(
    location: Path | str, table: pa.Table, guesses: Mapping[str, Sequence[int]]
) -> None:
    content = predictions.to_submission(table, guesses)
    with job_files.written(location) as path:
        files.replace_file(path, content)
    logger.info(
        "wrote %d lines to %s, %d of them guesses: the most frequent labels of the "
        "training for clips that are not stored",
        table.num_rows + len(guesses),
        location,
        len(guesses),
    )


def _device(evaluation: Mapping[str, Any]) -> tuple[str, str | None]:
    """Returns the device and the precision mode of a configuration."""
    names = ("device_target", "precision_mode")
    fields = {name: evaluation[name] for name in names if name in evaluation}
    settings: config.EvalConfig = config_file.build(config.EvalConfig, fields)
    return settings.device_target, settings.precision_mode


def _check_agreement(
    options: EvalOptions, network_config: tsm.TSMConfig, fields: dict[str, Any]
) -> None:
    disagreements = network_config.disagreements(fields)
    if disagreements:
        raise config_file.ConfigError(
            f"{options.checkpoint} and {options.config_path or 'the flags'} are of two "
            f"networks: {'; '.join(disagreements)}"
        )


def _result(
    options: EvalOptions, version: str, evaluation: evaluate.Evaluation, began: float
) -> EvalResult:
    seconds = time.monotonic() - began
    return EvalResult(
        split=options.split,
        version=version,
        checkpoint=str(options.checkpoint),
        num_annotated=evaluation.num_clips,
        num_clips=evaluation.num_clips,
        left_out={},
        num_labelled=evaluation.top_k.num_clips,
        top1=evaluation.top_k.top1,
        top5=evaluation.top_k.top5,
        mean_class_accuracy=evaluation.confusion.mean_class_accuracy(),
        seconds=round(seconds, 3),
        clips_per_second=round(evaluation.num_clips / seconds, 3),
    )
