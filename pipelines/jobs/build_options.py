"""The options of `build` and the flags they come from; other flags go to Beam."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mindrecord_io import records
from mindrecord_io.commands import command_line
from mindrecord_io.commands.command_line import CommandParser
from pipelines import quarantine
from pipelines.jobs import common_flags
from pipelines.sources.choices import Choices

__all__ = ["BuildOptions", "build_parser", "from_flags"]


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """One build.

    Attributes:
      choices: of how the annotations are read.
      num_shards: of all splits together; None keeps those of the data set's current
        version, or chooses by the number of clips where there is none.
      checksums: SHA-256 of the clips' files, as sha256sum lists them; None: unchecked.
      max_quarantined: clips that may be quarantined or missing.
      num_workers: processes that make shards at once on each machine; None for one to
        every core of it.
      beam_flags: handed to Beam as they are.
      ffmpeg: the program to decode with, "" for the usual one.
      refuse_leaks: publish nothing where a file is in two splits.
      command: its words, to be repeated and recorded.
      is_repair: hash the current version's shards first, and make damaged ones again.
      is_rehash: read all clips, those too that look as when they were read.
    """

    clips: Path | str
    annotations: Path
    dataset: Path | str
    choices: Choices = field(default_factory=Choices)
    settings: records.DecodeSettings = field(default_factory=records.DecodeSettings)
    clip_limits: quarantine.DecodeLimits = field(
        default_factory=quarantine.DecodeLimits
    )
    num_shards: int | None = None
    checksums: Path | None = None
    max_quarantined: int = 0
    num_workers: int | None = 1
    beam_flags: tuple[str, ...] = ()
    ffmpeg: str = ""
    refuse_leaks: bool = False
    command: tuple[str, ...] = field(default=(), compare=False)
    is_repair: bool = False
    is_rehash: bool = False

    def __post_init__(self) -> None:
        if self.num_shards is not None and self.num_shards < 1:
            raise ValueError(f"num_shards must be at least 1: {self.num_shards}")
        if self.max_quarantined < 0:
            raise ValueError(f"max_quarantined cannot be {self.max_quarantined}")
        if self.num_workers is not None and self.num_workers < 1:
            raise ValueError(f"num_workers must be at least 1: {self.num_workers}")


def from_flags(flags: argparse.Namespace, beam_flags: Sequence[str]) -> BuildOptions:
    """Returns the options that parsed flags stand for.

    Raises:
      ValueError: a value that no build can have.
    """
    return BuildOptions(
        clips=flags.clips,
        annotations=flags.annotations,
        dataset=flags.dataset,
        choices=common_flags.choices(flags),
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
            max_gib=flags.max_clip_gib,
        ),
        num_shards=flags.num_shards,
        checksums=flags.checksums,
        max_quarantined=flags.max_quarantined,
        num_workers=flags.num_workers,
        beam_flags=tuple(beam_flags),
        ffmpeg=flags.ffmpeg,
        refuse_leaks=flags.refuse_leaks,
        is_repair=flags.repair,
        is_rehash=flags.rehash,
    )


def build_parser() -> CommandParser:
    """Returns the parser of `build`."""
    parser = CommandParser(
        "build",
        "Makes a data set version of a folder of clips. Shards that are published "
        "already are reused. Flags not listed here go to Apache Beam.",
        example="--clips clips --annotations annotations --dataset dataset",
    )
    parser.add_argument(
        "--clips",
        type=command_line.location,
        required=True,
        metavar="DIR_OR_URI",
        help="folder of <id>.webm files, of folders <id>/00001.jpg, ..., or of what "
        "the annotations name; a path, s3://, obs:// or gs:// (files only)",
    )
    common_flags.add_annotations(parser, required=True)
    common_flags.add_choices(parser)
    command_line.add_dataset(parser)
    _add_decode_settings(parser)
    parser.add_argument(
        "--num_shards",
        type=command_line.positive_int,
        metavar="N",
        help="shards of all splits together; by default those of the current version, "
        "or by the number of clips",
    )
    parser.add_argument(
        "--checksums",
        type=command_line.local_path,
        metavar="FILE",
        help="SHA-256 of the clips as sha256sum lists them; clips that have another "
        "are quarantined",
    )
    parser.add_argument(
        "--max_quarantined",
        type=command_line.non_negative_int,
        default=0,
        metavar="N",
        help="clips that may be broken or missing; with more, nothing is published",
    )
    common_flags.add_refuse_leaks(parser)
    parser.add_argument(
        "--repair",
        action="store_true",
        help="hash all shards of the current version first; those that are damaged "
        "are made again from their clips",
    )
    parser.add_argument(
        "--rehash",
        action="store_true",
        help="read all clips; otherwise those that have the size, times and inode, or "
        "ETag, with which they were read are taken to be unchanged",
    )
    common_flags.add_num_makers(parser)
    _add_clip_limits(parser)
    parser.add_argument(
        "--ffmpeg",
        default="",
        metavar="PROGRAM",
        help="the ffmpeg to decode with; by default that of the imageio-ffmpeg "
        "package, whose version is pinned",
    )
    return parser


def _add_decode_settings(parser: CommandParser) -> None:
    settings = records.DecodeSettings()
    parser.add_argument(
        "--short_side",
        type=command_line.non_negative_int,
        default=settings.short_side_px,
        metavar="PX",
        help="reduce frames to this short side; 0 keeps their size",
    )
    parser.add_argument(
        "--jpeg_quality",
        type=command_line.positive_int,
        default=settings.jpeg_quality,
        metavar="Q",
        help="quality of the frames that are encoded, 1 to 100; the files of a folder "
        "of frames are stored as they are, if not reduced, turned or unusual",
    )
    parser.add_argument(
        "--page_mib",
        type=command_line.positive_int,
        default=settings.page_num_bytes >> 20,
        metavar="MIB",
        help="page size of the shards; a clip that is larger takes several",
    )
    parser.add_argument(
        "--accept_partial",
        type=float,
        default=settings.accept_partial,
        metavar="SHARE",
        help="store damaged clips that lost less than this share of their frames, "
        "marked partial; 0 stores none",
    )


def _add_clip_limits(parser: CommandParser) -> None:
    limits = quarantine.DecodeLimits()
    for name, value, unit, text in (
        (
            "seconds",
            limits.max_seconds,
            "S",
            "processor time until its decoding is ended",
        ),
        ("frames", limits.max_frames, "N", "frames that a clip may have"),
        ("pixels", limits.max_pixels, "N", "width times height that a frame may have"),
        (
            "gib",
            limits.max_gib,
            "GIB",
            "size of a clip's file; larger ones are not read",
        ),
    ):
        parser.add_argument(
            f"--max_clip_{name}",
            type=command_line.positive_int,
            default=value,
            metavar=unit,
            help=text,
        )
    parser.add_argument(
        "--max_decoder_mib",
        type=command_line.positive_int,
        default=limits.max_memory_mib,
        metavar="MIB",
        help="memory of a decoding process",
    )
