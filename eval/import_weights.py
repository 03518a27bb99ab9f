"""`clipmill import_weights`: published weights as a checkpoint of ours.

Weights do not determine segments, shift_div or dropout: the section `model` of a
configuration file does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.running import command, config_file, parsers
from model import checkpoint, weights
from model.tsm import TSM, TSMConfig

__all__ = ["import_weights", "main"]


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """One import.

    Attributes:
      weights: the file to read, see `model.weights.import_weights`.
      output: the checkpoint to write.
      fresh: parts of the network that begin anew, of `weights.FRESH_PARTS`.
      overrides: keys of the configuration's section `model` and their values as text.
    """

    config_path: Path
    weights: Path
    output: Path
    overrides: Mapping[str, str]
    fresh: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImportResult:
    """Numbers of tensors, which the command prints."""

    output: str
    num_taken: int
    num_fresh: int
    num_ignored: int


def import_weights(options: ImportOptions) -> ImportResult:
    """Writes published weights as a checkpoint.

    Raises:
      config_file.ConfigError: the configuration is wrong.
      checkpoint.CheckpointError: the weights cannot be read or are not the network's.
    """
    sections = config_file.load(
        options.config_path,
        {"model": TSMConfig},
        overrides=options.overrides,
        ignored=("evaluation", "training"),
    )
    network = TSM(config_file.build(TSMConfig, sections["model"]))
    imported = weights.import_weights(network, options.weights, fresh=options.fresh)
    facts = {"weights": options.weights.name, "fresh": list(options.fresh)}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.save(network, options.output, facts)
    return ImportResult(
        str(options.output),
        len(imported.taken),
        len(imported.fresh),
        len(imported.ignored),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Imports; returns 0, 1 if that failed, or 2 for wrong usage."""
    flags, words = parsers.import_weights_parser().parse_known_args(argv)
    flags.fresh = tuple(flags.fresh)

    def run() -> ImportResult:
        overrides = config_file.parse_overrides(words)
        return import_weights(ImportOptions(**vars(flags), overrides=overrides))

    return command.run("import_weights", run)
