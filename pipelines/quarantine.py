"""Every reason not to store a clip, and the limits that a clip must keep.

Needs no decoder's library, so that every job can import it.
"""

import dataclasses
import json
import signal
from collections.abc import Mapping
from dataclasses import dataclass

from mindrecord_io import records
from mindrecord_io.storage import files

__all__ = [
    "OUTSIDE_SIGNALS",
    "REASONS",
    "WALL_FACTOR",
    "ClipError",
    "DecodeLimits",
    "is_unread",
    "killed_from_outside",
    "reasons_table",
    "too_much_time",
    "unread_file",
]

WALL_FACTOR = 10
"""How many times its processor time the decoding of a clip may last."""

OUTSIDE_SIGNALS = frozenset(
    {signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGTERM}
)
"""Signals that no clip makes a decoder end by: someone, or the kernel, ends it."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a clip is not stored whole.

    Attributes:
      meaning: what is wrong with the clip.
      remedy: what a person can do about it.
      status: of the clip in clips.parquet.
      flag: of `build`, sets the limit that the clip broke; "" without one limit.
      is_settled: the same file fails in the same way again. Otherwise the failure is
        not the clip's, and the build stops.
      depends_on_limits: other limits, or a calmer machine, may let the clip pass.
      leaves_frames: the clip's other frames are as they should be.
    """

    meaning: str
    remedy: str = "copy the clip again, or replace it"
    status: str = records.QUARANTINED
    flag: str = ""
    is_settled: bool = True
    depends_on_limits: bool = False
    leaves_frames: bool = False


def _over_limit(meaning: str, flag: str) -> Reason:
    return Reason(meaning, f"raise `{flag}`", flag=flag, depends_on_limits=True)


def _unsettled(meaning: str, remedy: str) -> Reason:
    return Reason(meaning, remedy, is_settled=False)


def _loss(meaning: str) -> Reason:
    return Reason(meaning, leaves_frames=True)


REASONS: Mapping[str, Reason] = {
    "missing": Reason(
        "annotated, but there is no file",
        "add the file, or remove the annotation",
        records.MISSING,
    ),
    "empty": Reason("the file has no bytes, the folder of frames no files"),
    records.WRONG_CHECKSUM: Reason(
        "the file has another SHA-256 than the list given with `--checksums`",
        "copy the clip again, or correct the list",
    ),
    "not_video": Reason("by its content no WebM, MKV, MP4, MOV or AVI"),
    "wrong_container": Reason(
        "a container that is recognised but not decoded (Ogg, FLV, MPEG, ...)",
        "convert the file, for example to WebM",
    ),
    "audio_only": Reason("sound and no pictures"),
    "not_decodable": Reason("no video stream can be opened"),
    "encrypted": Reason("its frames are encrypted", "decrypt the file"),
    "no_frames": Reason("the video stream or the folder has no frames"),
    "truncated": _loss("cut off, or fewer frames than the container promises"),
    "too_many_frames": Reason("more frames than the container promises"),
    "damaged": _loss("a decoder reports errors, which the row quotes"),
    "concatenated": Reason(
        "several files or clips in one, or frames of several sizes", "split the clip"
    ),
    "missing_frames": _loss("a folder of frames has a gap in its numbers"),
    "misnumbered": Reason(
        "names in a folder of frames have no number, or are of several sequences",
        "rename the files",
    ),
    "foreign_files": Reason(
        "a folder of frames has other things in it", "move them elsewhere"
    ),
    "not_jpeg": Reason("a frame's file is no JPEG", "convert the frames"),
    "not_encodable": Reason(
        "no JPEG can be made of a frame: a side is too long", "set `--short_side`"
    ),
    "too_large": Reason(
        "its JPEGs have more than 256 MiB, the most of a row",
        "reduce by `--short_side`",
    ),
    "file_too_large": _over_limit("too many bytes in the file", "--max_clip_gib"),
    "too_long": _over_limit("too many frames", "--max_clip_frames"),
    "frame_too_large": _over_limit("too many pixels in a frame", "--max_clip_pixels"),
    "timeout": _over_limit("decoding takes too long", "--max_clip_seconds"),
    "out_of_memory": _over_limit("decoding needs too much memory", "--max_decoder_mib"),
    "decoder_crashed": Reason("the decoder crashed, twice", depends_on_limits=True),
    "decoder_killed": _unsettled(
        "the decoder was killed from outside, twice",
        "if memory is short, use fewer --num_workers",
    ),
    "changed": _unsettled("the file changed since the build began", "build again"),
    "unreadable": _unsettled("the file cannot be read", "check disk and permissions"),
    "no_ffmpeg": _unsettled(
        "this clip needs ffmpeg, which is not installed", "install it"
    ),
    records.PARTIAL: Reason(
        "damaged, but lost less than the share `--accept_partial` of its frames",
        "set `--accept_partial` to 0 to refuse such clips",
        records.STORED,
    ),
    "unlisted": Reason(
        "a file or folder that no annotation names", "annotate it", records.UNLISTED
    ),
}
"""Every reason that a row of clips.parquet may have, or that stops a build."""


