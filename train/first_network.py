"""The network that a training begins with, and where its weights come from."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from eval import trained
from eval.running import config_file
from mindrecord_io.storage import files, job_files, locations
from model import cards, checkpoint, freezing, weights
from model.cards import ModelCard
from model.tsm import TSM, TSMConfig
from train import config
from train.config import TrainConfig

__all__ = ["check", "flags_of", "make", "make_again"]

logger = logging.getLogger(__name__)


def check(training: TrainConfig) -> None:
    """Checks that a training which needs weights has them, or does without on purpose.

    Raises:
      config_file.ConfigError: it has none.
    """
    needs_weights = training.fresh_parts or training.trainable != "all"
    if needs_weights and training.tune_from is None:
        raise config_file.ConfigError(
            f"fresh_parts {list(training.fresh_parts)} and trainable "
            f"{training.trainable!r} are for a network that begins with weights: give "
            f"--tune_from FILE, or --tune_from {config.RANDOM} to begin without"
        )


def make(
    network_config: TSMConfig, training: TrainConfig, class_names: Sequence[str] = ()
) -> TSM:
    """Returns a network to train; its card has the weights that it begins with.

    Args:
      class_names: of the data set; a classifier that is taken must be of the same.

    Raises:
      checkpoint.CheckpointError: `tune_from` cannot be used.
      ValueError: its classifier is of other classes.
    """
    network = _new(network_config, training)
    if training.weights_file is None:
        network.card = ModelCard(weights=config.RANDOM)
        logger.info("weights: %s", config.RANDOM)
        return network
    location = trained.file_location(training.weights_file)
    with job_files.fetched(location) as fetched:
        path = checkpoint.file_of(fetched)
        imported = weights.import_weights(network, path, fresh=training.fresh_parts)
        sha256 = files.fingerprint(path).sha256
    if class_names and "classifier" not in training.fresh_parts:
        trained.check_classes(imported.class_names, class_names, str(location))
    network.card = ModelCard(weights=path.name, weights_sha256=sha256)
    shown = location if locations.is_remote(location) else path
    logger.info("weights: %s, SHA-256 %s", shown, sha256)
    return network


def make_again(
    network_config: TSMConfig, training: TrainConfig, begun_with: Mapping[str, Any]
) -> TSM:
    """Returns the network of a training that is resumed, whose weights are to be set.

    Args:
      begun_with: the training's config.json: its first weights are not read again.
    """
    network = _new(network_config, training)
    card = begun_with.get("card")
    network.card = cards.parse(card) if card else cards.parse_run(begun_with)
    logger.info("weights: of the checkpoint, begun with %s", network.card.weights)
    return network


def flags_of(begun_with: Mapping[str, Any]) -> dict[str, str]:
    """Returns the flags of a training's first weights, from its config.json."""
    training = begun_with.get("training", {})
    return {
        "tune_from": training.get("tune_from") or "null",
        "fresh_parts": ", ".join(training.get("fresh_parts", ())),
    }


def _new(network_config: TSMConfig, training: TrainConfig) -> TSM:
    network = TSM(network_config)
    if training.trainable == "classifier":
        freezing.freeze_frame_network(network.base_model)
    return network
