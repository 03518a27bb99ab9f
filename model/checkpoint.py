"""Checkpoints: a network's tensors, configuration, card and facts in one file.

A file is MindSpore's .ckpt with a CRC and one more entry, `clipmill`, whose text is

    {"format": 2, "model": {TSMConfig's fields}, "card": {ModelCard's fields},
     "facts": {"epoch": 7, ...}}

so that a network is rebuilt and used by the file's content, never by its name. Format 1
had no card: what the facts have of one is read from them.
"""

import dataclasses
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mindspore
from mindspore import Parameter, nn

from model import cards, whole_file
from model.tsm import TSM, TSMConfig

__all__ = [
    "BEST_FILE",
    "CheckpointError",
    "describe",
    "file_of",
    "headline",
    "load",
    "load_tensors",
    "read_entries",
    "save",
]

logger = logging.getLogger(__name__)

FORMAT = 2
_FORMATS = (1, FORMAT)
BEST_FILE = "best.ckpt"  # in a training's folder
_FILES = (BEST_FILE, "network.ckpt")  # the other is in the folder of a step
_ENTRY = "clipmill"
_CHECKSUM_MARK, _CHECKSUM_NUM_BYTES = b"crc_num", 17  # at the end, as MindSpore has it
_MAX_NUM_BYTES = 8 << 30
_MAX_DESCRIPTION_NUM_CHARS = 1 << 20
_MAX_NAMED = 20  # tensors of a kind named in an error, and the number of all


class CheckpointError(ValueError):
    """A file is no checkpoint, is damaged, or is of another network."""


def save(network: TSM, path: Path, facts: Mapping[str, Any]) -> None:
    """Writes a network to `path` in one step: the old file or the new one is there.

    Args:
      network: tensors, configuration and card are taken from it.
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
        "card": network.card.to_json(),
        "facts": dict(facts),
    }
    return json.dumps(description)


def file_of(path: Path) -> Path:
    """Returns the checkpoint that a path means: a training's folder has its best one.

    Raises:
      CheckpointError: a folder without a checkpoint.
    """
    if not path.is_dir():
        return path
    for name in _FILES:
        if (path / name).is_file():
            return path / name
    steps = sorted(path.glob("checkpoints/step-*/network.ckpt"))
    newest = f"; its newest step's is {steps[-1]}" if steps else ""
    raise CheckpointError(
        f"{path} is a folder without {' or '.join(_FILES)}: no checkpoint{newest}"
    )


def load(path: Path) -> tuple[TSM, dict[str, Any]]:
    """Reads a file of `save`, or of a training's folder the best one.

    The network has its card; facts that the file lacks are logged.

    Returns: its network and its facts.

    Raises:
      CheckpointError: there is no such file, it is damaged, or its tensors are not
        exactly those of the network it describes.
    """
    path = file_of(path)
    entries = read_entries(path)
    text = entries.pop(_ENTRY, None)
    if not isinstance(text, str):
        raise CheckpointError(f"{path} has no entry {_ENTRY!r}: not made by this tool")
    config, card, facts = _parse(text, path)
    network = TSM(config)
    network.card = card
    load_tensors(network, entries, source=str(path))
    logger.info("loaded %s: %s", path, headline(facts))
    if card.missing:
        names = ", ".join(card.missing)
        logger.warning("%s was written without these facts: %s", path, names)
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


def _parse(text: str, path: Path) -> tuple[TSMConfig, cards.ModelCard, dict[str, Any]]:
    try:
        if len(text) > _MAX_DESCRIPTION_NUM_CHARS:
            raise ValueError(f"it has {len(text)} characters")
        description = json.loads(text)
        version = description["format"]
        if type(version) is not int or version not in _FORMATS:
            raise CheckpointError(
                f"{path} has format {version!r:.80}, this code reads "
                f"{' and '.join(map(str, _FORMATS))}"
            )
        if "model" not in description:
            raise CheckpointError(
                f"{path} is the optimizer's half of a checkpoint: the network is in "
                f"{path.with_name(_FILES[1])}"
            )
        facts = dict(description["facts"])
        if "card" in description:
            card = cards.parse(description["card"])
        else:
            card = cards.parse_run(facts.get("run", {}))
        return TSMConfig(**description["model"]), card, facts
    except CheckpointError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as cause:
        raise CheckpointError(
            f"{path}: cannot read its description: {cause!s:.200}"
        ) from cause


def read_entries(path: Path) -> dict[str, Any]:
    """Returns what is in a .ckpt file, by name; its checksum is compared if it has one.

    Raises:
      CheckpointError: there is no such file, or it is damaged; a file of `save` always
        has a checksum.
    """
    if not path.is_file():  # a pipe would be waited for
        raise CheckpointError(f"there is no checkpoint {path}")
    if path.stat().st_size > _MAX_NUM_BYTES:
        raise CheckpointError(f"{path} has more than {_MAX_NUM_BYTES} bytes")
    try:
        entries: dict[str, Any] = mindspore.load_checkpoint(str(path), crc_check=True)
    except (ValueError, RuntimeError, TypeError) as cause:
        why = f"{cause!s:.500}"
        raise CheckpointError(f"{path} is damaged or no checkpoint: {why}") from cause
    if _ENTRY in entries and not _has_checksum(path):
        raise CheckpointError(f"{path} is damaged: its checksum is cut off or changed")
    return entries


def _has_checksum(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-min(_CHECKSUM_NUM_BYTES, path.stat().st_size), os.SEEK_END)
        return file.read().startswith(_CHECKSUM_MARK)


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
    return ", ".join(f"{name:.100}" for name in names[:_MAX_NAMED]) + more