class ClipError(ValueError):
    """A clip cannot be stored.

    Attributes:
      reason: a key of REASONS.
      facts: what is known of the clip all the same.
    """

    def __init__(
        self,
        reason: str,
        detail: str,
        facts: records.SourceFacts = records.SourceFacts(),  # noqa: B008
    ) -> None:
        """Adds the flag of the limit that the clip broke to the detail.

        Raises:
          ValueError: REASONS does not have the reason.
        """
        if reason not in REASONS:
            raise ValueError(f"reason must be one of {sorted(REASONS)}, got {reason!r}")
        flag = REASONS[reason].flag
        super().__init__(detail if flag in detail else f"{detail} ({flag})")
        self.reason = reason
        self.facts = facts

    def quarantined(self, clip_limits: "DecodeLimits") -> records.Quarantined:
        """Returns the error as a result; with the limits if it depends on them."""
        limits = clip_limits.text if REASONS[self.reason].depends_on_limits else ""
        return records.Quarantined(self.reason, str(self), limits, self.facts)


def unread_file(num_bytes: int) -> records.Fingerprint:
    """Returns the identity of a file that is too large to be read: its size alone."""
    return records.Fingerprint(num_bytes, files.UNREAD_SHA256)


def is_unread(source: records.Fingerprint) -> bool:
    """Returns whether `unread_file` made an identity."""
    return source.sha256 == files.UNREAD_SHA256


def killed_from_outside(signal_number: int) -> str:
    """Returns the detail for a decoder that one of OUTSIDE_SIGNALS ended."""
    name, remedy = signal.Signals(signal_number).name, REASONS["decoder_killed"].remedy
    return f"its decoder was killed by {name} from outside; {remedy}"


def too_much_time(clip_limits: "DecodeLimits") -> str:
    """Returns the detail for a clip that needs too much processor time."""
    return f"decoding takes more than {clip_limits.max_seconds} s of processor time"


def reasons_table() -> str:
    """Returns REASONS as a table in Markdown, for the documentation."""
    lines = ["| reason | meaning | result | what to do |", "|---|---|---|---|"]
    for name, reason in REASONS.items():
        cells = (f"`{name}`", reason.meaning, _result(reason), reason.remedy)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _result(reason: Reason) -> str:
    if not reason.is_settled:
        return "the build stops"
    if reason.depends_on_limits:
        return "quarantined; decoded again when a build has other limits"
    if reason.leaves_frames:
        return f"quarantined, or stored as `{records.PARTIAL}`"
    return reason.status


_MAX_GIB = 4


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """The limits of one clip; a clip that breaks one is quarantined.

    Attributes:
      max_seconds: processor time, in whole seconds, so that a machine that is busy
        loses no clip.
      max_frames: frames of a clip.
      max_pixels: width times height of a frame.
      max_memory_mib: data segment of the decoding process.
      max_gib: of the clip's file, which is not even hashed if it is larger.
    """

    max_seconds: int = 60
    max_frames: int = 5000
    max_pixels: int = 3840 * 2160
    max_memory_mib: int = 2048
    max_gib: int = _MAX_GIB

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1: {getattr(self, name)}")

    @property
    def max_wall_seconds(self) -> int:
        """The time until a clip is given up that only waits, as for a disk."""
        return WALL_FACTOR * self.max_seconds

    @property
    def text(self) -> str:
        """The limits as one line, to be stored and compared.

        The usual max_gib is left out: what was refused before there was that limit is
        refused by the same ones now.
        """
        limits = dataclasses.asdict(self)
        if self.max_gib == _MAX_GIB:
            del limits["max_gib"]
        return json.dumps(limits, sort_keys=True)
