"""Keeps shards of remote data sets on the local disk: checked, limited in size.

    CACHE/shards/<sha256>/train-00017-of-00512.mindrecord
    CACHE/versions/<hash>/...      what else a version consists of (see opening)
    CACHE/leases/<id>              what a living reader holds, and when it needs more
    CACHE/.lock, CACHE/locks/      held for moments, and while a shard arrives

Shards lie under the hash of their content: versions and data sets share them, and what
has its name is what was published. Several processes may use one cache, and a shard
that two of them want is fetched once.

The limit is never exceeded: a reader holds shards before it fetches them, which it may
only if all that is held fits, and what nobody holds leaves at that moment: first what
no reader needs again, then what is needed last. Each reader may hold its share of the
limit alone, so that none waits for another that waits for it.
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
from typing import Any

from mindrecord_io.records import Fingerprint
from mindrecord_io.storage import files, transfers
from mindrecord_io.storage.range_reads import RangeReads

__all__ = ["CacheSettings", "Lease", "RemoteShard", "ShardCache", "work_folder"]

logger = logging.getLogger(__name__)

_GIB = 1 << 30
_DEFAULT_GIB = 64.0
READINGS = ("auto", "shards", "parts")


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """Where shards are kept, how many bytes of them at most, and what is fetched.

    Attributes:
      reading: one of READINGS: whole shards, the sampled frames by ranges, or the one
        of both that is cheaper.
    """

    folder: Path
    max_num_bytes: int
    reading: str = "auto"

    def __post_init__(self) -> None:
        if self.max_num_bytes < 1:
            raise ValueError(
                f"a cache must be of at least 1 byte, got {self.max_num_bytes}"
            )
        if self.reading not in READINGS:
            raise ValueError(
                f"CLIPMILL_READING must be one of {READINGS}, got {self.reading!r}"
            )

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] = os.environ
    ) -> "CacheSettings":
        """Returns the settings in CLIPMILL_CACHE (a folder) and CLIPMILL_CACHE_GIB.

        Without them: clipmill in the user's cache folder, and 64. CLIPMILL_READING is
        one of READINGS.
        """
        given = environment.get("CLIPMILL_CACHE_GIB", str(_DEFAULT_GIB))
        try:
            num_bytes = int(float(given) * _GIB)
        except (ValueError, OverflowError) as cause:
            raise ValueError(
                f"CLIPMILL_CACHE_GIB must be a number, got {given!r}"
            ) from cause
        reading = environment.get("CLIPMILL_READING", "auto")
        return cls(_cache_folder(environment), num_bytes, reading)


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
      reads: of the data set's files.
      num_fetched, num_bytes_fetched: shards that this object has copied here.
    """

    def __init__(self, reads: RangeReads, settings: CacheSettings) -> None:
        self.settings = settings
        self.reads = reads
        self.num_fetched = self.num_bytes_fetched = 0
        self._folder = settings.folder.absolute()
        for name in ("shards", "leases", "locks"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)

    def path(self, shard: RemoteShard) -> Path:
        """Returns the path of a shard once it is fetched."""
        name = shard.path.rpartition("/")[2]
        return self._folder / "shards" / shard.content.sha256 / name

    def lease(self) -> "Lease":
        """Returns a new reader's hold on shards, none so far."""
        return Lease(self._folder, self.settings.max_num_bytes)

    def fetch(self, shard: RemoteShard) -> Path:
        """Copies a shard from the store unless it is here; a lease must hold it.

        Raises:
          StorageError: it cannot be read, or is never what was published.
        """
        path = self.path(shard)
        if path.exists():
            return path
        # One process fetches, the others that want the same wait for it.
        with _open_locked(self._folder / "locks" / shard.content.sha256[:2]):
            if not path.exists():
                self._copy(shard, path)
        return path

    def _copy(self, shard: RemoteShard, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        arriving = path.with_name(".arriving")
        try:
            transfers.download_parts(self.reads, shard.path, arriving, shard.content)
            files.sync(arriving)
            arriving.replace(path)
        finally:
            arriving.unlink(missing_ok=True)
        self.num_fetched += 1
        self.num_bytes_fetched += shard.content.num_bytes
        logger.debug("fetched %s: %d bytes", shard.path, shard.content.num_bytes)


class Lease:
    """What one reader holds in a cache: a file, void when no process locks it."""

    def __init__(self, folder: Path, max_num_bytes: int) -> None:
        self._folder, self._max_num_bytes = folder, max_num_bytes
        self._path = folder / "leases" / uuid.uuid4().hex
        self._locked = contextlib.ExitStack()
        # Others must not see the file before it is locked: they would remove it.
        with _open_locked(folder / ".lock"):
            self._locked.enter_context(_open_locked(self._path))

    def share(self) -> int:
        """Returns how many bytes each reader of the cache may hold whatever others do.

        The limit, divided by the number of readers at this moment.
        """
        with _open_locked(self._folder / ".lock"):
            return self._max_num_bytes // len(self._living())

    def hold(
        self, shards: Iterable[RemoteShard], next_uses: Mapping[str, int] | None = None
    ) -> bool:
        """Keeps these shards, and no others any more, and makes room for them.

        Args:
          next_uses: of other shards by SHA-256, the step that needs each next.

        Returns:
          Whether there is room beside what others hold; else nothing has changed.
        """
        mine = {shard.content.sha256: shard.content.num_bytes for shard in shards}
        uses = dict(next_uses or {})
        with _open_locked(self._folder / ".lock"):
            others = [
                lease for path, lease in self._living().items() if path != self._path
            ]
            leased = dict(mine)
            for other in others:
                leased.update(other.get("held", {}))
                for sha256, step in other.get("next", {}).items():
                    uses[sha256] = min(step, uses.get(sha256, step))
            if sum(leased.values()) > self._max_num_bytes:
                return False
            self._path.write_text(
                json.dumps({"held": mine, "next": dict(next_uses or {})})
            )
            self._make_room(leased, uses)
        return True

    def close(self) -> None:
        """Holds nothing any more, and removes what is beyond the limit."""
        with contextlib.suppress(FileNotFoundError):
            self.hold([])
        self._path.unlink(missing_ok=True)
        self._locked.close()

    def _living(self) -> dict[Path, dict[str, Any]]:
        """Returns the leases of living processes, this one too; removes dead ones'."""
        leases: dict[Path, dict[str, Any]] = {}
        for path in (self._folder / "leases").iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path != self._path and _is_void(path):
                    path.unlink()
                    continue
                leases[path] = json.loads(path.read_text() or "{}")
        return leases or {self._path: {}}

    def _make_room(self, leased: Mapping[str, int], uses: Mapping[str, int]) -> None:
        """Removes what nobody holds until it fits beside all that is held."""
        stored = list(_stored_shards(self._folder / "shards"))
        spare = [s for s in stored if s[2].parent.name not in leased]
        excess = sum(size for _, size, _ in spare) + sum(leased.values())
        excess -= self._max_num_bytes
        never = float("inf")
        spare.sort(key=lambda s: (-uses.get(s[2].parent.name, never), s[0]))
        for _, size, path in spare:
            if excess <= 0:
                return
            path.unlink()
            excess -= size
            logger.debug("removed %s: %d bytes", path.name, size)


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
    """Yields (time of its arrival, bytes, path) of every shard in the cache."""
    for path in folder.glob("*/*.mindrecord"):
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            yield status.st_mtime_ns, status.st_size, path
