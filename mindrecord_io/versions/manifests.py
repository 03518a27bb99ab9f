"""Versions of a data set: immutable, published by one atomic step, readable for good.

A version is a folder that never changes once it has its name. What makes it the one
that readers get is CURRENT, a file of one line that is replaced last. Writers lock each
other out only while they publish: whoever finds then that CURRENT has moved on since it
began gets a PublishConflictError, loses nothing (its shards are there to be reused),
and runs again.
"""

import contextlib
import datetime
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from mindrecord_io import naming, records
from mindrecord_io.shards import schema
from mindrecord_io.storage import files, incomplete, shard_cache
from mindrecord_io.versions import clips_table

__all__ = [
    "Manifest",
    "ManifestError",
    "PublishConflictError",
    "ShardEntry",
    "Version",
    "current_version",
    "list_versions",
    "open_version",
    "parse",
    "publish",
    "staging_folder",
    "utc_now",
]


class ManifestError(ValueError):
    """A folder is not a data set, or not one that this program can read."""


class PublishConflictError(RuntimeError):
    """Another writer published a version since this one began."""


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """One shard of a version.

    Attributes:
      path: of the .mindrecord file below the data set's folder; the shard's folder
        alone where none of its clips could be stored.
    """

    split: str
    index: int
    num_shards: int
    key: str
    frames_key: str
    path: str
    num_rows: int
    mindrecord: records.Fingerprint | None
    mindrecord_index: records.Fingerprint | None

    def __post_init__(self) -> None:
        folder = naming.shard_folder(Path(), self.split, self.key)
        name = naming.ShardName(self.split, self.index, self.num_shards)
        path = folder / str(name) if self.mindrecord else folder
        if self.path != path.as_posix():  # it is opened: no way out of the data set
            raise ValueError(f"shard path must be {path}, got {self.path!r}")

    @classmethod
    def of(cls, summary: records.ShardSummary) -> "ShardEntry":
        """Returns the entry that lists a published shard."""
        folder = naming.shard_folder(Path(), summary.split, summary.key)
        name = naming.ShardName(summary.split, summary.index, summary.num_shards)
        path = folder / str(name) if summary.mindrecord else folder
        return cls(
            split=summary.split,
            index=summary.index,
            num_shards=summary.num_shards,
            key=summary.key,
            frames_key=summary.frames_key,
            path=path.as_posix(),
            num_rows=summary.num_stored,
            mindrecord=summary.mindrecord,
            mindrecord_index=summary.mindrecord_index,
        )


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a version consists of; manifest.json is this, field by field.

    Attributes:
      parent: the version that was current when this one was begun, "" for the first.
      created_at: UTC, ISO 8601.
      label_digest: hash of the annotations from which the version was made.
      num_classes: labels in labels/category.txt.
      num_clips: rows stored. Only listed in clips.parquet are num_quarantined clips,
        num_missing annotations without a file, num_unlisted files without annotation.
    """

    format_version: int
    version: str
    parent: str
    created_at: str
    settings: records.DecodeSettings
    salt: str
    label_digest: str
    num_classes: int
    num_clips: int
    num_quarantined: int
    num_missing: int
    num_unlisted: int
    num_frames: int
    clips_table: records.Fingerprint
    shards: tuple[ShardEntry, ...]

    @property
    def num_bytes(self) -> int:
        """The size of all shards, their index files included."""
        parts = [p for s in self.shards for p in (s.mindrecord, s.mindrecord_index)]
        return sum(part.num_bytes for part in parts if part is not None)

    @property
    def num_shards(self) -> dict[str, int]:
        """The number of shards into which each split is divided."""
        return {shard.split: shard.num_shards for shard in self.shards}

    def says_the_same(self, other: "Manifest") -> bool:
        """Tells whether two versions differ in nothing but name, parent and time."""
        return self == replace(
            other, version=self.version, parent=self.parent, created_at=self.created_at
        )


@dataclass(frozen=True, slots=True)
class Version:
    """A published version, opened for reading.

    Attributes:
      dataset: the data set's folder; of a remote one the folder of the local copies.
      uri: of a remote data set, "" of one on this machine.
      cache: where the shards of a remote data set come to.
    """

    dataset: Path
    manifest: Manifest
    uri: str = ""
    cache: shard_cache.ShardCache | None = None

    @property
    def folder(self) -> Path:
        """The version's own folder."""
        return naming.version_folder(self.dataset, self.manifest.version)

    def read_clips(
        self, columns: Sequence[str] | None = None, split: str | None = None
    ) -> pa.Table:
        """Reads clips.parquet (see clips_table) whole, or some columns or one split.

        Raises:
          ManifestError: it is not the file that was published; Parquet would not tell.
          TableError: it cannot be read.
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
            names = path.read_bytes().decode("utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as cause:
            raise ManifestError(f"{path}: cannot be read: {cause}") from cause
        if len(names) != self.manifest.num_classes:
            raise ManifestError(
                f"{path}: {len(names)} labels, the manifest says "
                f"{self.manifest.num_classes}"
            )
        return names

    def shard_path(self, entry: ShardEntry) -> Path:
        """Returns where a shard's .mindrecord file is, or will be once fetched."""
        if self.cache is None or entry.mindrecord is None:
            return self.dataset / entry.path
        shard = shard_cache.RemoteShard(entry.path, entry.mindrecord)
        return self.cache.path(shard)

    def _published_table(self) -> Path:
        path = naming.clips_table_path(self.folder)
        if path.exists() and files.fingerprint(path) != self.manifest.clips_table:
            raise ManifestError(f"{path}: not the file that was published: run verify")
        return path


