"""Trains a new classifier on a trained network: other labels, the same frame network.

    python finetune.py CONFIG DATASET CHECKPOINT OUTPUT [--any_key value ...]

CONFIG is the network's configuration file and CHECKPOINT its weights: best.ckpt of a
training, or what torchvision and TSM's authors publish. Without the last flag
everything is trained, which needs more clips and a lower learning rate.
"""

import sys
from collections.abc import Sequence

from train.__main__ import main as train


def main(argv: Sequence[str] | None = None) -> int:
    """Trains; returns the exit status of `train`."""
    words = sys.argv[1:] if argv is None else argv
    config, dataset, checkpoint, output, *flags = words
    return train(
        [
            *("--config_path", config),
            *("--dataset", dataset),
            *("--output", output),
            *("--tune_from", checkpoint),
            *("--fresh_parts", "[classifier]"),
            *("--trainable", "classifier"),
            *flags,
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
