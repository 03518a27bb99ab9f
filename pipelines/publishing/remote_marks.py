"""Marks the jobs at work on a data set in an object store, which has no locks.

    versions/.incomplete-<id>/job      a job that makes a version
    versions/.incomplete-<id>/prune    one that removes versions and shards

Each first writes its mark, then looks for others': of two that begin at the same moment
at least one sees the other. A job that sees a prune waits for its end, and looks at no
shard before; a prune that sees any other removes nothing. So a shard that a job has
made, or counts on, is there when it publishes. This needs a store whose listings are
consistent, as S3's have been since 2020.

A mark is written again every few minutes, and void when that did not happen for an
hour: its process is dead. The age of a mark is measured by the store's clock alone. A
process that could not write its own for half of that time may have been taken for dead
and gives up, whatever it was doing (`Mark.check`). What remains is one that is stopped
for half an hour between its last check and the request that follows it.
"""

import contextlib
import datetime
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pyarrow import fs

from mindrecord_io import interrupts, naming
from mindrecord_io.storage import transfers
from mindrecord_io.storage.object_store import Storage, StorageError

__all__ = ["LostMarkError", "Mark", "at_work"]

logger = logging.getLogger(__name__)

Kind = Literal["job", "prune"]

VOID_AFTER_SECONDS = 3600.0
RENEWED_EVERY_SECONDS = 300.0
_FOLDER = "versions"


class LostMarkError(StorageError):
    """This process may have been taken for dead; it must not go on."""


@dataclass(frozen=True, slots=True)
class Other:
    """Work in progress of another process.

    Attributes:
      folder: below the data set's.
      kind: "" where there is no mark: the receipts of a verification.
      since: of the mark.
      is_void: its process is dead.
    """

    folder: str
    kind: str
    since: datetime.datetime | None
    is_void: bool

    def __str__(self) -> str:
        seen = f"{self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since else "unknown"
        return f"{self.folder} (a {self.kind}, last sign {seen})"


class Mark:
    """A mark of this process; see `at_work`."""

    def __init__(self, remote: Storage, name: str, kind: Kind) -> None:
        self.folder = f"{_FOLDER}/{name}"
        self._remote = remote
        self._path = f"{self.folder}/{kind}"
        self._is_lost = False
        self._written_at = _now()

    def write(self) -> None:
        """Writes the mark, for the first time or again.

        Raises:
          StorageError: that is not possible.
          LostMarkError: it is too late.
        """
        began = _now()
        transfers.put_note(self._remote, self._path, b"")
        self.check()
        self._written_at = began

    def check(self) -> None:
        """Raises LostMarkError unless all others see that this process lives."""
        age = _now() - self._written_at
        if self._is_lost or age > VOID_AFTER_SECONDS / 2:
            self._is_lost = True
            raise LostMarkError(
                f"{self._remote.uri}/{self._path}: not renewed for {age:.0f} s, so "
                f"that others may take this process for dead and remove what it "
                f"counts on; nothing is published, run the same command again"
            )

    def others(self) -> list[Other]:
        """Returns all other work in progress, dead jobs' included.

        Raises:
          StorageError: the store cannot be read.
          LostMarkError: this process was taken for dead.
        """
        now = self._remote.info(self._path).mtime
        if now is None:
            self._is_lost = True
            raise LostMarkError(
                f"{self._remote.uri}/{self._path}: another process removed it, and "
                f"may have removed what this process counts on; run the same command "
                f"again"
            )
        others = []
        for info in self._remote.list_infos(_FOLDER):
            folder = f"{_FOLDER}/{info.base_name}"
            if folder != self.folder and naming.is_incomplete_name(info.base_name):
                others.append(self._other(folder, now))
        return others

    def _other(self, folder: str, now: datetime.datetime) -> Other:
        for info in self._remote.list_infos(folder):
            if info.base_name in ("job", "prune"):
                return Other(folder, info.base_name, info.mtime, _is_old(info, now))
        # A verification's receipts: it hinders no other job.
        infos = self._remote.list_infos(folder, recursive=True)
        return Other(folder, "", None, all(_is_old(info, now) for info in infos))


@contextlib.contextmanager
def at_work(remote: Storage, name: str, kind: Kind) -> Iterator[Mark]:
    """Shows other processes that this one is at work, while the block runs.

    Args:
      name: of the folder of work in progress beside the versions; what is in it in the
        end is removed.

    Raises:
      StorageError: the store cannot be written.
    """
    mark = Mark(remote, name, kind)
    ended = threading.Event()
    renewing = threading.Thread(target=_renew, args=(mark, ended), daemon=True)

    def remove_at_interruption() -> None:  # one attempt
        remote.filesystem.delete_dir(mark.folder)

    interrupts.add_clean_up(remove_at_interruption)
    try:
        mark.write()
        renewing.start()
        yield mark
    finally:
        ended.set()
        if renewing.ident is not None:
            renewing.join()
        with contextlib.suppress(StorageError):  # else it is void in an hour
            remote.remove_folder(mark.folder)
        interrupts.discard_clean_up(remove_at_interruption)


def _renew(mark: Mark, ended: threading.Event) -> None:
    while not ended.wait(RENEWED_EVERY_SECONDS):
        try:
            mark.check()
            mark.write()
        except LostMarkError as error:
            logger.error("%s", error)
            return
        except StorageError as error:
            logger.warning("%s", error)


def _is_old(info: fs.FileInfo, now: datetime.datetime) -> bool:
    if not info.is_file:  # object stores do not always have a time of these
        return True
    return bool((now - info.mtime).total_seconds() > VOID_AFTER_SECONDS)


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)  # goes on while the machine sleeps
