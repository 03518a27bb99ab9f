"""Keeps shards of remote data sets on the local disk: checked, limited in size.

    CACHE/shards/<sha256>/train-00017-of-00512.mindrecord
    CACHE/versions/<hash>/...      what else a version consists of (see opening)
    CACHE/leases/<id>              the shards that a living process is about to read
    CACHE/.lock, CACHE/locks/      held for moments, and while a shard arrives

Shards lie under the hash of their content: versions and data sets share them, and what
has its name is what was published. Several processes may use one cache, each with its
own limit; the shards that were leased longest ago leave first, leased ones never. So a
cache that is smaller than what is being read at one moment grows beyond its limit.
"""

import contextlib
import fcntl
import json
import logging
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mindrecord_io.records import Fingerprint
from mindrecord_io.storage import files, transfers
from mindrecord_io.storage.object_store import Storage, StorageError

__all__ = ["CacheSettings", "RemoteShard", "ShardCache", "work_folder"]

logger = logging.getLogger(__name__)

_GIB = 1 << 30
_DEFAULT_GIB = 64.0


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """Where shards are kept, and how many bytes of them at most."""

    folder: Path
    max_num_bytes: int

    def __post_init__(self) -> None:
        if self.max_num_bytes < 1:
            raise ValueError(
                f"a cache must be of at least 1 byte, got {self.max_num_bytes}"
            )

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] = os.environ
    ) -> "CacheSettings":
        """Returns the settings in CLIPMILL_CACHE (a folder) and CLIPMILL_CACHE_GIB.

        Without them: clipmill in the user's cache folder, and 64.
        """
        given = environment.get("CLIPMILL_CACHE_GIB", str(_DEFAULT_GIB))
        try:
            num_bytes = int(float(given) * _GIB)
        except (ValueError, OverflowError) as cause:
            raise ValueError(
                f"CLIPMILL_CACHE_GIB must be a number, got {given!r}"
            ) from cause
        return cls(_cache_folder(environment), num_bytes)


def work_folder() -> Path:
    """Returns the folder for files that are on their way to or from an object store."""
    return _cache_folder(os.environ).absolute() / "work"


@dataclass(frozen=True, slots=True)
class RemoteShard:
    """A .mindrecord file in an object store: its path there, and its content."""

    path: str
    content: Fingerprint


class ShardCache:
    """The local copies of one data set's shards; safe to use from several threads.

    Attributes:
      settings: as given.
      num_fetched, num_bytes_fetched: what this object has copied from the store.
    """

    def __init__(self, remote: Storage, settings: CacheSettings) -> None:
        self.settings = settings
        self.num_fetched = self.num_bytes_fetched = 0
        self._storage = remote
        self._folder = settings.folder.absolute()
        for name in ("shards", "leases", "locks"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        self._lease = _Lease(self._folder / "leases")

    def path(self, shard: RemoteShard) -> Path:
        """Returns the path of a shard once it is fetched."""
        name = shard.path.rpartition("/")[2]
        return self._folder / "shards" / shard.content.sha256 / name

    def hold(self, shards: Iterable[RemoteShard]) -> None:
        """Keeps these shards, and no others any more, from being removed."""
        paths = [self.path(shard) for shard in shards]
        with self._locked(".lock"):
            self._lease.write(path.parent.name for path in paths)
            for path in paths:
                with contextlib.suppress(FileNotFoundError):
                    os.utime(path)

    def fetch(self, shard: RemoteShard) -> Path:
        """Copies a shard from the store unless it is here; call `hold` before.

        Raises:
          StorageError: it cannot be read, or is never what was published.
        """
        path = self.path(shard)
        if path.exists():
            return path
        # One process fetches, the others that want the same wait for it.
        with self._locked(f"locks/{shard.content.sha256[:2]}"):
            if not path.exists():
                self._copy(shard, path)
        return path

    def release(self) -> None:
        """Ends the hold on all shards, and removes what is beyond the limit."""
        self.hold([])
        self._make_room(0)

    def close(self) -> None:
        """Ends the lease; the cache cannot be used any more."""
        self._lease.close()

    def _copy(self, shard: RemoteShard, path: Path) -> None:
        self._make_room(shard.content.num_bytes)
        path.parent.mkdir(exist_ok=True)
        arriving = path.with_name(".arriving")
        what = f"{self._storage.uri}/{shard.path}"
        try:
            transfers.download(self._storage, shard.path, arriving, shard.content)
            files.sync(arriving)
            arriving.replace(path)
        except FileNotFoundError as cause:
            raise StorageError(f"{what}: is not there: {cause}") from cause
        finally:
            arriving.unlink(missing_ok=True)
        self.num_fetched += 1
        self.num_bytes_fetched += shard.content.num_bytes
        logger.debug("fetched %s: %d bytes", what, shard.content.num_bytes)

    def _make_room(self, num_bytes: int) -> None:
        """Removes the shards leased longest ago until so many bytes fit."""
        with self._locked(".lock"):
            leased = self._lease.all_held()
            stored = sorted(_stored_shards(self._folder / "shards"))
            excess = sum(size for _, size, _ in stored) + num_bytes
            excess -= self.settings.max_num_bytes
            for _, size, path in stored:
                if excess <= 0:
                    return
                if path.parent.name not in leased:
                    path.unlink()
                    excess -= size
                    logger.debug("removed %s: %d bytes", path.name, size)

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        with _open_locked(self._folder / name):
            yield


class _Lease:
    """A file that lists the shards a process holds; void when no process locks it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / uuid.uuid4().hex
        self._locked = contextlib.ExitStack()
        self._locked.enter_context(_open_locked(self._path))

    def write(self, sha256s: Iterable[str]) -> None:
        self._path.write_text(json.dumps(sorted(set(sha256s))))

    def all_held(self) -> set[str]:
        """Returns the hashes that living processes hold; removes dead ones' leases."""
        leased: set[str] = set()
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path != self._path and _is_void(path):
                    path.unlink()
                    continue
                leased.update(json.loads(path.read_text() or "[]"))
        return leased

    def close(self) -> None:
        self._path.unlink(missing_ok=True)
        self._locked.close()


def _cache_folder(environment: Mapping[str, str]) -> Path:
    home = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(environment.get("CLIPMILL_CACHE") or Path(home) / "clipmill")


def _is_void(lease: Path) -> bool:
    with lease.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


@contextlib.contextmanager
def _open_locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _stored_shards(folder: Path) -> Iterator[tuple[int, int, Path]]:
    """Yields (time of its last lease, bytes, path) of every shard in the cache."""
    for path in folder.glob("*/*.mindrecord"):
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            yield status.st_mtime_ns, status.st_size, path
