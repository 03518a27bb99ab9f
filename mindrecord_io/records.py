"""Values that cross a stage: frozen, checked at construction, plain to serialise.

`to_json` and `from_json` turn any of them into JSON and back; nothing is pickled.
"""

import difflib
import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from mindrecord_io.json_values import EMBEDDED, from_json, to_json

__all__ = [
    "MISSING",
    "PARTIAL",
    "QUARANTINED",
    "SPLITS",
    "STORED",
    "UNLABELLED",
    "UNLISTED",
    "WRONG_CHECKSUM",
    "Annotation",
    "ClipFrames",
    "ClipOutcome",
    "DecodeSettings",
    "DecoderIdentity",
    "FileRange",
    "Fingerprint",
    "LabelMap",
    "PlannedClip",
    "PublishedShard",
    "Quarantined",
    "ShardPlan",
    "ShardSummary",
    "SourceFacts",
    "check_clip_id",
    "from_json",
    "to_json",
]

SPLITS = ("train", "validation", "test")
UNLABELLED = -1
"""The `label_id` of a clip whose label is not public (the test split)."""

STORED = "stored"
QUARANTINED = "quarantined"
MISSING = "missing"
UNLISTED = "unlisted"

WRONG_CHECKSUM = "wrong_checksum"
"""The reason of a clip whose file has another SHA-256 than listed for it."""

PARTIAL = "partial"
"""The reason of a clip that is stored although it lost frames."""

_MAX_CLIP_ID_BYTES = 200  # a file name may have 255; the id gets a suffix
_CLIP_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


def check_clip_id(clip_id: str) -> str:
    """Returns `clip_id` if it can safely be part of a path, else raises ValueError."""
    if not isinstance(clip_id, str) or not _CLIP_ID.fullmatch(clip_id):
        raise ValueError(
            f"clip id must be letters, digits, '.', '_' or '-' and not start with "
            f"'.' or '-', got {clip_id!r}: ids become file names"
        )
    if len(clip_id) > _MAX_CLIP_ID_BYTES:
        raise ValueError(
            f"clip id is {len(clip_id)} characters long, the limit is "
            f"{_MAX_CLIP_ID_BYTES}: {clip_id[:40]!r}..."
        )
    return clip_id


def _check_split(split: str) -> None:
    if split not in SPLITS:
        raise ValueError(f"split must be one of {SPLITS}, got {split!r}")


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Label texts by label_id: `names[label_id]`."""

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names):
            twice = sorted({n for n in self.names if self.names.count(n) > 1})
            raise ValueError(f"label texts must be unique, found twice: {twice[:3]}")

    def __len__(self) -> int:
        return len(self.names)

    def label_id(self, name: str) -> int:
        """Returns the number of a label text; a ValueError names the nearest ones."""
        try:
            return self.names.index(name)
        except ValueError:
            near = difflib.get_close_matches(name[:200], self.names, n=3, cutoff=0.5)
            text = f"no label {name!r:.200} among {len(self.names)} labels"
            raise ValueError(f"{text}; nearest: {near}") from None


@dataclass(frozen=True, slots=True)
class Annotation:
    """The split and label of one clip, from the annotation files."""

    clip_id: str
    split: str
    label_id: int
    label: str

    def __post_init__(self) -> None:
        check_clip_id(self.clip_id)
        _check_split(self.split)
        if self.label_id < UNLABELLED:
            raise ValueError(f"{self.clip_id}: label_id must be >= -1: {self.label_id}")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The identity of a file's content."""

    num_bytes: int
    sha256: str

    def __post_init__(self) -> None:
        if not 0 <= self.num_bytes < 1 << 63 or not _SHA256.fullmatch(self.sha256):
            text = f"{self.num_bytes!s:.80}, {self.sha256:.80}"
            raise ValueError(f"not a fingerprint: {text}")


