"""Plans shards: identifies their clips, and decides what is done to make them."""

import functools
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from concurrent import futures
from dataclasses import replace
from pathlib import Path

from mindrecord_io.records import (
    ClipOutcome,
    Fingerprint,
    PlannedClip,
    ShardPlan,
    ShardSummary,
)
from mindrecord_io.shards import sharding
from mindrecord_io.storage import files, locations, object_store
from pipelines import quarantine
from pipelines.planning.clip_references import Reference
from pipelines.quarantine import DecodeLimits
from pipelines.sources import clip_identities, frame_folders, remote_clips
from pipelines.sources.clip_identities import Identity

__all__ = [
    "ACTIONS",
    "REUSED",
    "ShardFailedError",
    "action",
    "fingerprint",
    "hash_clip",
    "identified",
    "published_clip",
    "under_limits",
]

REUSED = "reused"
RELABELLED = "relabelled"
DECODED = "decoded"
ACTIONS = (REUSED, RELABELLED, DECODED)
"""What is done for a planned shard: nothing, frames copied, or clips decoded."""

_PAGE_FLAG = "--page_mib"  # the remedy of the day
_NUM_REMOTE_READERS = 16  # a request to an object store is mostly waiting

IdentifyClip = Callable[[Reference], PlannedClip]
"""Returns a clip with its file's fingerprint and the place of its stored frames."""


class ShardFailedError(RuntimeError):
    """A shard could not be made; the whole job fails."""


def hash_clip(
    clip: Reference,
    max_num_bytes: int = DecodeLimits().max_gib << 30,
    *,
    identities: MutableMapping[str, str] | None = None,
    copies: Path | None = None,
) -> PlannedClip:
    """Hashes a clip's file; its frames are stored if this is the published file.

    A clip that is recognised as the published one is not read.

    Args:
      max_num_bytes: of a file that is read; a larger one may take hours, and is then
        quarantined by its size alone.
      identities: is given the file's (see clip_identities), by clip id.
      copies: the folder into which a remote clip is copied while it is read.

    Raises:
      ShardFailedError: the file cannot be read.
    """
    if clip.is_seen and clip.source and clip.source.num_bytes <= max_num_bytes:
        if identities is not None:
            identities[clip.clip_id] = clip.identity
        return published_clip(clip)
    recognise = functools.partial(_recognised, clip, max_num_bytes)
    try:
        if locations.is_remote(clip.uri):
            target = copies and remote_clips.copy_path(copies, clip.clip_id, clip.uri)
            identity, source = remote_clips.look(clip.uri, recognise, target)
        else:
            identity = clip_identities.identity(clip.uri)
            source = recognise(identity) or fingerprint(clip.uri)
    except (OSError, object_store.StorageError) as cause:
        why = getattr(cause, "strerror", None) or cause
        what = getattr(cause, "filename", None) or clip.uri
        raise ShardFailedError(
            f"clip {clip.clip_id}: cannot read {what}: {why}"
        ) from cause
    if identities is not None:
        identities[clip.clip_id] = identity.text
    return _planned(clip, source, clip.stored_in if source == clip.source else "")


def fingerprint(uri: str) -> Fingerprint:
    """Reads a clip and returns its size and SHA-256, of a folder those of its files.

    Raises:
      OSError, StorageError: it cannot be read.
    """
    if locations.is_remote(uri):
        return remote_clips.fingerprint(uri)
    path = Path(uri)
    return frame_folders.fingerprint(path) if path.is_dir() else files.fingerprint(path)


def published_clip(clip: Reference) -> PlannedClip:
    """Returns a clip as it was published; its file need not be there any more.

    Raises:
      ShardFailedError: nothing was published.
    """
    if clip.source is None:
        raise ShardFailedError(f"clip {clip.clip_id}: nothing is stored of {clip.uri}")
    return _planned(clip, clip.source, clip.stored_in)


def identified(
    clips: Sequence[Reference], identify: IdentifyClip
) -> Iterator[PlannedClip]:
    """Yields the clips of a shard, identified; remote ones are read in parallel."""
    if not any(locations.is_remote(clip.uri) for clip in clips):
        yield from map(identify, clips)
        return
    with futures.ThreadPoolExecutor(_NUM_REMOTE_READERS) as executor:
        yield from executor.map(identify, clips)


def action(plan: ShardPlan) -> str:
    """Returns what is to be done for a shard that is not published."""
    return RELABELLED if all(clip.stored_in for clip in plan.clips) else DECODED


def under_limits(
    plan: ShardPlan, summary: ShardSummary, limits: str | None
) -> ShardPlan:
    """Returns the plan of a published shard, under another key if it is made again.

    A clip that broke other limits than the job's may pass now. Where nothing is to be
    decoded, such a clip may be stored elsewhere by now.

    Args:
      summary: of the published shard that has the plan's key.
      limits: of the job (DecodeLimits.text), None where nothing is to be decoded.
    """
    if limits is not None:
        is_contested = any(
            c.limits not in ("", limits) or _fits_now(c) for c in summary.clips
        )
        text = limits if is_contested else ""
    else:
        broken = {clip.clip_id for clip in summary.clips if clip.limits}
        here = f"{summary.split}/{summary.key}"
        places = {clip.stored_in for clip in plan.clips if clip.clip_id in broken}
        text = ",".join(sorted(places)) if places - {here} else ""
    return (
        replace(plan, key=sharding.key_under_limits(plan.key, text)) if text else plan
    )


def _fits_now(clip: ClipOutcome) -> bool:
    """Returns whether a clip was refused when a row could not exceed a page."""
    return clip.reason == "too_large" and _PAGE_FLAG in clip.detail


def _recognised(
    clip: Reference, max_num_bytes: int, identity: Identity
) -> Fingerprint | None:
    """Returns size and hash of a clip that need not be read; None if it must be."""
    if identity.num_bytes > max_num_bytes:
        return quarantine.unread_file(identity.num_bytes)
    is_same = clip.identity and clip.identity == identity.text
    return clip.source if is_same else None


def _planned(clip: Reference, source: Fingerprint, stored_in: str) -> PlannedClip:
    planned = PlannedClip(clip.clip_id, clip.label_id, clip.uri, source, stored_in)
    if clip.expected_sha256 in ("", source.sha256) or quarantine.is_unread(source):
        return planned
    return replace(planned, stored_in="", expected_sha256=clip.expected_sha256)
