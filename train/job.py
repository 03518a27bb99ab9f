"""Trains on a published version with the values of a configuration file."""

import contextlib
import dataclasses
import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mindspore

from eval import config as eval_config
from eval import job as eval_job
from eval import pages, trained
from eval.running import config_file, rank_group
from eval.running.rank_group import Ranks
from mindrecord_io.commands import program, progress_bar
from mindrecord_io.serving import reader, views
from mindrecord_io.serving.batches import BatchPlan
from mindrecord_io.versions import manifests, opening, shard_checks
from model import tsm
from model.cards import ModelCard
from train import (
    clips,
    compile_cache,
    config,
    first_network,
    loop,
    resuming,
    run_config,
    run_folder,
    store_traffic,
    summary,
)
from train.results import TrainResult
from train.run_config import RunConfig
from train.store_traffic import Prices, TrafficMeter
from train.validation import Validation

__all__ = [
    "TrainOptions",
    "check_divides",
    "epoch_opener",
    "run",
]


logger = logging.getLogger(__name__)

_SPLITS = ("train", "validation")


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """One training.

    Attributes:
      overrides: keys of the configuration file and their values as text.
      version: of the data set; None for the newest, or for the one to resume with.
      output: a new folder for checkpoints and metrics, or the one to resume.
      resume: from the checkpoint after that many steps, or "newest"; None: begin anew.
      profile: log which operators take the time of a step.
      dry_run: only predict what is fetched from an object store, at these prices.
    """

    config_path: Path
    dataset: Path | str
    output: Path | str
    overrides: Mapping[str, str]
    version: str | None = None
    resume: str | None = None
    profile: bool = False
    dry_run: bool = False
    prices: Prices = field(default_factory=Prices)


def run(options: TrainOptions) -> TrainResult | dict[str, Any] | None:
    """Trains and evaluates on the validation split; only the first rank has a result.

    A dry run returns a dictionary: what is fetched, and what it costs.

    Raises:
      config_file.ConfigError: the configuration is wrong, or not the one to resume.
      manifest.ManifestError: there is no such data set.
      ValueError: it has nothing to train by, or nothing to measure with.
      checkpoint.CheckpointError: there is nothing to resume, or it is damaged.
      loop.TrainingError: the loss is not finite.
    """
    with run_folder.opened(options.output) as folder:
        if options.resume is not None:
            folder.fetch()
        start = _read(options, folder)
        if options.dry_run:
            version, settings = start.version, start.settings
            return store_traffic.dry_run(
                version,
                settings.training,
                training=epoch_opener(version, settings, version.category_names())(
                    0, 0
                ),
                validation=_opened_validation(version, settings, Ranks()),
                prices=options.prices,
            )
        if start.step is None:
            folder.check_new()
        return _train(start, folder, is_profiled=options.profile)


@dataclass(frozen=True, slots=True)
class _Start:
    """What a training begins or goes on with.

    Attributes:
      step: to go on after; None where it begins anew, 0 where it begins again.
      begun_with: the configuration that it was begun with; {} without one.
    """

    version: manifests.Version
    settings: RunConfig
    step: int | None
    begun_with: Mapping[str, Any]


def _read(options: TrainOptions, folder: run_folder.RunFolder) -> _Start:
    """Reads the version and the configuration, and checks that they go together."""
    step = resuming.step_to_resume(folder, options.resume)
    begun_with = {} if step is None else folder.read_config()
    version_name = options.version or begun_with.get("version")
    version = opening.open_version(options.dataset, version_name)
    kept = first_network.flags_of(begun_with) if step else {}
    settings = run_config.load(
        options.config_path,
        {**options.overrides, **kept},
        num_classes=len(version.category_names()),
    )
    if step is not None:
        description = _description(version, settings)
        resuming.check_same_run(folder.place, begun_with, description)
    else:
        first_network.check(settings.training)
    _check_splits(version)
    return _Start(version, settings, step, begun_with)


def _train(
    start: _Start, folder: run_folder.RunFolder, *, is_profiled: bool
) -> TrainResult | None:
    version, settings, step = start.version, start.settings, start.step
    evaluation = settings.evaluation
    if evaluation.check_hashes:
        for split in _SPLITS:
            shard_checks.check_hashes(version, split)
    eval_config.use_device(evaluation.device_target, evaluation.precision_mode)
    ranks = rank_group.join()
    check_divides(settings, ranks)
    mindspore.set_seed(settings.training.seed)
    progress_bar.phase("making the network")
    network = _make_network(version, settings, start.begun_with if step else {})
    training = _make_training(version, settings, network, folder, ranks)
    meter = _meter(start, ranks)
    if ranks.is_first:
        _log_summary(version, settings, training, ranks)
        logger.info("output: %s", folder.place)
    with folder.locked() if ranks.is_first else contextlib.nullcontext():
        compile_cache.use(folder.path, _description(version, settings), ranks.num_ranks)
        if step:
            rates = training.rates
            resuming.log_growth(start.begun_with, settings.training, step, rates)
            training.resume(step)
        else:
            training.begin(is_again=step == 0)
        result = training.run(is_profiled=is_profiled)
    if not ranks.is_first:
        return None
    pages.write_run(version, folder.mirror)
    return dataclasses.replace(result, store=meter.traffic())


