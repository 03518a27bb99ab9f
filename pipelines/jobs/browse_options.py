"""What `browse` and `suspects` are given, and their parsers."""

from dataclasses import dataclass
from pathlib import Path

from mindrecord_io import records
from mindrecord_io.commands import command_line
from mindrecord_io.commands.command_line import CommandParser

__all__ = ["BrowseOptions", "SuspectsOptions", "browse_parser", "suspects_parser"]


@dataclass(frozen=True, slots=True)
class BrowseOptions:
    """One server.

    Attributes:
      version: None means the current one.
      host, port: the address; port 0 means any that is free.
      predictions: what `eval --output` wrote; None for none.
      checkpoint: what `eval` takes, to make predictions for `split`; None for none.
      corrections: the file that decisions on labels are written to.
    """

    dataset: Path | str
    version: str | None = None
    host: str = "127.0.0.1"
    port: int = 8021
    predictions: Path | None = None
    checkpoint: Path | str | None = None
    split: str = "validation"
    corrections: Path = Path("corrections.tsv")

    def __post_init__(self) -> None:
        if self.predictions is not None and self.checkpoint is not None:
            raise ValueError("give either --predictions or --checkpoint, not both")


@dataclass(frozen=True, slots=True)
class SuspectsOptions:
    """One list of suspects: the predictions that are read, the file that is written."""

    predictions: Path
    output: Path = Path("suspects.tsv")


def browse_parser() -> CommandParser:
    """Returns the parser of `browse`."""
    defaults = BrowseOptions(Path())
    parser = CommandParser(
        "browse",
        "Serves pages on this machine alone that show a version: clips that play, "
        "filters, classes, and doubted labels to keep or to correct. The data set is "
        "only read. Ctrl-C ends it.",
        example="--dataset dataset --predictions predictions.parquet",
    )
    command_line.add_dataset(parser)
    command_line.add_version(parser)
    parser.add_argument(
        "--port",
        type=command_line.non_negative_int,
        default=defaults.port,
        metavar="N",
        help="where it listens; 0: any free port",
    )
    parser.add_argument(
        "--host",
        default=defaults.host,
        metavar="ADDRESS",
        help="another address than this machine's own; then with a token",
    )
    _add_predictions(parser, required=False)
    parser.add_argument(
        "--checkpoint",
        type=command_line.location,
        metavar="FILE_OR_RUN",
        help="instead, a network, which `clipmill eval` scores before the pages come",
    )
    parser.add_argument(
        "--split",
        choices=records.SPLITS,
        default=defaults.split,
        help="what --checkpoint scores; not one that it was trained on",
    )
    parser.add_argument(
        "--corrections",
        type=command_line.local_path,
        default=defaults.corrections,
        metavar="FILE",
        help="where decisions on labels are kept, for `relabel --corrections`",
    )
    return parser


def suspects_parser() -> CommandParser:
    """Returns the parser of `suspects`."""
    parser = CommandParser(
        "suspects",
        "Lists the clips whose label a network doubts, the most doubtful first, as "
        "confident learning finds them. The network must not have been trained on "
        "these clips.",
        example="--predictions predictions.parquet --output suspects.tsv",
    )
    _add_predictions(parser, required=True)
    parser.add_argument(
        "--output",
        type=command_line.local_path,
        default=SuspectsOptions(Path()).output,
        metavar="FILE",
        help="the list: tab-separated, one clip a line",
    )
    return parser


def _add_predictions(parser: CommandParser, *, required: bool) -> None:
    parser.add_argument(
        "--predictions",
        type=command_line.local_path,
        required=required,
        metavar="FILE",
        help="what `clipmill eval --output FILE` wrote",
    )
