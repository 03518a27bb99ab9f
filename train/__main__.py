"""`clipmill train`: a trained network from a published version."""

import sys
from collections.abc import Sequence
from typing import Any

from eval.running import early_checks, parsers, process_start
from mindrecord_io.commands import command_line
from mindrecord_io.commands.command_line import CommandParser


def main(argv: Sequence[str] | None = None) -> int:
    """Trains; returns 0, 1 if that failed, or 2 for wrong usage."""
    flags, rest = train_parser().parse_known_args(argv)
    if status := early_checks.refuse_absent("train", flags):
        return status
    process_start.prepare_mindspore()
    # These lead to YAML's library and MindSpore, so not before the line above.
    from eval.running import command, config_file
    from train import job
    from train.store_traffic import Prices

    def train() -> Any:
        overrides = config_file.parse_overrides(rest)
        values = vars(flags)
        prices = Prices(
            values.pop("price_per_gb"), values.pop("price_per_1000_requests")
        )
        options = job.TrainOptions(**values, prices=prices, overrides=overrides)
        return job.run(options)

    return command.run("train", train)


def self_test(argv: Sequence[str]) -> int:
    """Runs `doctor --train`; returns 0, 1 if a device trains otherwise, or 2."""
    flags = parsers.doctor_parser().parse_args(argv)
    process_start.prepare_mindspore()
    from eval.running import command
    from train import self_test

    return command.run("doctor --train", lambda: self_test.run(flags.device_target))


def train_parser() -> CommandParser:
    """Returns the parser of `train`."""
    parser = CommandParser(
        "train",
        "Trains a temporal shift network on the train split and measures it on the "
        "validation split.",
        example="--config_path demo_cpu --dataset dataset --output run",
        notes="Any key of the configuration file is a flag too: --learning_rate 0.02",
    )
    parsers.add_config_path(parser)
    command_line.add_dataset(parser)
    parser.add_argument(
        "--output",
        type=command_line.location,
        required=True,
        metavar="DIR",
        help="new folder for checkpoints, metrics, also in an object store; with "
        "--resume the old one",
    )
    command_line.add_version(parser)
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
    parser.add_argument(
        "--dry_run",
        action="store_true",
        help="print what training fetches from an object store and costs, then stop",
    )
    for unit, text in (("gb", "10^9 bytes"), ("1000_requests", "1000 requests")):
        parser.add_argument(
            f"--price_per_{unit}",
            type=float,
            default=0.0,
            metavar="PRICE",
            help=f"of {text} from the store, for --dry_run",
        )
    return parser


if __name__ == "__main__":
    sys.exit(command_line.start(main))
