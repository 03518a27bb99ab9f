"""What the jobs are told: flags become one frozen value; the rest is Beam's."""

import argparse
import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from apache_beam.options import pipeline_options

from mindrecord_io import records
from pipelines import quarantine
from pipelines.jobs import common_flags

__all__ = [
    "ANNOTATIONS_HELP",
    "BuildOptions",
    "beam_options",
    "is_local",
    "non_negative_int",
    "parse_build",
    "parse_with_beam",
    "positive_int",
]

ANNOTATIONS_HELP = (
    "Something-Something-v2's folder of JSON files; a .csv or .parquet file (path, "
    "label, split); Jester's folder of lists; or a folder of <split>/<class>/<clip>; "
    "a clip is a file or a folder of JPEGs"
)

_LOCAL_RUNNER = "FnApiRunner"  # DirectRunner tries to download another runner first


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """One build.

    Attributes:
      num_shards: of all splits together; None keeps those of the data set's current
        version, or chooses by the number of clips where there is none.
      checksums: SHA-256 of the clips' files, as sha256sum lists them; None: unchecked.
      max_quarantined: clips that may be quarantined or missing.
      num_workers: processes that make shards at once on the local runner.
      beam_flags: handed to Beam as they are.
    """

    clips: Path | str
    annotations: Path
    dataset: Path | str
    settings: records.DecodeSettings = field(default_factory=records.DecodeSettings)
    clip_limits: quarantine.DecodeLimits = field(
        default_factory=quarantine.DecodeLimits
    )
    num_shards: int | None = None
    checksums: Path | None = None
    max_quarantined: int = 0
    num_workers: int = 1
    beam_flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.num_shards is not None and self.num_shards < 1:
            raise ValueError(f"num_shards must be at least 1: {self.num_shards}")
        if self.max_quarantined < 0:
            raise ValueError(f"max_quarantined cannot be {self.max_quarantined}")
        if self.num_workers < 1:
            raise ValueError(f"num_workers must be at least 1: {self.num_workers}")


def parse_build(argv: Sequence[str] | None) -> BuildOptions:
    """Reads the flags of `build`; wrong ones end the process with status 2."""
    parser = _build_parser()
    flags, beam_flags = parse_with_beam(parser, argv)
    try:
        return BuildOptions(
            clips=flags.clips,
            annotations=flags.annotations,
            dataset=flags.dataset,
            settings=records.DecodeSettings(
                short_side_px=flags.short_side,
                jpeg_quality=flags.jpeg_quality,
                page_num_bytes=flags.page_mib << 20,
                accept_partial=flags.accept_partial,
            ),
            clip_limits=quarantine.DecodeLimits(
                max_seconds=flags.max_clip_seconds,
                max_frames=flags.max_clip_frames,
                max_pixels=flags.max_clip_pixels,
                max_memory_mib=flags.max_decoder_mib,
            ),
            num_shards=flags.num_shards,
            checksums=flags.checksums,
            max_quarantined=flags.max_quarantined,
            num_workers=flags.num_workers,
            beam_flags=tuple(beam_flags),
        )
    except ValueError as error:
        parser.error(str(error))


def parse_with_beam(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None
) -> tuple[argparse.Namespace, list[str]]:
    """Returns the parser's flags and Beam's; one that neither has ends the process."""
    flags, beam_flags = parser.parse_known_args(argv)
    try:
        _refuse_unknown(parser, beam_flags)
    except ValueError as error:
        parser.error(str(error))
    return flags, beam_flags


def positive_int(text: str) -> int:
    """Reads a flag's value that must be at least 1."""
    return _int_of_at_least(1, text)


def non_negative_int(text: str) -> int:
    """Reads a flag's value that must be at least 0."""
    return _int_of_at_least(0, text)


def beam_options(
    beam_flags: Sequence[str], num_threads: int
) -> pipeline_options.PipelineOptions:
    """Returns Beam's options: the flags given, and a local runner unless they name one.

    The local runner works in threads of this process. The work itself is done in
    child processes, so threads suffice, and no process of Beam's can die unnoticed.
    """
    flags = list(beam_flags)
    if is_local(flags):
        flags += [
            f"--runner={_LOCAL_RUNNER}",
            "--direct_running_mode=multi_threading",
            f"--direct_num_workers={num_threads}",
        ]
    return pipeline_options.PipelineOptions(flags)


