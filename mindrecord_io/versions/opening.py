"""Opens a version wherever its data set is: on this machine or in an object store.

Of a remote version everything but the shards is copied when it is opened, the table
checked against the manifest. Its shards are fetched when they are read (shard_cache).
"""

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from mindrecord_io import naming
from mindrecord_io.records import Fingerprint
from mindrecord_io.storage import (
    files,
    incomplete,
    locations,
    object_store,
    range_reads,
    transfers,
)
from mindrecord_io.storage.object_store import Storage, StorageError
from mindrecord_io.storage.patience import Patience
from mindrecord_io.storage.range_reads import RangeReads
from mindrecord_io.storage.range_store import open_range_store
from mindrecord_io.storage.shard_cache import CacheSettings, RemoteShard, ShardCache
from mindrecord_io.storage.transfers import WrongContentError
from mindrecord_io.versions import manifests
from mindrecord_io.versions.manifests import (
    Manifest,
    ManifestError,
    ShardEntry,
    Version,
)

__all__ = [
    "RemoteVersion",
    "current_name",
    "list_versions",
    "open_version",
    "read_manifest",
]

T = TypeVar("T")

_LARGE_NUM_BYTES = 16 << 20

Location = Path | str | Storage
"""A path, the URI of a remote data set, or that data set's opened storage."""

_FOR_READERS = (naming.CATEGORY_FILE,)
_FOR_JOBS = (naming.CATEGORY_FILE, *naming.LIST_FILES.values())


@dataclass(frozen=True, slots=True)
class RemoteVersion(Version):
    """A version whose shards are in an object store, opened for a reader.

    Attributes:
      dataset: the folder of the copies of all but the shards.
      uri: of the data set.
      cache: holds the shards once they are fetched.
    """

    uri: str
    cache: ShardCache

    @property
    def location(self) -> str:
        """The URI of the data set."""
        return self.uri

    def shard_path(self, entry: ShardEntry) -> Path:
        """Returns the path that a shard's .mindrecord file has once it is fetched."""
        if entry.mindrecord is None:
            return self.dataset / entry.path
        return self.cache.path(RemoteShard(entry.path, entry.mindrecord))


def open_version(
    location: Location, name: str | None = None, *, into: Path | None = None
) -> Version:
    """Opens a version for reading, the newest published one by default.

    Args:
      into: the folder to which a job copies a remote version and fetches its shards.
        What is missing or damaged there is for the job to find. By default what a
        reader needs is copied to the cache, and the result is a RemoteVersion.

    Raises:
      ManifestError: there is no such data set or version, or it is damaged.
      StorageError: the object store cannot be read.
      ValueError: `location` is neither path nor URI.
    """
    source = _files_at(location)
    content, manifest = _read(source, name)
    if isinstance(source, _LocalFiles):
        return Version(source.location, manifest)
    if into is None:
        return _open_cached(source, content, manifest)
    target = naming.version_folder(into, manifest.version)
    if not target.is_dir():
        with incomplete.folder_in(target.parent) as folder:
            copied = naming.version_folder(folder, manifest.version)
            source.copy_version(copied, content, manifest, labels=_FOR_JOBS)
            _publish_copy(copied, target)
    return Version(into, manifest)


def list_versions(location: Location) -> list[str]:
    """Returns the names of all versions with a manifest, oldest first."""
    names = filter(naming.is_version_name, _files_at(location).names())
    return sorted(names, key=naming.version_number)


def current_name(location: Location) -> str | None:
    """Returns the name of the newest published version, None if there is none yet.

    Raises:
      ManifestError: CURRENT does not name a version, or cannot be read.
      StorageError: the object store cannot be read.
    """
    source = _files_at(location)
    try:
        content = source.read_bytes("CURRENT")
    except FileNotFoundError:
        return None
    try:
        name = content.decode("ascii").strip()
        naming.version_number(name)
    except ValueError as cause:
        raise ManifestError(
            f"{source.location}/CURRENT: does not name a version: {cause}"
        ) from cause
    return name


def read_manifest(location: Location, name: str | None = None) -> Manifest:
    """Reads the manifest of a version, the newest published one by default.

    Raises:
      ManifestError, StorageError: as `open_version`.
    """
    return _read(_files_at(location), name)[1]


class _LocalFiles:
    """The manifests and CURRENT of a data set on this machine.

    A file that is not there is a FileNotFoundError, one that cannot be read a
    ManifestError or, in an object store, a StorageError.
    """

    def __init__(self, location: Path) -> None:
        self.location = self.opened = location

    def names(self) -> list[str]:
        paths = (self.location / "versions").glob("*/manifest.json")
        return [path.parent.name for path in paths]

    def read_bytes(self, path: str) -> bytes:
        try:
            return files.read_bytes(self.location / path)
        except FileNotFoundError:
            raise
        except NotADirectoryError as cause:
            raise ManifestError(
                f"{self.location}: no folder, so no data set: it, or what it is in, "
                f"is a file"
            ) from cause
        except OSError as cause:
            text = f"{cause.filename}: cannot be read: {cause.strerror}"
            raise ManifestError(text) from cause


