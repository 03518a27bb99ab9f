"""The versions of a data set: immutable, described by a manifest, readable for good.

A version is a folder that never changes once it has its name. Readers get the one that
CURRENT names, a file of one line that is replaced last (see opening and publication).
"""

import dataclasses
import datetime
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from mindrecord_io import json_values, naming, records
from mindrecord_io.naming import ShardName
from mindrecord_io.records import (
    DecoderIdentity,
    DecodeSettings,
    Fingerprint,
    PublishedShard,
)
from mindrecord_io.shards import schema
from mindrecord_io.shards.shard_folders import SummaryFile
from mindrecord_io.storage import files
from mindrecord_io.versions import clips_table, contradictions
from mindrecord_io.versions.provenance import Provenance

__all__ = [
    "DatasetError",
    "Manifest",
    "ManifestError",
    "PublishConflictError",
    "ShardEntry",
    "Version",
    "encoded",
    "parse",
    "utc_now",
]


class ManifestError(ValueError):
    """A folder is not a data set, or not one that this program can read."""


class DatasetError(RuntimeError):
    """A shard is not what the manifest or the table of clips says."""


class PublishConflictError(RuntimeError):
    """Another writer published a version since this one began."""


@dataclass(frozen=True, slots=True)
class ShardEntry(PublishedShard):
    """One shard of a version.

    Attributes:
      path: of the .mindrecord file below the data set's folder; the shard's folder
        alone where none of its clips could be stored.
      summary: of the summary.json beside it; None in a manifest of format version 1.
    """

    path: str
    num_rows: int
    summary: Fingerprint | None = None

    def __post_init__(self) -> None:
        path = _shard_path(self)
        if self.path != path:  # it is opened: no way out of the data set
            raise ValueError(f"shard path must be {path}, got {self.path!r}")

    @classmethod
    def of(cls, file: SummaryFile) -> "ShardEntry":
        """Returns the entry that lists a published shard."""
        summary = file.summary
        names = [field.name for field in dataclasses.fields(PublishedShard)]
        shared = {name: getattr(summary, name) for name in names}
        return cls(
            **shared,
            path=_shard_path(summary),
            num_rows=summary.num_stored,
            summary=file.content,
        )

    @property
    def place(self) -> str:
        """The shard's place, "<split>/<key>"."""
        return f"{self.split}/{self.key}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of a version; manifest.json is this, field by field.

    Attributes:
      parent: the version that was current when this one was begun, "" for the first.
      created_at: UTC, ISO 8601.
      label_digest: hash of the annotations from which the version was made.
      decoders: that made the frames of its shards, as far as this was recorded.
      provenance: what was run, on what, of what; in older versions empty.
      num_classes: labels in labels/category.txt.
      num_clips: rows stored. Only listed in clips.parquet are num_quarantined clips,
        num_missing annotations without a file, num_unlisted files without annotation.
    """

    format_version: int
    version: str
    parent: str
    created_at: str
    settings: DecodeSettings
    salt: str
    label_digest: str
    num_classes: int
    num_clips: int
    num_quarantined: int
    num_missing: int
    num_unlisted: int
    num_frames: int
    clips_table: Fingerprint
    shards: tuple[ShardEntry, ...]
    decoders: tuple[DecoderIdentity, ...] = ()
    provenance: Provenance = field(default=Provenance())

    @property
    def num_bytes(self) -> int:
        """The size of all shards, their index files included."""
        parts = [p for s in self.shards for p in (s.mindrecord, s.mindrecord_index)]
        return sum(part.num_bytes for part in parts if part is not None)

    @property
    def num_listed(self) -> int:
        """The number of rows of clips.parquet."""
        outside = self.num_quarantined + self.num_missing + self.num_unlisted
        return self.num_clips + outside

    @property
    def num_shards(self) -> dict[str, int]:
        """The number of shards into which each split is divided."""
        return {shard.split: shard.num_shards for shard in self.shards}

    def says_the_same(self, other: "Manifest") -> bool:
        """Returns whether two versions are equal but for name, parent and origin."""
        return self == replace(
            other,
            version=self.version,
            parent=self.parent,
            created_at=self.created_at,
            provenance=self.provenance,
        )


@dataclass(frozen=True, slots=True)
class Version:
    """A published version, opened for reading.

    Attributes:
      dataset: the data set's folder; of a remote one the folder of the local copies.
    """

    dataset: Path
    manifest: Manifest

    @property
    def folder(self) -> Path:
        """The version's own folder."""
        return naming.version_folder(self.dataset, self.manifest.version)

    @property
    def location(self) -> Path | str:
        """The path or URI of the data set, for messages."""
        return self.dataset

    def read_clips(
        self, columns: Sequence[str] | None = None, split: str | None = None
    ) -> pa.Table:
        """Reads clips.parquet (see clips_table) whole, or some columns or one split.

        Raises:
          ManifestError: it is not the file that was published; Parquet itself does not
          notice. TableError: it cannot be read.
        """
        return clips_table.read(self._published_table(), columns, split)

    def clip_batches(
        self, columns: Sequence[str], split: str | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yields some columns of clips.parquet, or of one split, some rows at a time.

        Raises:
          ManifestError, TableError: as `read_clips`.
        """
        yield from clips_table.batches(self._published_table(), columns, split)

    def category_names(self) -> list[str]:
        """Returns label texts by label_id."""
        path = naming.labels_folder(self.folder) / naming.CATEGORY_FILE
        try:
            names = files.read_bytes(path).decode("utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as cause:
            raise ManifestError(f"{path}: cannot be read: {cause}") from cause
        if len(names) != self.manifest.num_classes:
            raise ManifestError(
                f"{path}: {len(names)} labels, the manifest says "
                f"{self.manifest.num_classes}"
            )
        return names

    def shard_path(self, entry: ShardEntry) -> Path:
        """Returns the path of a shard's .mindrecord file."""
        return self.dataset / entry.path

    def _published_table(self) -> Path:
        path, manifest = naming.clips_table_path(self.folder), self.manifest
        if path.exists() and files.fingerprint(path) != manifest.clips_table:
            raise ManifestError(f"{path}: not the file that was published: run verify")
        num_rows, listed = clips_table.num_rows(path), manifest.num_listed
        if num_rows != listed:
            raise ManifestError(
                f"{path}: has {num_rows} clips, the manifest counts {listed}: run "
                f"verify"
            )
        return path


def parse(content: bytes, dataset: Path | str, name: str) -> Manifest:
    """Returns the manifest in the content of manifest.json; `dataset` is for messages.

    Raises:
      ManifestError: it is damaged, another version's or a newer program's.
    """
    try:
        fields = json_values.parse(content)
    except ValueError as cause:
        raise ManifestError(f"{dataset}: version {name!r}: {cause}") from cause
    path = f"{dataset}/{naming.manifest_path(naming.version_folder(Path(), name))}"
    manifest = _parse(path, fields)
    if manifest.version != name:  # its other files are found by it
        raise ManifestError(
            f"{path}: not a manifest: it is of version {manifest.version!r}"
        )
    return manifest


def encoded(manifest: Manifest) -> bytes:
    """Returns the content of manifest.json.

    Raises:
      ManifestError: it contradicts itself.
    """
    if why := contradictions.first_of(manifest):
        raise ManifestError(f"version {manifest.version} is not published: {why}")
    fields = records.to_json(manifest)
    if manifest.format_version == 1:  # whose readers refuse what they do not have
        for value in (fields, *fields["shards"]):
            for name in ("summary", "planned_key", "decoders"):
                if not value.get(name, True):
                    del value[name]
    text = json.dumps(fields, indent=1, ensure_ascii=False)
    return f"{text}\n".encode()


def utc_now() -> str:
    """Returns the time for `created_at`, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _parse(path: str, fields: object) -> Manifest:
    written_by = fields.get("format_version") if isinstance(fields, dict) else None
    if isinstance(written_by, int) and written_by > schema.FORMAT_VERSION:
        raise ManifestError(
            f"{path}: format version {written_by} is newer than this program's "
            f"{schema.FORMAT_VERSION}: use a newer clipmill"
        )
    if isinstance(written_by, int) and written_by < 1:
        raise ManifestError(f"{path}: there never was a format version {written_by}")
    try:
        manifest: Manifest = records.from_json(Manifest, fields)
    except ValueError as cause:
        raise ManifestError(f"{path}: not a manifest: {cause}") from cause
    if why := contradictions.first_of(manifest):
        raise ManifestError(f"{path}: contradicts itself: {why}")
    return manifest


def _shard_path(shard: PublishedShard) -> str:
    folder = naming.shard_folder(Path(), shard.split, shard.key)
    name = ShardName(shard.split, shard.index, shard.num_shards)
    return (folder / str(name) if shard.mindrecord else folder).as_posix()