def list_versions(dataset: Path) -> list[str]:
    """Returns the names of all versions, oldest first, CURRENT or not."""
    folder = dataset / "versions"
    if not folder.is_dir():
        return []
    names = [p.name for p in folder.iterdir() if naming.is_version_name(p.name)]
    return sorted(names, key=naming.version_number)


def current_version(dataset: Path) -> str | None:
    """Returns the name of the newest published version, None if there is none yet."""
    path = naming.current_path(dataset)
    try:
        name = path.read_text(encoding="ascii").strip()
        naming.version_number(name)
    except FileNotFoundError:
        return None
    except OSError as cause:
        raise _unreadable(dataset, cause) from cause
    except ValueError as cause:
        raise ManifestError(f"{path}: does not name a version: {cause}") from cause
    return name


def open_version(dataset: Path, version: str | None = None) -> Version:
    """Opens a version for reading, the newest published one by default.

    Raises:
      ManifestError: there is no such data set or version, or it was written by a newer
        program; the message says which versions there are.
    """
    name = version or current_version(dataset)
    if name is None:
        raise ManifestError(
            f"{dataset}: no data set here, or none published yet (no CURRENT file)"
        )
    try:
        path = naming.manifest_path(naming.version_folder(dataset, name))
        content = path.read_bytes()
    except FileNotFoundError as cause:
        names = list_versions(dataset) or "none, so this is no data set"
        raise ManifestError(
            f"{dataset}: no version {name}, there are {names}"
        ) from cause
    except OSError as cause:
        raise _unreadable(dataset, cause) from cause
    except ValueError as cause:
        raise ManifestError(f"{dataset}: version {name!r}: {cause}") from cause
    return Version(dataset, parse(content, dataset, name))


def parse(content: bytes, dataset: Path | str, name: str) -> Manifest:
    """Returns what a version's manifest.json says; `dataset` is for messages.

    Raises:
      ManifestError: it is damaged, another version's or a newer program's.
    """
    try:
        fields = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as cause:
        raise ManifestError(f"{dataset}: version {name!r}: {cause}") from cause
    path = f"{dataset}/{naming.manifest_path(naming.version_folder(Path(), name))}"
    manifest = _parse(path, fields)
    if manifest.version != name:  # its other files are found by it
        raise ManifestError(
            f"{path}: not a manifest: it is of version {manifest.version!r}"
        )
    return manifest


@contextlib.contextmanager
def staging_folder(dataset: Path) -> Iterator[Path]:
    """Makes a folder for a version in the making; removes what is left of it after.

    While it is there, prune removes nothing. It is made before a job looks at any
    shard, and in turn with prune: so no job finds shards that are about to go.
    """
    versions = dataset / "versions"
    versions.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        with files.locked_directory(versions):
            staging = stack.enter_context(incomplete.folder_in(versions))
        yield staging


def publish(dataset: Path, incomplete: Path, manifest: Manifest) -> Version:
    """Makes a folder of finished files the newest version.

    Args:
      incomplete: holds clips.parquet and labels/; the manifest is added here.
      manifest: its `parent` must still be the current version; its `version` is
        replaced by the name it gets.

    Raises:
      PublishConflictError: CURRENT is no longer `manifest.parent`.
    """
    # A rival between its rename and its CURRENT could not be told from one that died
    # there: so one at a time. Where locks are ignored, the check and the rename notice
    # every other rival.
    with files.locked_directory(dataset / "versions"):
        existing = list_versions(dataset)
        number = naming.version_number(existing[-1]) + 1 if existing else 1
        if (current_version(dataset) or "") != manifest.parent:
            raise _conflict(dataset, manifest)
        fields = records.to_json(manifest) | {"version": naming.version_name(number)}
        text = json.dumps(fields, indent=1, ensure_ascii=False) + "\n"
        naming.manifest_path(incomplete).unlink(missing_ok=True)
        files.write_synced(naming.manifest_path(incomplete), text.encode())
        final = naming.version_folder(dataset, naming.version_name(number))
        try:
            files.publish_folder(incomplete, final)
        except FileExistsError as cause:
            raise _conflict(dataset, manifest) from cause
        files.replace_file(naming.current_path(dataset), f"{final.name}\n".encode())
    return open_version(dataset, final.name)


def utc_now() -> str:
    """Returns the time for `created_at`, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _conflict(dataset: Path, manifest: Manifest) -> PublishConflictError:
    return PublishConflictError(
        f"{dataset}: version {current_version(dataset)} was published by another "
        f"process since this one began from {manifest.parent or 'nothing'}; nothing "
        f"is lost, run the same command again: finished shards are reused"
    )


def _unreadable(dataset: Path, error: OSError) -> ManifestError:
    if isinstance(error, NotADirectoryError):
        return ManifestError(
            f"{dataset}: no folder, so no data set: it, or what it is in, is a file"
        )
    return ManifestError(f"{error.filename}: cannot be read: {error.strerror}")


def _parse(path: str, fields: object) -> Manifest:
    written_by = fields.get("format_version") if isinstance(fields, dict) else None
    if isinstance(written_by, int) and written_by > schema.FORMAT_VERSION:
        raise ManifestError(
            f"{path}: format version {written_by} is newer than this program's "
            f"{schema.FORMAT_VERSION}: use a newer clipmill"
        )
    try:
        manifest: Manifest = records.from_json(Manifest, fields)
    except ValueError as cause:
        raise ManifestError(f"{path}: not a manifest: {cause}") from cause
    return manifest