class _RemoteFiles:
    """The same of a data set in an object store, whose versions can be copied."""

    def __init__(self, remote: Storage) -> None:
        self.location, self.opened = remote.uri, remote
        self._patience = Patience.from_environment()

    def names(self) -> list[str]:
        infos = self._within(
            lambda: self.opened.list_infos("versions", recursive=True), "list versions"
        )
        paths = [PurePosixPath(info.path) for info in infos if info.is_file]
        return [p.parts[1] for p in paths if p.parts[2:] == ("manifest.json",)]

    def read_bytes(self, path: str) -> bytes:
        return self._within(lambda: self.opened.read_bytes(path), f"read {path}")

    def copy_version(
        self, folder: Path, content: bytes, manifest: Manifest, *, labels: Sequence[str]
    ) -> list[Exception]:
        """Copies a version to a new folder; returns why files are missing or wrong."""
        naming.labels_folder(folder).mkdir(parents=True)
        naming.manifest_path(folder).write_bytes(content)
        targets: dict[Path, Fingerprint | None]
        targets = {naming.labels_folder(folder) / name: None for name in labels}
        targets[naming.clips_table_path(folder)] = manifest.clips_table
        problems: list[Exception] = []
        for target, expected in targets.items():
            below = target.relative_to(folder).as_posix()
            path = f"versions/{manifest.version}/{below}"
            try:
                self._copy(path, target, expected)
                files.sync(target)
            except (FileNotFoundError, WrongContentError) as error:
                problems.append(error)
        return problems

    def _copy(self, path: str, target: Path, expected: Fingerprint | None) -> None:
        """Copies a file; a large one part by part, each of which is waited for."""
        if expected and expected.num_bytes > _LARGE_NUM_BYTES:
            reads = RangeReads(open_range_store(self.location), patience=self._patience)
            transfers.download_parts(reads, path, target, expected)
        else:
            self._within(
                lambda: transfers.download(self.opened, path, target, expected),
                f"copy {path}",
            )

    def _within(self, read: Callable[[], T], what: str) -> T:
        return range_reads.within(self._patience, read, f"{what} of {self.location}")


_VersionFiles = _LocalFiles | _RemoteFiles


def _files_at(location: Location) -> _VersionFiles:
    if isinstance(location, Storage):
        return _RemoteFiles(location)
    place = locations.location(str(location))
    if isinstance(place, Path):
        return _LocalFiles(place)
    return _RemoteFiles(object_store.open_storage(place))


def _read(source: _VersionFiles, name: str | None) -> tuple[bytes, Manifest]:
    """Returns a version's manifest, as it lies there and parsed."""
    place = source.location
    name = name or current_name(source.opened)
    if name is None:
        raise ManifestError(
            f"{place}: no data set here, or none published yet (no CURRENT file)"
        )
    try:
        path = naming.manifest_path(naming.version_folder(Path(), name))
    except ValueError as cause:
        raise ManifestError(f"{place}: version {name!r}: {cause}") from cause
    try:
        content = source.read_bytes(path.as_posix())
    except FileNotFoundError as cause:
        names = list_versions(source.opened) or "none, so this is no data set"
        raise ManifestError(f"{place}: no version {name}, there are {names}") from cause
    return content, manifests.parse(content, place, name)


def _open_cached(
    source: _RemoteFiles, content: bytes, manifest: Manifest
) -> RemoteVersion:
    settings = CacheSettings.from_environment()
    mirrors = settings.folder.absolute() / "versions"
    incomplete.remove_abandoned(mirrors)
    # Under the manifest's hash: a data set that is written anew is another one.
    digest = hashlib.sha256(f"{source.location}\n".encode() + content).hexdigest()
    mirror = mirrors / digest[:32]
    if not mirror.is_dir():
        with incomplete.folder_in(mirrors) as folder:
            copied = naming.version_folder(folder, manifest.version)
            problems = source.copy_version(
                copied, content, manifest, labels=_FOR_READERS
            )
            for problem in problems:
                if isinstance(problem, StorageError):
                    raise problem
                raise ManifestError(
                    f"{source.location}: version {manifest.version} is incomplete: "
                    f"{problem}"
                ) from problem
            _publish_copy(folder, mirror)
    cache = ShardCache(RangeReads(open_range_store(source.location)), settings)
    return RemoteVersion(mirror, manifest, source.location, cache)


def _publish_copy(folder: Path, target: Path) -> None:
    with contextlib.suppress(FileExistsError):  # another process was faster
        files.publish_folder(folder, target)