@dataclass(frozen=True, slots=True)
class DecodeSettings:
    """All that decides the bytes of a clip's stored frames, apart from the clip.

    Attributes:
      short_side_px: frames whose short side is longer are reduced to it; 0 keeps the
        source's size. Frames are never enlarged.
      jpeg_quality: 1 to 100.
      page_num_bytes: page size of the MindRecord files; a larger clip takes several.
      accept_partial: damaged clips that lost less than this share of their frames are
        stored without them; 0 refuses every damaged clip.
    """

    short_side_px: int = 0
    jpeg_quality: int = 90
    page_num_bytes: int = 8 << 20
    accept_partial: float = 0.0

    def __post_init__(self) -> None:
        if self.short_side_px != 0 and self.short_side_px < 16:
            raise ValueError(
                f"short_side_px must be 0 or at least 16: {self.short_side_px}"
            )
        if not 1 <= self.jpeg_quality <= 100:
            raise ValueError(f"jpeg_quality must be in [1, 100]: {self.jpeg_quality}")
        if not 1 << 15 <= self.page_num_bytes <= 1 << 28:
            raise ValueError(
                f"page_num_bytes must be in [32 KiB, 256 MiB]: {self.page_num_bytes}"
            )
        if not 0 <= self.accept_partial < 1:
            raise ValueError(f"accept_partial must be in [0, 1): {self.accept_partial}")


@dataclass(frozen=True, slots=True)
class PlannedClip:
    """A clip in a shard's plan: all that the shard's content depends on.

    Attributes:
      stored_in: "<split>/<key>" of a published shard that holds this very file's
        frames, decoded with the plan's settings; "" if it must be decoded. A way to
        the same bytes, so no part of the shard's key.
      expected_sha256: what the file should have, where it has another; else "".
    """

    clip_id: str
    label_id: int
    uri: str
    source: Fingerprint
    stored_in: str = ""
    expected_sha256: str = ""


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """A shard to be made: its place in its split and its clips in storage order.

    Attributes:
      key: hash of everything the shard's bytes depend on, labels included.
      frames_key: the same without the labels: shards that share it hold equal frames.
    """

    split: str
    index: int
    num_shards: int
    clips: tuple[PlannedClip, ...]
    settings: DecodeSettings
    key: str
    frames_key: str

    def __post_init__(self) -> None:
        _check_split(self.split)
        if not 0 <= self.index < self.num_shards:
            raise ValueError(f"shard {self.index} of {self.num_shards} cannot be")
        if not self.clips:
            raise ValueError(f"{self.split} shard {self.index} has no clips")


@dataclass(frozen=True, slots=True)
class FileRange:
    """A range of bytes in a file: `num_bytes` from `offset` on."""

    path: Path
    offset: int
    num_bytes: int

    def __len__(self) -> int:
        return self.num_bytes


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """Rate, length and rotation of a clip's source, by its header and by decoding.

    In JSON and in clips.parquet these are fields of the clip itself.

    Attributes:
      fps_from_header: frames per second as the container claims, 0.0 if it does not,
        as a folder of frames never does.
      num_frames_from_header: as the container claims, 0 if it does not.
      duration_seconds_from_header: as the container claims, 0.0 if it does not.
      fps_from_content, duration_seconds_from_content: by the frames' own times, 0.0
        where these are unknown.
      rotation_degrees: that the frames were turned by, clockwise, as the header asks.
      num_frames_lost: frames that should be there and that no decoder gives; -1 where
        some are lost and nothing states how many there should be.
    """

    fps_from_header: float = 0.0
    num_frames_from_header: int = 0
    duration_seconds_from_header: float = 0.0
    fps_from_content: float = 0.0
    duration_seconds_from_content: float = 0.0
    rotation_degrees: int = 0
    num_frames_lost: int = 0


