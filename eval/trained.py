"""A trained network, used by what its checkpoint has of its use."""

import itertools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eval import config, evaluate
from eval.running import config_file
from mindrecord_io.storage import job_files, locations
from model import checkpoint, weight_files
from model.tsm import TSM

__all__ = [
    "VIEW_KEYS",
    "check_classes",
    "class_order",
    "in_order",
    "load",
    "view_settings",
]

logger = logging.getLogger(__name__)

VIEW_KEYS = ("crop_px", "resize_px", "eval_crops", "eval_frames", "average")
"""Fields of EvalConfig that decide what the network is shown of a clip."""

_MAX_NAMED = 5


def load(location: Path | str) -> TSM:
    """Returns the network of a checkpoint, or of a training's folder the best one.

    Args:
      location: a path, or the URI of a .ckpt file or of a folder.

    Raises:
      checkpoint.CheckpointError: there is none, or it cannot be used.
      StorageError: it cannot be fetched.
    """
    location = file_location(location)
    try:
        with job_files.fetched(location) as path:
            return checkpoint.load(path)[0]
    except FileNotFoundError as cause:
        raise checkpoint.CheckpointError(f"there is no checkpoint {location}") from (
            cause
        )


def file_location(location: Path | str) -> Path | str:
    """Returns the file that a URI means: a training's folder has its best one."""
    is_file = Path(location).suffix in weight_files.READERS
    if is_file or not locations.is_remote(location):
        return location
    return f"{location}/{checkpoint.BEST_FILE}"


def view_settings(network: TSM, given: Mapping[str, Any]) -> config.EvalConfig:
    """Returns how clips are viewed: as in training, but for what is given.

    Logs what is given and differs, and what neither has, so that a default holds.

    Args:
      given: fields of EvalConfig, of a configuration file or of flags.

    Raises:
      config_file.ConfigError: the values do not go together.
    """
    view = {k: v for k, v in network.card.view.items() if k in VIEW_KEYS}
    settings: config.EvalConfig
    settings = config_file.build(config.EvalConfig, {**view, **given})
    for name in VIEW_KEYS:
        _log_choice(name, getattr(settings, name), view, given)
    return settings


def crop_px(network: TSM, given: int | None) -> int:
    """Returns the side of the frames of a network, logged as by `view_settings`."""
    view = network.card.view
    px: int = given or view.get("crop_px", config.EvalConfig().crop_px)
    _log_choice("crop_px", px, view, {} if given is None else {"crop_px": given})
    return px


def class_order(
    network: TSM,
    names: Sequence[str],
    *,
    checkpoint_name: str,
    dataset: str,
    is_mapped: bool = False,
) -> list[int] | None:
    """Returns for each label_id of a data set the logit of its class.

    Args:
      names: label texts of the data set, by label_id.
      is_mapped: go by the texts where the two have the same ones in another order.

    Returns: None where every class has the same number in both.

    Raises:
      ValueError: the classes are others; the message lists them.
    """
    own = network.card.class_names
    if network.config.num_classes != len(names):
        raise ValueError(
            f"{checkpoint_name} has {network.config.num_classes} classes, but "
            f"{dataset} has {len(names)}{_differences(own, names)}"
        )
    if not own or own == tuple(names):
        return None
    if set(own) != set(names):
        raise ValueError(
            f"{checkpoint_name} and {dataset} have other classes"
            f"{_differences(own, names)}"
        )
    if is_mapped:
        logger.info("%s: classes are mapped by their names", checkpoint_name)
        return [own.index(name) for name in names]
    moved = _moved(own, names)
    raise ValueError(
        f"{checkpoint_name} numbers {len(moved)} classes otherwise than {dataset}: "
        f"{_first(moved)}; --map_classes goes by the names"
    )


def check_classes(own: Sequence[str], names: Sequence[str], source: str) -> None:
    """Checks that a classifier to be trained further is of the data set's classes.

    Args:
      own: label texts of the weights; () where they have none.
      names: those of the data set.

    Raises:
      ValueError: they differ; the message lists them.
    """
    moved = _moved(own, names)
    if own and moved:
        raise ValueError(
            f"{source} is of other classes than the data set: {_first(moved)}; "
            f"--fresh_parts classifier begins the classifier anew"
        )


def in_order(
    predict: evaluate.Predict, order: Sequence[int] | None
) -> evaluate.Predict:
    """Returns a function that gives the logits of `predict` in another order."""
    if order is None:
        return predict
    columns = np.array(order)
    return lambda frames: predict(frames)[:, columns]


def _log_choice(
    name: str, value: Any, view: Mapping[str, Any], given: Mapping[str, Any]
) -> None:
    if name not in view and name not in given:
        text = "%s is %r by default: the checkpoint lacks that of the training"
        logger.warning(text, name, value)
    elif view.get(name, value) != value:
        text = "%s is %r as given, the network was trained with %r"
        logger.warning(text, name, value, view[name])


def _moved(own: Sequence[str], names: Sequence[str]) -> list[str]:
    return [
        f"{label_id} is {a!r} there and {b!r} here"
        for label_id, (a, b) in enumerate(itertools.zip_longest(own, names))
        if a != b
    ]


def _differences(own: Sequence[str], names: Sequence[str]) -> str:
    parts = [
        f"only {where} has {_first([repr(name) for name in sorted(only)])}"
        for where, only in (
            ("the checkpoint", set(own) - set(names)),
            ("the data set", set(names) - set(own)),
        )
        if own and only
    ]
    return f": {'; '.join(parts)}" if parts else ""


def _first(lines: Sequence[str]) -> str:
    rest = len(lines) - _MAX_NAMED
    shown = ", ".join(lines[:_MAX_NAMED])
    return f"{shown} and {rest} more" if rest > 0 else shown
