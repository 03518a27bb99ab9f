"""`python -m train`: a trained network from a published version."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from eval.running import command, config_file, process_start
from mindrecord_io import interrupts


def main(argv: Sequence[str] | None = None) -> int:
    """Trains; returns 0, 1 if that failed, or 2 for wrong usage."""
    process_start.configure_logging()
    flags, words = _parser().parse_known_args(argv)
    process_start.prepare_mindspore()
    from train import job, loop  # leads to MindSpore, so not before the line above

    def run() -> loop.TrainResult | None:
        overrides = config_file.parse_overrides(words)
        return job.run(job.TrainOptions(**vars(flags), overrides=overrides))

    return command.exit_status(run)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m train",
        description="Trains a temporal shift network on the train split and measures "
        "it on the validation split.",
        epilog="Any key of the configuration file is a flag too: --learning_rate 0.02",
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--config_path", type=Path, required=True, help="YAML file, see infra/configs"
    )
    parser.add_argument(
        "--dataset",
        required=True,
        metavar="FOLDER_OR_URI",
        help="data set: a folder, or s3://bucket/path, obs:// or gs://",
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        help="new folder for checkpoints, metrics; with --resume the old one",
    )
    parser.add_argument("--version", help="of the data set; the newest if not given")
    parser.add_argument(
        "--resume",
        nargs="?",
        const="newest",
        metavar="STEP",
        help="go on from the newest checkpoint in --output, or from that after STEP "
        "steps; later ones are removed and made again",
    )
    parser.add_argument(
        "--profile",
        action="store_true",
        help="profile three steps and log which operators took the time",
    )
    return parser


if __name__ == "__main__":
    interrupts.exit_at_sigint("interrupted")
    sys.exit(main())
