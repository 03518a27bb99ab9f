"""The parsers of all jobs, apart from the jobs so that `--help` loads no library.

`JOB_parser` is that of `clipmill JOB`. What a job is given is a frozen value; that of
`build` has a file of its own.
"""

from dataclasses import dataclass
from pathlib import Path

from mindrecord_io import naming
from mindrecord_io.commands import command_line
from mindrecord_io.commands.command_line import CommandParser
from pipelines.jobs import common_flags
from pipelines.jobs.browse_options import browse_parser, suspects_parser
from pipelines.jobs.build_options import build_parser
from pipelines.synthetic.drawing_options import SynthesizeOptions

__all__ = [
    "ReportOptions",
    "VerifyOptions",
    "browse_parser",
    "build_parser",
    "checksums_parser",
    "fingerprint_parser",
    "history_parser",
    "prune_parser",
    "relabel_parser",
    "report_parser",
    "rollback_parser",
    "suspects_parser",
    "synthesize_parser",
    "verify_parser",
]


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """One verification.

    Attributes:
      version: None means the current one.
      is_quick: compare sizes and counts, read no shard.
      has_sources: look at the clips too that the version was made of.
      num_workers: shards checked at once on the local runner.
      scratch: folder that all workers reach; None where they run on this machine.
      beam_flags: handed to Beam as they are.
    """

    dataset: Path | str
    version: str | None = None
    is_quick: bool = False
    has_sources: bool = False
    num_workers: int = 1
    scratch: Path | None = None
    beam_flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.num_workers < 1:
            raise ValueError(f"num_workers must be at least 1: {self.num_workers}")
        if self.version is not None:
            naming.version_number(self.version)


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """One report.

    Attributes:
      version: None means the current one.
      output: None means report.html in the version's folder.
      num_samples: clips that are shown, chosen by `seed`.
      run: the folder of a training on this data set, whose page is wanted instead.
    """

    dataset: Path | str
    version: str | None = None
    output: Path | None = None
    run: Path | None = None
    num_samples: int = 12
    seed: int = 1

    def __post_init__(self) -> None:
        if self.version is not None:
            naming.version_number(self.version)
        if self.run is not None and self.version is not None:
            raise ValueError("--run has its own version: leave out --version")
        if self.num_samples < 0 or self.seed < 0:
            raise ValueError(
                f"num_samples and seed must be at least 0, got {self.num_samples} and "
                f"{self.seed}"
            )


def synthesize_parser() -> CommandParser:
    """Returns the parser of `synthesize`."""
    defaults = SynthesizeOptions(Path())
    parser = CommandParser(
        "synthesize",
        "Draws a stand-in for Something-Something-v2.",
        example="--output drawn --num_clips 60",
    )
    parser.add_argument(
        "--output",
        type=command_line.local_path,
        required=True,
        metavar="DIR",
        help="folder to fill",
    )
    parser.add_argument(
        "--num_clips",
        type=command_line.positive_int,
        default=defaults.num_clips,
        metavar="N",
        help="clips in all three splits",
    )
    _add_seed(parser, defaults.seed, "equal seeds give equal bytes")
    parser.add_argument(
        "--light",
        dest="is_light",
        action="store_true",
        help="draw without grain: three quarters of a genuine frame's bytes",
    )
    command_line.add_num_workers(parser, "clips drawn at the same time")
    return parser


def relabel_parser() -> CommandParser:
    """Returns the parser of `relabel`; corrections take the place of annotations."""
    parser = CommandParser(
        "relabel",
        "Makes a version with other labels or splits, or fewer clips, of the clips "
        "that the current version holds. Flags not listed here go to Apache Beam.",
        example="--annotations annotations --dataset dataset --dry_run",
    )
    labels = parser.add_mutually_exclusive_group(required=True)
    common_flags.add_annotations(labels, required=False)
    labels.add_argument(
        "--corrections",
        type=command_line.local_path,
        metavar="FILE",
        help="instead of --annotations: a table of clip_id and label, which changes "
        "these clips' labels and nothing else",
    )
    common_flags.add_choices(parser)
    command_line.add_dataset(parser)
    command_line.add_dry_run(parser)
    parser.add_argument(
        "--max_quarantined",
        type=command_line.non_negative_int,
        metavar="N",
        help="clips that may be broken or missing; by default as many as now",
    )
    parser.add_argument(
        "--max_withdrawn",
        type=common_flags.share,
        default=0.01,
        metavar="SHARE",
        help="share of the version's clips that may be missing in the annotations and "
        "so go; with more, nothing is published",
    )
    common_flags.add_refuse_leaks(parser)
    common_flags.add_num_makers(parser)
    return parser