def _meter(start: _Start, ranks: Ranks) -> TrafficMeter:
    version, settings = start.version, start.settings
    names = version.category_names()
    return TrafficMeter(
        version,
        settings.training,
        training=epoch_opener(version, settings, names, ranks)(0, 0),
        validation=_opened_validation(version, settings, ranks),
        num_steps_done=start.step or 0,
    )


def _opened_validation(
    version: manifests.Version, settings: RunConfig, ranks: Ranks
) -> reader.SplitReader:
    return eval_job.open_scored(
        settings.model,
        settings.evaluation,
        version=version,
        split="validation",
        ranks=ranks,
    )


def _log_summary(
    version: manifests.Version,
    settings: RunConfig,
    training: loop.Training,
    ranks: Ranks,
) -> None:
    steps = summary.step_line(
        settings.training,
        len(training.rates) // settings.training.epochs,
        device_target=settings.evaluation.device_target,
        num_ranks=ranks.num_ranks,
    )
    network = summary.network_line(training.network)
    for line in (network, *summary.data_lines(version), steps):
        logger.info("%s", line)


def _check_splits(version: manifests.Version) -> None:
    """Checks that there are clips to train by and to measure with.

    Raises:
      ValueError: there is nothing to train by, or nothing to measure with.
    """
    shards = version.manifest.shards
    num_stored = {s: sum(e.num_rows for e in shards if e.split == s) for s in _SPLITS}
    for split, num_clips in num_stored.items():
        if not num_clips:
            raise ValueError(
                f"{version.dataset}: split {split!r} of version "
                f"{version.manifest.version} has no stored clips, and training needs "
                f"both: {num_stored}"
            )


def _make_training(
    version: manifests.Version,
    settings: RunConfig,
    network: tsm.TSM,
    folder: run_folder.RunFolder,
    ranks: Ranks,
) -> loop.Training:
    validation = Validation(network, settings.evaluation, version=version, ranks=ranks)
    names = version.category_names()
    return loop.Training(
        network,
        settings.training,
        device_target=settings.evaluation.device_target,
        clips=clips.SplitClips(epoch_opener(version, settings, names, ranks)),
        score=validation.score,
        keep_best=lambda: validation.write_predictions(folder.predictions_path),
        folder=folder,
        description=_description(version, settings),
        ranks=ranks,
    )


def _description(version: manifests.Version, settings: RunConfig) -> dict[str, Any]:
    return {"version": version.manifest.version} | dataclasses.asdict(settings)


def _make_network(
    version: manifests.Version, settings: RunConfig, begun_with: Mapping[str, Any]
) -> tsm.TSM:
    """Returns the network to train, with its card; `begun_with` if it is resumed."""
    parts = settings.model, settings.training
    if begun_with:
        network = first_network.make_again(*parts, begun_with)
    else:
        network = first_network.make(*parts, class_names=version.category_names())
    network.card = _card(version, settings, network.card)
    return network


def _card(
    version: manifests.Version, settings: RunConfig, origin: ModelCard
) -> ModelCard:
    """Returns the card of a training's network; the weights' facts are of `origin`."""
    view = {name: getattr(settings.evaluation, name) for name in trained.VIEW_KEYS}
    manifest = version.manifest
    return dataclasses.replace(
        origin,
        class_names=tuple(version.category_names()),
        view=view | {"train_frames": settings.training.train_frames},
        dataset=str(version.location),
        dataset_version=manifest.version,
        dataset_digest=hashlib.sha256(manifests.encoded(manifest)).hexdigest(),
        decode_settings=dataclasses.asdict(manifest.settings),
        program=program.VERSION,
    )


def epoch_opener(
    version: manifests.Version,
    settings: RunConfig,
    category_names: list[str],
    ranks: Ranks | None = None,
) -> Callable[[int, int], reader.SplitReader]:
    """Returns a function that opens the train split at an epoch and a step of it."""
    training, ranks = settings.training, ranks or Ranks()
    view = views.TrainView(
        num_segments=settings.model.num_segments,
        crop_px=settings.evaluation.crop_px,
        scales=training.scales,
        frame_sampling=training.train_frames,
        flip_label_map=views.flip_label_map(category_names) if training.flip else None,
    )

    def open_at(epoch: int, step: int) -> reader.SplitReader:
        plan = BatchPlan(
            batch_size=training.clips_per_step,
            seed=training.seed,
            epoch=epoch,
            begin_step=step,
            drop_last=True,
            rank=ranks.rank,
            num_ranks=ranks.num_ranks,
            sampling=config.SAMPLINGS[training.sampling],
        )
        num_workers = settings.evaluation.num_workers
        return reader.open_split(version, "train", view, plan, num_workers=num_workers)

    return open_at


def check_divides(settings: RunConfig, ranks: Ranks) -> None:
    """Checks that the ranks' shares of a batch are equal.

    Raises:
      config_file.ConfigError: the batch size does not divide.
    """
    batch_size = settings.training.batch_size
    if batch_size % ranks.num_ranks:
        raise config_file.ConfigError(
            f"batch_size is for all ranks together and must be a multiple of their "
            f"number, {ranks.num_ranks}: {batch_size}"
        )
