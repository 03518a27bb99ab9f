"""Training on a published version, as a configuration file says."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import mindspore
from mindspore import dataset

from eval import config as eval_config
from eval import config_file, evaluate
from eval import job as eval_job
from eval.metrics import TopK
from mindrecord_io import manifest, reader, shard_hashes, views
from model import tsm
from train import config, loop, run_folder

__all__ = ["RunConfig", "TrainOptions", "epoch_opener", "load_config", "run"]


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """One training.

    Attributes:
      overrides: keys of the configuration file and their values as text.
      version: of the data set; None for the newest.
      output: a new folder for checkpoints and metrics.
    """

    config_path: Path
    dataset: Path
    output: Path
    overrides: Mapping[str, str]
    version: str | None = None


@dataclass(frozen=True, slots=True)
class RunConfig:
    """A configuration file and the flags on top, checked."""

    model: tsm.TSMConfig
    evaluation: eval_config.EvalConfig
    training: config.TrainConfig


def load_config(
    path: Path, overrides: Mapping[str, str], *, num_classes: int
) -> RunConfig:
    """Reads a configuration file.

    Args:
      num_classes: of the data set, used unless the file has another.

    Raises:
      config_file.ConfigError: a key or a value is wrong.
    """
    sections = config_file.load(
        path,
        {
            "model": tsm.TSMConfig,
            "evaluation": eval_config.EvalConfig,
            "training": config.TrainConfig,
        },
        overrides=overrides,
    )
    model = {"num_classes": num_classes} | sections["model"]
    if model["num_classes"] != num_classes:
        raise config_file.ConfigError(
            f"num_classes is {model['num_classes']} in the configuration, but the data "
            f"set has {num_classes} classes; leave the key out to follow the data set"
        )
    return RunConfig(
        config_file.build(tsm.TSMConfig, model),
        config_file.build(eval_config.EvalConfig, sections["evaluation"]),
        config_file.build(config.TrainConfig, sections["training"]),
    )


def run(options: TrainOptions) -> loop.TrainResult:
    """Trains from random weights and evaluates on the validation split.

    Raises:
      config_file.ConfigError: the configuration is wrong.
      manifest.ManifestError: there is no such data set.
      loop.TrainingError: the loss is not finite.
    """
    version = manifest.open_version(options.dataset, options.version)
    names = version.category_names()
    settings = load_config(
        options.config_path, options.overrides, num_classes=len(names)
    )
    if settings.evaluation.check_hashes:
        for split in ("train", "validation"):
            shard_hashes.check_hashes(version, split)
    eval_config.use_device(settings.evaluation.device_target)
    mindspore.set_seed(settings.training.seed)
    network = tsm.TSM(settings.model)
    predict = evaluate.make_predict(network)

    def score() -> TopK:
        return eval_job.evaluate_split(
            predict, settings.model, settings.evaluation, version, "validation"
        ).top_k

    return loop.train(
        network,
        settings.training,
        open_epoch=epoch_opener(version, settings, names),
        score=score,
        folder=run_folder.RunFolder(options.output),
        description={"version": version.manifest.version}
        | dataclasses.asdict(settings),
    )


def epoch_opener(
    version: manifest.Version, settings: RunConfig, category_names: list[str]
) -> loop.OpenEpoch:
    """Returns what opens an epoch of the train split, as the settings say."""
    training = settings.training
    view = views.TrainView(
        num_segments=settings.model.num_segments,
        crop_px=settings.evaluation.crop_px,
        scales=training.scales,
        flip_label_map=views.flip_label_map(category_names) if training.flip else None,
    )

    def open_epoch(epoch: int) -> dataset.Dataset:
        return reader.open_split(
            version.dataset,
            "train",
            view,
            batch_size=training.batch_size,
            seed=training.seed,
            epoch=epoch,
            num_workers=settings.evaluation.num_workers,
            version=version.manifest.version,
            drop_last=True,
        )

    return open_epoch
