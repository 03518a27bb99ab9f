"""Flags that several jobs of this package have, and no command elsewhere."""

import argparse
from collections.abc import Sequence

from mindrecord_io import command_line
from mindrecord_io.command_line import CommandParser

__all__ = ["add_annotations", "add_num_makers", "parse_with_beam"]


def add_annotations(parser: CommandParser) -> None:
    """Adds --annotations."""
    parser.add_argument(
        "--annotations",
        type=command_line.local_path,
        required=True,
        metavar="PATH",
        help="Something-Something-v2's folder of JSON files; a .csv or .parquet file "
        "(path, label, split); Jester's folder of lists; or a folder of "
        "<split>/<class>/<clip>; a clip is a file or a folder of JPEGs",
    )


def add_num_makers(parser: CommandParser) -> None:
    """Adds --num_workers of a job that makes shards, perhaps on other machines."""
    text = "shards made at once on each machine; by default one to every core of it"
    command_line.add_num_workers(parser, text, default=None)


def parse_with_beam(
    parser: CommandParser, argv: Sequence[str] | None
) -> tuple[argparse.Namespace, tuple[str, ...]]:
    """Returns the parser's flags and Beam's; one that neither has ends the process."""
    flags, beam_flags = parser.parse_known_args(argv)
    if beam_flags:
        # Beam takes seconds to import, which a forecast without such flags need not.
        from pipelines.building import beam_flags as flags_of_beam

        parser.make(flags_of_beam.check, beam_flags, parser.flag_names)
    return flags, tuple(beam_flags)
