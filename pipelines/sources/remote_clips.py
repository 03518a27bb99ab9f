"""Hashes clips in an object store, and copies them here to be decoded."""

import contextlib
import dataclasses
from collections.abc import Iterator
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

__all__ = ["fingerprint", "local_clips"]

_NUM_THREADS = 16  # a request to an object store is mostly waiting


def fingerprint(uri: str) -> records.Fingerprint:
    """Returns the size and SHA-256 of a remote clip.

    Raises:
      FileNotFoundError: there is no such clip.
      StorageError: it cannot be read, after several attempts.
    """
    folder, _, name = uri.rpartition("/")
    remote = object_store.open_storage(folder)
    return object_store.retried(
        lambda: transfers.fingerprint(remote, name), f"read {uri}"
    )


@contextlib.contextmanager
def local_clips(plan: records.ShardPlan) -> Iterator[records.ShardPlan]:
    """Copies remote clips to be decoded for the block; yields the plan with the copies.

    The decoder checks whether a copy is the file that was planned.

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
    if not wanted:
        yield plan
        return
    with incomplete.folder_in(shard_cache.work_folder()) as folder:
        with futures.ThreadPoolExecutor(_NUM_THREADS) as executor:
            copies = executor.map(lambda clip: _copied(clip, folder), wanted)
            by_id = {copy.clip_id: copy for copy in copies}
        clips = tuple(by_id.get(clip.clip_id, clip) for clip in plan.clips)
        yield dataclasses.replace(plan, clips=clips)


def _copied(clip: records.PlannedClip, folder: Path) -> records.PlannedClip:
    parent, _, name = clip.uri.rpartition("/")
    target = folder / f"{clip.clip_id}{Path(name).suffix}"
    transfers.download(object_store.open_storage(parent), name, target)
    return dataclasses.replace(clip, uri=str(target))
