"""RunConfig: what a configuration file and the flags on top make of a training."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval import config as eval_config
from eval.running import config_file
from model import tsm
from train import config

__all__ = ["RunConfig", "load"]


@dataclass(frozen=True, slots=True)
class RunConfig:
    """A configuration file and the flags on top, checked."""

    model: tsm.TSMConfig
    evaluation: eval_config.EvalConfig
    training: config.TrainConfig


def load(path: Path, overrides: Mapping[str, str], *, num_classes: int) -> RunConfig:
    """Reads a configuration file and checks it with its flags.

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
    model: dict[str, Any] = {"num_classes": num_classes} | sections["model"]
    if model["num_classes"] != num_classes:
        raise config_file.ConfigError(
            f"num_classes is {model['num_classes']} in the configuration, but the data "
            f"set has {num_classes} classes; leave the key out to follow the data set"
        )
    if model.get("consensus") == "identity":
        raise config_file.ConfigError(
            "a network with consensus 'identity' has logits for every segment and "
            "cannot be trained: use 'avg'"
        )
    return RunConfig(
        config_file.build(tsm.TSMConfig, model),
        config_file.build(eval_config.EvalConfig, sections["evaluation"]),
        config_file.build(config.TrainConfig, sections["training"]),
    )
