"""Compares the clips that a version was made of with what is there now."""

from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass

from mindrecord_io.records import Fingerprint
from mindrecord_io.storage.object_store import StorageError
from mindrecord_io.versions.manifests import Version
from mindrecord_io.versions.version_checks import Damage
from pipelines import quarantine
from pipelines.planning import shard_plans
from pipelines.planning.source_records import SourceRecords
from pipelines.sources import clip_identities

__all__ = ["SourceCheck"]

_COLUMNS = ("clip_id", "uri", "source_num_bytes", "source_sha256")
_UNSEEN = "; it has the size, times and inode, or ETag, with which it was read"


@dataclass(slots=True)
class SourceCheck:
    """Looks at every file that a version was made of.

    Attributes:
      is_quick: compare sizes alone, and read nothing.
      num_threads: files read at once.
      num_checked: so far.
    """

    version: Version
    recorded: SourceRecords
    is_quick: bool = False
    num_threads: int = 1
    num_checked: int = 0

    def changed(self) -> Iterator[Damage]:
        """Yields the files that are not as they were, in the table's order.

        Raises:
          ManifestError, TableError: the version's table cannot be read.
        """
        with futures.ThreadPoolExecutor(self.num_threads) as executor:
            for batch in self.version.clip_batches(_COLUMNS):
                columns = (batch.column(name).to_pylist() for name in _COLUMNS)
                for uri, why in executor.map(self._look, *columns):
                    self.num_checked += 1
                    if why:
                        yield Damage(uri, why)

    def _look(
        self, clip_id: str, uri: str | None, num_bytes: int, sha256: str | None
    ) -> tuple[str, str]:
        """Returns a clip's place, and what is wrong with it."""
        if uri is None or sha256 is None:
            return clip_id, ""
        before = Fingerprint(num_bytes, sha256)
        try:
            identity = clip_identities.identity(uri)
            if self.is_quick or quarantine.is_unread(before):
                why = _other_size(identity.num_bytes, before)
                return uri, why if identity.is_file else ""
            now = shard_plans.fingerprint(uri)
        except FileNotFoundError:
            return uri, "is gone"
        except (OSError, StorageError) as error:
            return uri, f"cannot be read: {getattr(error, 'strerror', None) or error}"
        if now == before:
            return uri, ""
        return uri, (
            f"has {now.num_bytes} bytes with SHA-256 {now.sha256}, stored were "
            f"{num_bytes} with {sha256}{self._hidden(clip_id, uri, identity.text)}"
        )

    def _hidden(self, clip_id: str, uri: str, text: str) -> str:
        """Returns that a build would not notice the change, "" where it would."""
        is_hidden = text and self.recorded.has(clip_id, uri, text)
        return f"{_UNSEEN}: build with --rehash" if is_hidden else ""


def _other_size(num_bytes: int, before: Fingerprint) -> str:
    if num_bytes == before.num_bytes:
        return ""
    return f"has {num_bytes} bytes, stored were {before.num_bytes}"
