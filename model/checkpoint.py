"""Checkpoints: a network's tensors, its configuration and facts in one file.

A file is MindSpore's .ckpt with a CRC and one more entry, `clipmill`, whose text is

    {"format": 1, "model": {TSMConfig's fields}, "facts": {"epoch": 7, ...}}

so that a network is rebuilt from the file's content, never from its name.
"""

import dataclasses
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mindspore
from mindspore import Parameter, nn

from model import whole_file
from model.tsm import TSM, TSMConfig

__all__ = [
    "CheckpointError",
    "describe",
    "headline",
    "load",
    "load_tensors",
    "save",
]

logger = logging.getLogger(__name__)

FORMAT = 1
_ENTRY = "clipmill"
_MAX_NAMED = 20  # tensors of a kind named in an error, and the number of all


class CheckpointError(ValueError):
    """A file is no checkpoint, is damaged, or is of another network."""


def save(network: TSM, path: Path, facts: Mapping[str, Any]) -> None:
    """Writes a network to `path` in one step: the old file or the new one is there.

    Args:
      network: tensors and configuration are taken from it.
      path: a file name that ends in .ckpt.
      facts: JSON values to keep with it: epoch, step, accuracy.
    """
    if path.suffix != ".ckpt":
        raise ValueError(f"a checkpoint's name must end in .ckpt, got {path}")
    with whole_file.replaced(path) as incomplete:
        mindspore.save_checkpoint(
            network,
            str(incomplete),
            append_dict={_ENTRY: describe(network, facts)},
            crc_check=True,
        )


def describe(network: TSM, facts: Mapping[str, Any]) -> str:
    """Returns the text that a checkpoint has besides the tensors, as JSON."""
    description = {
        "format": FORMAT,
        "model": dataclasses.asdict(network.config),
        "facts": dict(facts),
    }
    return json.dumps(description)


def load(path: Path) -> tuple[TSM, dict[str, Any]]:
    """Reads a file of `save`; returns its network and its facts.

    Raises:
      CheckpointError: there is no such file, it is damaged, or its tensors are not
        exactly those of the network it describes.
    """
    entries = _read(path)
    text = entries.pop(_ENTRY, None)
    if not isinstance(text, str):
        raise CheckpointError(f"{path} has no entry {_ENTRY!r}: not made by this tool")
    try:
        description = json.loads(text)
        if description["format"] != FORMAT:
            raise CheckpointError(
                f"{path} has format {description['format']}, this code reads {FORMAT}"
            )
        config, facts = TSMConfig(**description["model"]), dict(description["facts"])
    except (KeyError, TypeError, json.JSONDecodeError) as cause:
        raise CheckpointError(f"{path}: cannot read its description: {cause}") from (
            cause
        )
    network = TSM(config)
    load_tensors(network, entries, source=str(path))
    logger.info("loaded %s: %s", path, headline(facts))
    return network, facts


def headline(facts: Mapping[str, Any]) -> str:
    """Returns a checkpoint's facts that are numbers or text, for a log line."""
    short = {k: v for k, v in facts.items() if isinstance(v, int | float | str)}
    return ", ".join(f"{name} {value}" for name, value in short.items())


def load_tensors(
    network: nn.Cell, tensors: Mapping[str, Parameter], *, source: str
) -> None:
    """Sets every parameter of a network to the tensor of its name.

    Raises:
      CheckpointError: names tensors that are missing, unknown or of another shape; the
        network is unchanged.
    """
    own = {parameter.name: parameter for parameter in network.get_parameters()}
    problems = [
        f"{len(names)} {what}: {_first(names)}"
        for what, names in (
            ("missing", sorted(own.keys() - tensors.keys())),
            ("unknown", sorted(tensors.keys() - own.keys())),
            ("of another shape", _misshapen(own, tensors)),
        )
        if names
    ]
    if problems:
        raise CheckpointError(f"{source}: tensors {'; '.join(problems)}")
    for name, parameter in own.items():
        parameter.set_data(tensors[name])


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}")
    try:
        entries: dict[str, Any] = mindspore.load_checkpoint(str(path), crc_check=True)
    except (ValueError, RuntimeError) as cause:
        raise CheckpointError(f"{path} is damaged or no checkpoint: {cause}") from cause
    return entries


def _misshapen(
    own: Mapping[str, Parameter], tensors: Mapping[str, Parameter]
) -> list[str]:
    return [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(own[name].shape)}"
        for name in sorted(own.keys() & tensors.keys())
        if tuple(own[name].shape) != tuple(tensors[name].shape)
    ]


def _first(names: list[str]) -> str:
    more = ", ..." if len(names) > _MAX_NAMED else ""
    return ", ".join(names[:_MAX_NAMED]) + more
