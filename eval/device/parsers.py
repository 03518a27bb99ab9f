"""The parsers of `clipmill device`, apart from the work so that `--help` loads none."""

import argparse

from mindrecord_io import records
from mindrecord_io.commands import command_line
from mindrecord_io.commands.command_line import CommandParser

__all__ = ["PARSERS", "PRECISION_MODES"]

PRECISION_MODES = (
    "enforce_fp16",
    "preferred_fp32",
    "enforce_fp32",
    "enforce_origin",
    "preferred_optimal",
)
"""Of MindSpore Lite's converter for an Ascend; the first is its default."""


def convert_parser() -> CommandParser:
    """Returns the parser of `device convert`."""
    parser = CommandParser(
        "device convert",
        "Writes the command and configuration of MindSpore Lite's converter, which "
        "makes an exported network one for an Ascend.",
        example="--network tsm.mindir --output ascend --num_clips 1 2 4",
    )
    _add_network(parser)
    _add_folder(parser, "output", "folder to write")
    parser.add_argument(
        "--num_clips",
        nargs="+",
        type=command_line.positive_int,
        default=(1,),
        metavar="N",
        help="clips that the network is to take at once; by default 1",
    )
    parser.add_argument(
        "--precision_mode",
        choices=PRECISION_MODES,
        default=PRECISION_MODES[0],
        help="what the device computes in",
    )
    parser.add_argument(
        "--aipp",
        action="store_true",
        help="let the device normalise bytes, for a network of --input float3",
    )
    return parser


def preprocess_parser() -> CommandParser:
    """Returns the parser of `device preprocess`."""
    parser = CommandParser(
        "device preprocess",
        "Writes a split as frames{i}.bin and label{i}.bin, as the model zoo lays them "
        "out. The same command again writes what is missing.",
        example="--network tsm.mindir --dataset dataset --output clips",
    )
    _add_network(parser)
    command_line.add_dataset(parser)
    _add_folder(parser, "output", "folder to write")
    parser.add_argument(
        "--split", choices=records.SPLITS, default="validation", help="what to write"
    )
    command_line.add_version(parser)
    command_line.add_num_workers(parser, "decoding threads")
    parser.add_argument(
        "--aipp",
        action="store_true",
        help="write bytes, for a network that was converted with --aipp",
    )
    command_line.add_dry_run(parser)
    return parser


def run_parser() -> CommandParser:
    """Returns the parser of `device run`."""
    parser = CommandParser(
        "device run",
        "Runs an exported network over the files of preprocess, on this machine.",
        example="--network tsm.mindir --input clips --output results",
    )
    _add_network(parser)
    _add_folder(parser, "input", "folder of preprocess")
    _add_folder(parser, "output", "folder for result_Files and time_Result")
    return parser


def postprocess_parser() -> CommandParser:
    """Returns the parser of `device postprocess`."""
    parser = CommandParser(
        "device postprocess",
        "Prints the accuracy of the logits that a device wrote.",
        example="--input clips --results results",
    )
    _add_folder(parser, "input", "folder of preprocess")
    _add_folder(parser, "results", "folder that has result_Files")
    return parser


PARSERS = {
    "convert": convert_parser,
    "preprocess": preprocess_parser,
    "run": run_parser,
    "postprocess": postprocess_parser,
}
"""By the word after `clipmill device`."""


def _add_network(parser: argparse.ArgumentParser) -> None:
    _add_folder(parser, "network", "file of clipmill export: .mindir or .onnx")


def _add_folder(parser: argparse.ArgumentParser, name: str, text: str) -> None:
    parser.add_argument(
        f"--{name}",
        type=command_line.local_path,
        required=True,
        metavar="FILE" if name == "network" else "DIR",
        help=text,
    )