@dataclass(frozen=True, slots=True)
class ClipFrames:
    """One decoded clip.

    Attributes:
      jpegs: F JPEG files end to end, in presentation order; or where they lie.
      frame_sizes: bytes of each.
      height, width: of every stored frame, in pixels.
      sha256, crc32s: of `jpegs`, and of each, where known; fresh ones are bytes.
      damage: what is wrong with the clip, which is stored all the same; "" if nothing.
    """

    jpegs: bytes | FileRange
    frame_sizes: tuple[int, ...]
    height: int
    width: int
    facts: SourceFacts = field(default=SourceFacts(), metadata=EMBEDDED)
    sha256: str = ""
    damage: str = ""
    crc32s: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.frame_sizes or min(self.frame_sizes) < 1:
            raise ValueError("a decoded clip needs frames, and none may be empty")
        if sum(self.frame_sizes) != len(self.jpegs):
            raise ValueError(
                f"{len(self.jpegs)} bytes of JPEG, the frames' sizes add up to "
                f"{sum(self.frame_sizes)}"
            )
        if not self.sha256 and isinstance(self.jpegs, FileRange):
            raise ValueError(f"{self.jpegs.path}: frames in a file come with a SHA-256")
        if self.height < 1 or self.width < 1:
            raise ValueError(f"frames of {self.width}x{self.height} pixels cannot be")


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Why a clip is not stored: a short code, and the details for people.

    Its `limits` are those in force, if others may let the clip pass; else "".
      facts: what its header states and how many frames are lost, as far as is known.
    """

    reason: str
    detail: str
    limits: str = ""
    facts: SourceFacts = field(default=SourceFacts(), metadata=EMBEDDED)


@dataclass(frozen=True, slots=True)
class ClipOutcome:
    """The result of one planned clip; a row of clips.parquet, less its annotation.

    Attributes:
      status: STORED or QUARANTINED.
      reason, detail: why it is quarantined; PARTIAL and what is wrong with it if it is
        stored though damaged; "" for a clip that is whole.
      row: the clip's row in its shard, -1 if quarantined.
      frames_offset: where its JPEGs begin in the .mindrecord file, -1 if quarantined.
      frame_sizes: bytes of each JPEG, end to end from `frames_offset`.
      frames_sha256: of these bytes, "" if quarantined.
      frame_crc32s: of each JPEG; none if it was written before there were any.
      limits: as in Quarantined.
    """

    clip_id: str
    label_id: int
    source: Fingerprint
    status: str
    reason: str = ""
    detail: str = ""
    height: int = 0
    width: int = 0
    facts: SourceFacts = field(default=SourceFacts(), metadata=EMBEDDED)
    row: int = -1
    frames_offset: int = -1
    frame_sizes: tuple[int, ...] = ()
    frames_sha256: str = ""
    limits: str = ""
    frame_crc32s: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.status not in (STORED, QUARANTINED):
            raise ValueError(f"{self.clip_id}: status cannot be {self.status!r}")
        if (self.status == STORED) != bool(self.frame_sizes):
            raise ValueError(f"{self.clip_id}: only stored clips have frames")


@dataclass(frozen=True, slots=True, order=True)
class DecoderIdentity:
    """What decided the pixels of frames.

    Attributes:
      machine: the processor's architecture, as `uname -m` names it.
      libraries: decoders, converters and encoders, with their versions.
      fingerprint: SHA-256 of what they made of a few built-in clips.
    """

    machine: str
    libraries: tuple[str, ...]
    fingerprint: str

    @property
    def name(self) -> str:
        """A short name; different identities have different names."""
        text = json.dumps([self.machine, self.libraries, self.fingerprint])
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def __str__(self) -> str:
        return f"{self.name} ({self.machine}; {', '.join(self.libraries)})"


@dataclass(frozen=True, slots=True)
class PublishedShard:
    """A shard's place in its split, its keys, and the content of its files.

    Attributes:
      planned_key: the key by the shard's plan, where it was made once more by another
        decoder while a version listed the first one's; else "".
      mindrecord, mindrecord_index: of the .mindrecord file and of its .db; None where
        no clip of the shard could be stored, so that there is no file.
    """

    split: str
    index: int
    num_shards: int
    key: str
    frames_key: str
    mindrecord: Fingerprint | None
    mindrecord_index: Fingerprint | None
    planned_key: str = field(default="", kw_only=True)


@dataclass(frozen=True, slots=True)
class ShardSummary(PublishedShard):
    """What lies beside a published shard's files: the shard and its clips.

    Attributes:
      decoders: that made its frames; several where some were copied, none where this
        was not recorded yet.
    """

    clips: tuple[ClipOutcome, ...]
    decoders: tuple[DecoderIdentity, ...] = field(default=(), kw_only=True)

    @property
    def num_stored(self) -> int:
        """The number of rows in the shard."""
        return sum(clip.status == STORED for clip in self.clips)