def verify_parser() -> CommandParser:
    """Returns the parser of `verify`."""
    parser = CommandParser(
        "verify",
        "Compares a version with what was published: every file's size and hash, "
        "every row and the place of every frame. Flags not listed here go to Apache "
        "Beam. Exit status 1 means damage; each is a line of the log.",
        example="--dataset dataset --quick",
    )
    command_line.add_dataset(parser)
    command_line.add_version(parser)
    parser.add_argument(
        "--quick", action="store_true", help="sizes and counts alone; reads no shard"
    )
    parser.add_argument(
        "--sources",
        action="store_true",
        help="read all clips too, and list those that are not what the version was "
        "made of; with --quick by their sizes",
    )
    command_line.add_num_workers(parser, "shards checked at once on this machine")
    parser.add_argument(
        "--scratch",
        type=command_line.local_path,
        metavar="DIR",
        help="folder that all workers share; by default a temporary one here",
    )
    return parser


def report_parser() -> CommandParser:
    """Returns the parser of `report`."""
    defaults = ReportOptions(Path())
    parser = CommandParser(
        "report",
        "Writes a page that shows what a version holds, or how a training went: one "
        "file that needs nothing else, with pictures of some clips in it.",
        example="--dataset dataset --output page.html",
    )
    command_line.add_dataset(parser)
    command_line.add_version(parser)
    parser.add_argument(
        "--output",
        type=command_line.local_path,
        metavar="FILE",
        help="the page; by default report.html in the version's or the run's folder",
    )
    parser.add_argument(
        "--run",
        type=command_line.local_path,
        metavar="RUN",
        help="instead, a page on the training in this folder, which may not have ended",
    )
    parser.add_argument(
        "--num_samples",
        type=command_line.non_negative_int,
        default=defaults.num_samples,
        metavar="N",
        help="clips to show, beside one of each class or pair of classes; 0: no "
        "pictures at all",
    )
    _add_seed(parser, defaults.seed, "equal seeds show equal clips")
    return parser


def history_parser() -> CommandParser:
    """Returns the parser of `history`."""
    parser = CommandParser(
        "history",
        "Lists the versions of a data set, newest last; the current one has a star, "
        "one that cannot be read an exclamation mark.",
        example="--dataset dataset",
    )
    command_line.add_dataset(parser)
    parser.add_argument(
        "--changes",
        type=command_line.version_name,
        metavar="V",
        help="instead, list every clip that version V added, withdrew, moved to "
        "another split or relabelled: clip, change, before and after",
    )
    return parser


def rollback_parser() -> CommandParser:
    """Returns the parser of `rollback`."""
    parser = CommandParser(
        "rollback",
        "Publishes an older version again, as a new version with the same content. "
        "The versions in between stay.",
        example="--dataset dataset --version 2",
    )
    command_line.add_dataset(parser)
    command_line.add_version(parser, required=True)
    return parser


def prune_parser() -> CommandParser:
    """Returns the parser of `prune`."""
    parser = CommandParser(
        "prune",
        "Removes old versions, and every shard that no version needs any more. A "
        "program that still reads a version that is removed gets errors.",
        example="--dataset dataset --keep 3 --dry_run",
    )
    command_line.add_dataset(parser)
    parser.add_argument(
        "--keep",
        type=command_line.positive_int,
        required=True,
        metavar="N",
        help="newest versions that stay; the current one stays in any case",
    )
    command_line.add_dry_run(parser)
    return parser


def fingerprint_parser() -> CommandParser:
    """Returns the parser of `fingerprint`."""
    parser = CommandParser(
        "fingerprint",
        "Decodes every frame of a version and prints one hash of all pixels. Two data "
        "sets with one hash hold the same frames of the same clips, however they are "
        "cut into shards and labelled.",
        example="--dataset dataset",
    )
    command_line.add_dataset(parser)
    command_line.add_version(parser)
    command_line.add_num_workers(parser, "clips decoded at the same time")
    return parser


def checksums_parser() -> CommandParser:
    """Returns the parser of `checksums`."""
    parser = CommandParser(
        "checksums",
        "Lists the SHA-256 of every file in a folder of clips as sha256sum does, for "
        "build --checksums. Make the list where the clips are known to be good.",
        example="--clips clips --output clips.sha256",
    )
    parser.add_argument(
        "--clips",
        type=command_line.local_path,
        required=True,
        metavar="DIR",
        help="folder of clips, at any depth",
    )
    parser.add_argument(
        "--output",
        type=command_line.local_path,
        required=True,
        metavar="FILE",
        help="the list; it is replaced",
    )
    command_line.add_num_workers(parser, "files read at the same time")
    return parser


def _add_seed(parser: CommandParser, default: int, text: str) -> None:
    parser.add_argument(
        "--seed",
        type=command_line.non_negative_int,
        default=default,
        metavar="S",
        help=text,
    )
