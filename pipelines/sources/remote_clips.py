"""Hashes clips in an object store, and copies them here to be decoded."""

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from pathlib import Path

from mindrecord_io import records
from mindrecord_io.storage import (
    incomplete,
    locations,
    object_store,
    shard_cache,
    transfers,
)
from pipelines import quarantine
from pipelines.sources import clip_identities
from pipelines.sources.clip_identities import Identity

__all__ = ["copies_folder", "copy_path", "fingerprint", "local_plan", "look"]

_NUM_THREADS = 16  # a request to an object store is mostly waiting

Recognise = Callable[[Identity], records.Fingerprint | None]


def fingerprint(uri: str) -> records.Fingerprint:
    """Returns the size and SHA-256 of a remote clip.

    Raises:
      FileNotFoundError: there is no such clip.
      StorageError: it cannot be read, after several attempts.
    """
    return look(uri, lambda identity: None)[1]


def look(
    uri: str, recognise: Recognise, target: Path | None = None
) -> tuple[Identity, records.Fingerprint]:
    """Returns how a remote clip is recognised, and its size and SHA-256.

    By one request, and one more for every 16 MiB of a clip that is read.

    Args:
      recognise: returns the size and SHA-256 of a clip that need not be read.
      target: the file into which a clip is copied while it is read.

    Raises:
      FileNotFoundError: there is no such clip.
      StorageError: it cannot be read, after several attempts.
    """
    folder, _, name = uri.rpartition("/")
    remote = object_store.open_storage(folder)

    def look_once() -> tuple[Identity, records.Fingerprint]:
        file = remote.open(name)
        identity = clip_identities.of_object(file.num_bytes, file.etag)
        if source := recognise(identity):
            file.content.close()
            return identity, source
        digest = hashlib.sha256()
        with contextlib.ExitStack() as stack:
            copy = stack.enter_context(target.open("wb")) if target else None
            for chunk in file.chunks():
                digest.update(chunk)
                if copy:
                    copy.write(chunk)
        return identity, records.Fingerprint(file.num_bytes, digest.hexdigest())

    return object_store.retried(look_once, f"read {uri}")


def copy_path(folder: Path, clip_id: str, uri: str) -> Path:
    """Returns where the copy of a remote clip lies in a folder of copies."""
    return folder / f"{clip_id}{Path(uri).suffix}"


@contextlib.contextmanager
def copies_folder(uris: Iterable[str]) -> Iterator[Path | None]:
    """Makes a folder for copies of remote clips for the block; None where none is."""
    if not any(map(locations.is_remote, uris)):
        yield None
        return
    with incomplete.folder_in(shard_cache.work_folder()) as folder:
        yield folder


def local_plan(plan: records.ShardPlan, folder: Path | None) -> records.ShardPlan:
    """Returns a plan whose clips to be decoded are copies here.

    The decoder checks whether a copy is the file that was planned.

    Args:
      folder: has the copies of clips that were read; the others are fetched into it.

    Raises:
      FileNotFoundError: a clip is not there any more.
      StorageError: one cannot be read, after several attempts.
    """
    wanted = [
        clip
        for clip in plan.clips
        if locations.is_remote(clip.uri)
        and not (clip.stored_in or quarantine.is_unread(clip.source))
    ]
    if folder is None or not wanted:
        return plan
    with futures.ThreadPoolExecutor(_NUM_THREADS) as executor:
        copies = executor.map(lambda clip: _copied(clip, folder), wanted)
        by_id = {copy.clip_id: copy for copy in copies}
    clips = tuple(by_id.get(clip.clip_id, clip) for clip in plan.clips)
    return dataclasses.replace(plan, clips=clips)


def _copied(clip: records.PlannedClip, folder: Path) -> records.PlannedClip:
    target = copy_path(folder, clip.clip_id, clip.uri)
    if not target.exists():
        parent, _, name = clip.uri.rpartition("/")
        transfers.download(object_store.open_storage(parent), name, target)
    return dataclasses.replace(clip, uri=str(target))
