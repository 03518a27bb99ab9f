"""`clipmill import_weights`: published weights as a checkpoint of ours.

Weights do not determine segments, shift_div, dropout or how clips are viewed: the
sections `model` and `evaluation` of a configuration file do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eval import trained
from eval.config import EvalConfig
from eval.running import command, config_file, outputs, parsers
from mindrecord_io.commands import program
from mindrecord_io.storage import files, job_files
from model import checkpoint, weights
from model.cards import ModelCard
from model.tsm import TSM, TSMConfig

__all__ = ["import_weights", "main"]


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """One import.

    Attributes:
      weights: the file to read, see `model.weights.import_weights`.
      output: the checkpoint to write.
      fresh: parts of the network that begin anew, of `weights.FRESH_PARTS`.
      labels: a file of label texts by label_id, a line each; None where unknown.
      overrides: keys of these two sections and their values as text.
    """

    config_path: Path
    weights: Path | str
    output: Path | str
    overrides: Mapping[str, str]
    fresh: tuple[str, ...] = ()
    labels: Path | None = None


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
        {"model": TSMConfig, "evaluation": EvalConfig},
        overrides=options.overrides,
        ignored=("training",),
    )
    settings = config_file.build(EvalConfig, sections["evaluation"])
    names = _class_names(options.labels)
    model = ({"num_classes": len(names)} if names else {}) | sections["model"]
    if "num_classes" not in model:
        raise config_file.ConfigError("give --num_classes N, or --labels FILE")
    network = TSM(config_file.build(TSMConfig, model))
    if names and len(names) != network.config.num_classes:
        raise config_file.ConfigError(
            f"{options.labels} has {len(names)} labels, num_classes is "
            f"{network.config.num_classes}"
        )
    outputs.check("--output", options.output)
    with job_files.fetched(options.weights) as path:
        imported = weights.import_weights(network, path, fresh=options.fresh)
        network.card = ModelCard(
            class_names=names or imported.class_names,
            view={name: getattr(settings, name) for name in trained.VIEW_KEYS},
            weights=path.name,
            weights_sha256=files.fingerprint(path).sha256,
            program=program.VERSION,
        )
    facts = {"weights": network.card.weights, "fresh": list(options.fresh)}
    with job_files.written(options.output) as output:
        checkpoint.save(network, output, facts)
    return ImportResult(
        str(options.output),
        len(imported.taken),
        len(imported.fresh),
        len(imported.ignored),
    )


def _class_names(path: Path | None) -> tuple[str, ...]:
    if path is None:
        return ()
    text = files.read_text(path, config_file.ConfigError)
    return tuple(text.rstrip("\n").split("\n"))


def main(argv: Sequence[str] | None = None) -> int:
    """Imports; returns 0, 1 if that failed, or 2 for wrong usage."""
    flags, words = parsers.import_weights_parser().parse_known_args(argv)
    flags.fresh = tuple(flags.fresh)

    def run() -> ImportResult:
        overrides = config_file.parse_overrides(words)
        return import_weights(ImportOptions(**vars(flags), overrides=overrides))

    return command.run("import_weights", run)
