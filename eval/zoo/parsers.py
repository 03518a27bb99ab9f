"""The parsers of `clipmill zoo`, which load no library."""

import functools

from mindrecord_io.commands import command_line
from mindrecord_io.commands.command_line import CommandParser

__all__ = ["PARSERS"]

_JOBS = {
    "train": "Trains as the model zoo's train.py does, by its configuration and flags.",
    "eval": "Evaluates as the model zoo's eval.py does, and prints its line.",
    "export": "Exports as the model zoo's export.py does: float32 [1, 24, 224, 224].",
    "preprocess": "Writes frames{i}.bin as the model zoo's preprocess.py does.",
}


def _parser(program: str) -> CommandParser:
    parser = CommandParser(
        f"zoo {program}",
        _JOBS[program],
        example="--config_path tsm_sthv2_config_gpu.yaml --data_path ssv2",
        notes="Every key of the zoo's file is a flag; data_path is a data set of "
        "clipmill build. What follows -- goes to clipmill's own job. Keys that have "
        "no effect, there or here, are named.",
    )
    parser.add_argument(
        "--config_path",
        type=command_line.local_path,
        required=True,
        metavar="FILE",
        help="the zoo's YAML file, also relative to its src/model_utils",
    )
    if program == "train":
        parser.add_argument(
            "--devices",
            type=command_line.positive_int,
            default=1,
            metavar="N",
            help="processes of this host, each with batch_size clips",
        )
    command_line.add_dry_run(parser)
    return parser


PARSERS = {program: functools.partial(_parser, program) for program in _JOBS}
"""By the word after `clipmill zoo`."""
