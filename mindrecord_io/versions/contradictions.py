"""Finds what in a manifest cannot be true together with the rest of it.

What a manifest lists decides what is read, reused and removed: one that was cut, or
edited in one place, must not be believed in the others.
"""

import datetime
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from mindrecord_io import naming
from mindrecord_io.shards import schema

__all__ = ["first_of"]

# Of manifests, which imports this file.
Manifest = Any
ShardEntry = Any

_MAX_NUM_CLASSES = 1 << 24
_MAX_NUM_SHARDS = 1 << 24  # of a split
_MAX_SALT_NUM_BYTES = 64  # of a BLAKE2b key
_HASH = re.compile(r"[0-9a-f]{32,128}", re.ASCII)


def first_of(manifest: Manifest) -> str:
    """Returns the first contradiction in words, "" if there is none."""
    for part in (_of_origin, _of_shards, _of_counts):
        if why := next(part(manifest), ""):
            return why
    return ""


def _of_origin(manifest: Manifest) -> Iterator[str]:
    if manifest.format_version not in schema.KNOWN_FORMAT_VERSIONS:
        known = list(schema.KNOWN_FORMAT_VERSIONS)
        yield f"format version {manifest.format_version}, there are {known}"
    if manifest.parent and not naming.is_version_name(manifest.parent):
        yield f"parent {manifest.parent!r:.80} is no version's name"
    if manifest.parent and manifest.parent == manifest.version:
        yield f"version {manifest.version} is its own parent"
    try:
        datetime.datetime.fromisoformat(manifest.created_at)
    except ValueError:
        yield f"created_at {manifest.created_at!r:.80} is no time"
    if not _is_key(manifest.salt):
        yield f"salt {manifest.salt!r:.80} is no key of a hash"
    if not _HASH.fullmatch(manifest.label_digest):
        yield f"label_digest {manifest.label_digest!r:.80} is no hash"


def _of_counts(manifest: Manifest) -> Iterator[str]:
    for name in (
        *("num_clips", "num_quarantined", "num_missing", "num_unlisted", "num_frames"),
        "num_classes",
    ):
        if getattr(manifest, name) < 0:
            yield f"{name} is {getattr(manifest, name)}"
    if manifest.num_classes > _MAX_NUM_CLASSES:
        yield f"num_classes is {manifest.num_classes}, at most {_MAX_NUM_CLASSES}"
    num_rows = sum(entry.num_rows for entry in manifest.shards)
    if num_rows != manifest.num_clips:
        yield f"its shards have {num_rows} rows, num_clips is {manifest.num_clips}"
    if manifest.num_frames < manifest.num_clips:
        yield f"{manifest.num_frames} frames in {manifest.num_clips} clips"


def _of_shards(manifest: Manifest) -> Iterator[str]:
    num_shards = manifest.num_shards
    for entry in manifest.shards:
        if why := _of_shard(entry):
            yield f"shard {entry.path}: {why}"
        if (entry.summary is None) != (manifest.format_version == 1):
            has = "no" if entry.summary is None else "a"
            yield (
                f"shard {entry.path}: {has} hash of its summary, in format version "
                f"{manifest.format_version}"
            )
        if entry.num_shards != num_shards[entry.split]:
            yield f"shard {entry.path}: its split has another number of shards"
    for places in (
        Counter(entry.place for entry in manifest.shards),
        Counter(f"{entry.split} shard {entry.index}" for entry in manifest.shards),
    ):
        twice = ((place, n) for place, n in places.items() if n > 1)
        yield from (f"{place} is listed {n} times" for place, n in twice)


def _of_shard(entry: ShardEntry) -> str:
    if not 0 <= entry.index < entry.num_shards <= _MAX_NUM_SHARDS:
        return f"number {entry.index} of {entry.num_shards}"
    if not _HASH.fullmatch(entry.frames_key):
        return f"frames_key {entry.frames_key!r:.80} is no hash"
    files = (entry.mindrecord, entry.mindrecord_index)
    if entry.num_rows < 0 or {bool(entry.num_rows)} != {f is not None for f in files}:
        return f"{entry.num_rows} rows in the files {files}"
    return ""


def _is_key(salt: str) -> bool:
    try:
        return len(salt.encode()) <= _MAX_SALT_NUM_BYTES
    except UnicodeEncodeError:
        return False
