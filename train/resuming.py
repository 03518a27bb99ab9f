"""Where a training goes on, and what of its configuration may have changed."""

import dataclasses
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eval.config import EvalConfig
from eval.running import config_file
from model import checkpoint
from train import schedule
from train.config import TrainConfig
from train.run_folder import RunFolder

__all__ = ["NEWEST", "check_same_run", "log_growth", "step_to_resume"]

logger = logging.getLogger(__name__)

NEWEST = "newest"

_FREE_KEYS = {
    "evaluation": ("check_hashes", "device_target", "eval_batch_size", "num_workers"),
    "training": ("checkpoint_every", "evaluate_every", "keep_checkpoints", "log_every"),
}
"""Of a configuration, what may differ where a training is resumed."""


def step_to_resume(folder: RunFolder, resume: str | None) -> int | None:
    """Returns after how many steps to go on; None to begin a new training.

    A training that ended before its first checkpoint is begun again: 0.

    Args:
      resume: "newest", or the number of steps.

    Raises:
      checkpoint.CheckpointError: there is nothing to resume.
      config_file.ConfigError: there is no such checkpoint.
    """
    if resume is None:
        return None
    steps = folder.checkpoints.steps()
    if not steps and resume == NEWEST and folder.config_path.exists():
        logger.info("%s has no checkpoint yet: from the first step", folder.place)
        return 0
    if not steps:
        raise checkpoint.CheckpointError(
            f"nothing to resume: there is no checkpoint in "
            f"{folder.mirror.place_of(folder.checkpoints.folder)}"
        )
    if resume == NEWEST:
        return steps[-1]
    if resume not in map(str, steps):
        raise config_file.ConfigError(
            f"--resume must be one of {', '.join(map(str, steps))}, or without a value "
            f"for the newest: {resume}"
        )
    return int(resume)


def check_same_run(
    place: Path | str, begun_with: Mapping[str, Any], description: Mapping[str, Any]
) -> None:
    """Checks that a resumed training has the configuration that it began with.

    What has no part in the weights may differ, and there may be more epochs. A key that
    the program did not have when the training began must have its default.

    Args:
      place: of the run folder.
      begun_with: the configuration it was begun with; `description`: the one now.

    Raises:
      config_file.ConfigError: another value differs.
    """
    current = json.loads(json.dumps(description))
    differing = [
        f"{name} was {before!r} and is {value!r}"
        for section in ("model", "evaluation", "training")
        for name, value in current[section].items()
        for before in [begun_with.get(section, {}).get(name, _default(section, name))]
        if not _may_differ(section, name, before, value)
    ]
    if differing:
        raise config_file.ConfigError(
            f"{place} was begun with other values: {'; '.join(differing)}"
        )


def log_growth(
    begun_with: Mapping[str, Any],
    training: TrainConfig,
    step: int,
    rates: npt.NDArray[np.float32],
) -> None:
    """Logs what more epochs than before do to the learning rate.

    Args:
      step: the steps that are done.
      rates: the learning rate of every step by the new number of epochs.
    """
    num_epochs = begun_with["training"]["epochs"]
    if num_epochs == training.epochs:
        return
    before = schedule.learning_rates(
        training.schedule,
        training.scaled_learning_rate,
        num_epochs=num_epochs,
        steps_per_epoch=len(rates) // training.epochs,
        milestones=training.milestones,
        warmup_epochs=training.warmup_epochs,
    )
    was = f"{before[step]:.3g}" if step < len(before) else "none, as it was over"
    logger.warning(
        "epochs grow from %d to %d: by the %r schedule the learning rate of the next "
        "step is %.3g (before: %s), that of the last one %.3g (before: %.3g)",
        num_epochs,
        training.epochs,
        training.schedule,
        rates[step],
        was,
        rates[-1],
        before[-1],
    )


def _default(section: str, name: str) -> Any:
    """Returns what a key does nothing with; None for a section that has no such."""
    sections = {"evaluation": EvalConfig, "training": TrainConfig}
    fields = dataclasses.asdict(sections[section]()) if section in sections else {}
    return json.loads(json.dumps(fields)).get(name)


def _may_differ(section: str, name: str, before: Any, value: Any) -> bool:
    if (section, name) == ("training", "epochs") and isinstance(before, int):
        return bool(value >= before)
    return before == value or name in _FREE_KEYS.get(section, ())