def is_local(beam_flags: Sequence[str]) -> bool:
    """Returns whether the flags leave the choice of the runner to us."""
    return not any(flag.split("=")[0] == "--runner" for flag in beam_flags)


def _build_parser() -> argparse.ArgumentParser:
    settings, clip = records.DecodeSettings(), quarantine.DecodeLimits()
    parser = argparse.ArgumentParser(
        prog="python -m pipelines build",
        description="Makes a data set version of a folder of clips. Shards that are "
        "published already are reused. Flags not listed here go to Apache Beam.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--clips",
        type=common_flags.path_or_uri,
        required=True,
        help="folder of <id>.webm files, of folders <id>/00001.jpg, ..., or of what "
        "the annotations name; a path, s3://, obs:// or gs:// (files only)",
    )
    parser.add_argument(
        "--annotations", type=Path, required=True, help=ANNOTATIONS_HELP
    )
    common_flags.add_dataset(parser)
    parser.add_argument(
        "--short_side",
        type=int,
        default=settings.short_side_px,
        metavar="PX",
        help="reduce frames to this short side; 0 keeps their size",
    )
    parser.add_argument(
        "--jpeg_quality",
        type=int,
        default=settings.jpeg_quality,
        metavar="Q",
        help="quality of the frames that are encoded, 1 to 100; the files of a folder "
        "of frames are stored as they are, if not reduced, turned or unusual",
    )
    parser.add_argument(
        "--page_mib",
        type=int,
        default=settings.page_num_bytes >> 20,
        metavar="MIB",
        help="page size of the shards; the JPEGs of one clip must fit",
    )
    parser.add_argument(
        "--accept_partial",
        type=float,
        default=settings.accept_partial,
        metavar="SHARE",
        help="store damaged clips that lost less than this share of their frames, "
        "marked partial; 0 stores none",
    )
    parser.add_argument(
        "--num_shards",
        type=int,
        metavar="N",
        help="shards of all splits together; by default those of the current version, "
        "or by the number of clips",
    )
    parser.add_argument(
        "--checksums",
        type=Path,
        metavar="FILE",
        help="SHA-256 of the clips as sha256sum lists them; clips that have another "
        "are quarantined",
    )
    parser.add_argument(
        "--max_quarantined",
        type=int,
        default=0,
        metavar="N",
        help="clips that may be broken or missing; with more, nothing is published",
    )
    parser.add_argument(
        "--num_workers",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="shards made at once on this machine",
    )
    parser.add_argument(
        "--max_clip_seconds",
        type=int,
        default=clip.max_seconds,
        metavar="S",
        help="wall time after which a clip's decoding is killed",
    )
    parser.add_argument(
        "--max_clip_frames",
        type=int,
        default=clip.max_frames,
        metavar="N",
        help="frames that a clip may have",
    )
    parser.add_argument(
        "--max_clip_pixels",
        type=int,
        default=clip.max_pixels,
        metavar="N",
        help="width times height that a frame may have",
    )
    parser.add_argument(
        "--max_decoder_mib",
        type=int,
        default=clip.max_memory_mib,
        metavar="MIB",
        help="memory of a decoding process",
    )
    return parser


def _int_of_at_least(minimum: int, text: str) -> int:
    value = int(text) if text.isascii() and text.removeprefix("-").isdigit() else None
    if value is None or value < minimum:
        raise argparse.ArgumentTypeError(
            f"must be a whole number of at least {minimum}, got {text!r}"
        )
    return value


def _refuse_unknown(parser: argparse.ArgumentParser, flags: Sequence[str]) -> None:
    """Raises ValueError for flags that neither the job nor Beam has."""
    beam = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for options in pipeline_options.PipelineOptions.__subclasses__():
        options._add_argparse_args(beam)  # Beam's own --help walks them this way
    _, unknown = beam.parse_known_args(list(flags))
    for flag in unknown:
        name = flag.split("=")[0]
        known = [*parser._option_string_actions, *beam._option_string_actions]
        near = difflib.get_close_matches(name, known, n=3)
        raise ValueError(f"no flag {name!r} here or in Beam; nearest: {near}")
