"""Flags that several jobs of this package have, and no command elsewhere."""

import argparse
import sys
from collections.abc import Sequence

from mindrecord_io.commands import command_line
from mindrecord_io.commands.command_line import CommandParser
from pipelines.sources.choices import Choices

__all__ = [
    "add_annotations",
    "add_choices",
    "add_num_makers",
    "add_refuse_leaks",
    "choices",
    "parse_with_beam",
    "share",
    "words",
]


def add_annotations(flags: argparse._ActionsContainer, *, required: bool) -> None:
    """Adds --annotations to a parser, or to a group of which one flag is given."""
    flags.add_argument(
        "--annotations",
        type=command_line.local_path,
        required=required,
        metavar="PATH",
        help="Something-Something-v2's folder of JSON files; a .csv or .parquet file "
        "(path, label, split); lists of TSM, mmaction2, PySlowFast, Kinetics, Jester, "
        "UCF101, HMDB51 or Diving48; or a folder of <split>/<class>/<clip>; a clip is "
        "a file or a folder of JPEGs",
    )


def add_choices(parser: CommandParser) -> None:
    """Adds the flags that choose how annotations are read."""
    defaults = Choices()
    parser.add_argument(
        "--columns",
        type=_columns,
        default={},
        metavar="NAME=COLUMN,...",
        help="a table's own names of its columns path, label, split or clip_id, such "
        "as path=video,label=class",
    )
    parser.add_argument(
        "--split_by",
        default=defaults.split_by,
        metavar="SHARE_OR_FILE",
        help="for annotations without splits: the share of clips for validation, such "
        "as 0.1, drawn by a hash of each id; or a list, with lines of path,split",
    )
    parser.add_argument(
        "--split_seed",
        type=command_line.non_negative_int,
        default=defaults.split_seed,
        metavar="S",
        help="seed of the draw of --split_by",
    )
    parser.add_argument(
        "--fold",
        type=command_line.positive_int,
        default=defaults.fold,
        metavar="N",
        help="which of the divisions into splits that UCF101 and HMDB51 have",
    )


def add_refuse_leaks(parser: CommandParser) -> None:
    """Adds --refuse_leaks."""
    parser.add_argument(
        "--refuse_leaks",
        action="store_true",
        help="publish nothing where one file's bytes are in two splits; without it "
        "that is a warning",
    )


def share(text: str) -> float:
    """Reads a flag's value that is a share, from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be from 0 to 1, got {text!r}")
    return value


def words(job: str, argv: Sequence[str] | None) -> tuple[str, ...]:
    """Returns the words of a command, to be repeated and recorded."""
    return ("clipmill", job, *(sys.argv[1:] if argv is None else argv))


def choices(flags: argparse.Namespace) -> Choices:
    """Returns what flags choose of how annotations are read.

    Raises:
      ValueError: a value that no reading can have.
    """
    return Choices(
        columns=flags.columns,
        split_by=flags.split_by,
        split_seed=flags.split_seed,
        fold=flags.fold,
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


def _columns(text: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in text.split(",")]
    if not all(name and separator and column for name, separator, column in pairs):
        raise argparse.ArgumentTypeError(
            f"must be like path=video,label=class, got {text!r}"
        )
    return {name.strip(): column.strip() for name, _, column in pairs}
