"""Assigns clips to shards before anything is decoded.

All of it is arithmetic on clip ids: no arrival order, no process state. A clip's shard
is the bucket of its keyed hash, buckets being equal ranges of the hash (not its
remainder), and a shard stores its clips in hash order, so the order over all shards is
one global shuffle.
"""

import functools
import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from mindrecord_io import records
from mindrecord_io.records import (
    DecodeSettings,
    Fingerprint,
    PlannedClip,
    ShardPlan,
)
from mindrecord_io.shards import schema

__all__ = [
    "DEFAULT_SALT",
    "NUM_PARTITIONS",
    "clip_hash",
    "clip_hashes",
    "default_num_shards",
    "key_of_content",
    "key_under_limits",
    "partition_of",
    "partitions_of",
    "plan_shard",
    "shard_index",
    "shard_indices",
    "split_num_shards",
]

DEFAULT_SALT = "clipmill"
"""Keys the hash; another salt gives another, equally good, distribution."""

NUM_PARTITIONS = 256
"""Parts in which clips are joined where not all fit in memory: each has fewer than
100,000 clips of 25 million."""

_CLIPS_PER_SHARD = 64
_FEW_SHARDS = 512  # a plain MindDataset keeps all open, in each of its workers
_MOST_CLIPS_PER_SHARD = 431  # Something-Something-v2's in 512 shards: 0.2 to 0.4 GB
_KEY_NUM_BYTES = 16


def clip_hash(clip_id: str, salt: str) -> int:
    """Returns the 64-bit keyed hash (BLAKE2b) that places a clip."""
    return int.from_bytes(_digest(_keyed(salt), clip_id), "big")


def clip_hashes(
    clip_ids: Iterable[str], salt: str = DEFAULT_SALT
) -> npt.NDArray[np.uint64]:
    """Returns `clip_hash` of many clips, uint64 (clips,)."""
    keyed = _keyed(salt)
    digests = b"".join([_digest(keyed, clip_id) for clip_id in clip_ids])
    return np.frombuffer(digests, ">u8").astype(np.uint64)


def _digest(keyed: "hashlib.blake2b", clip_id: str) -> bytes:
    hasher = keyed.copy()  # quicker than another one with its key
    hasher.update(clip_id.encode())
    return hasher.digest()


@functools.lru_cache(maxsize=8)
def _keyed(salt: str) -> "hashlib.blake2b":
    return hashlib.blake2b(digest_size=8, key=salt.encode())


def shard_index(clip_id: str, num_shards: int, salt: str = DEFAULT_SALT) -> int:
    """Returns the 0-based shard of a clip among its split's `num_shards`."""
    return (clip_hash(clip_id, salt) * num_shards) >> 64


def shard_indices(
    hashes: npt.NDArray[np.uint64], num_shards: npt.NDArray[np.uint64]
) -> npt.NDArray[np.uint64]:
    """Returns `shard_index` of many clips by their hashes, uint64 (clips,).

    Args:
      hashes: of `clip_hash`.
      num_shards: of each clip's split, below 2**31.
    """
    low, bits = np.uint64(0xFFFFFFFF), np.uint64(32)
    # hash * num_shards has up to 95 bits, of which the upper ones are wanted.
    carried = ((hashes & low) * num_shards) >> bits
    return ((hashes >> bits) * num_shards + carried) >> bits


def partition_of(clip_id: str, salt: str = DEFAULT_SALT) -> int:
    """Returns the 0-based partition of a clip: an equal range of the hash.

    Shards are such ranges too, so a partition holds whole shards but at its two ends.
    """
    return shard_index(clip_id, NUM_PARTITIONS, salt)


def partitions_of(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Returns `partition_of` of many clips by their hashes, uint64 (clips,)."""
    return shard_indices(hashes, np.array([NUM_PARTITIONS], np.uint64))


def default_num_shards(num_clips: int) -> int:
    """Returns the number of shards to make of `num_clips` by default.

    One for every 64 clips; of many clips 512, until shards have 431 clips each.
    """
    few = min(_FEW_SHARDS, num_clips // _CLIPS_PER_SHARD)
    return max(1, few, num_clips // _MOST_CLIPS_PER_SHARD)


def split_num_shards(num_clips: Mapping[str, int], num_shards: int) -> dict[str, int]:
    """Returns each split's part of `num_shards`, by its clips.

    Every split that has clips gets at least one; the rest goes by largest remainder
    (Hamilton's method), ties to the earlier of records.SPLITS.

    Raises:
      ValueError: fewer shards than splits with clips.
    """
    present = {split: n for split in records.SPLITS if (n := num_clips.get(split, 0))}
    if num_shards < len(present):
        raise ValueError(
            f"num_shards must be at least {len(present)}, one for each of "
            f"{tuple(present)}: {num_shards}"
        )
    total, spare = sum(present.values()), num_shards - len(present)
    quota = {split: n * spare / total for split, n in present.items()}
    shares = {split: 1 + int(quota[split]) for split in present}
    by_remainder = sorted(present, key=lambda split: -(quota[split] % 1))
    for split in by_remainder[: num_shards - sum(shares.values())]:
        shares[split] += 1
    return shares


def plan_shard(
    split: str,
    index: int,
    num_shards: int,
    *,
    clips: Iterable[PlannedClip],
    settings: DecodeSettings,
    salt: str = DEFAULT_SALT,
) -> ShardPlan:
    """Returns the plan of a shard: its clips in order, and its keys.

    Raises:
      ValueError: two clips have one id.
    """
    clips = list(clips)
    clip_ids = [clip.clip_id for clip in clips]
    hashes = clip_hashes(clip_ids, salt).tolist()
    places = sorted(zip(hashes, clip_ids, range(len(clips)), strict=True))
    ordered = [clips[index] for _, _, index in places]
    for before, clip in itertools.pairwise(ordered):
        if before.clip_id == clip.clip_id:
            raise ValueError(f"clip {clip.clip_id} is given twice: {before}, {clip}")
    place = _json(
        [split, index, num_shards, schema.SHARD_VERSION, records.to_json(settings)]
    )
    frames = _json([_identity(clip) for clip in ordered])
    labels = _json([c.label_id for c in ordered])
    return ShardPlan(
        split=split,
        index=index,
        num_shards=num_shards,
        clips=tuple(ordered),
        settings=settings,
        key=_key(place, frames, labels),
        frames_key=_key(place, frames),
    )


def key_under_limits(key: str, limits: str) -> str:
    """Returns the key of a shard that is made once more, under other limits."""
    return _key(_json(key), _json(limits))


def key_of_content(key: str, content: Fingerprint | None) -> str:
    """Returns the key of a shard that was made again and has another content."""
    return _key(_json(key), _json(content.sha256 if content else ""))


def _identity(clip: PlannedClip) -> list[object]:
    """Returns all that a clip's frames in a shard depend on, for the key."""
    identity = [clip.clip_id, clip.source.num_bytes, clip.source.sha256]
    return [*identity, clip.expected_sha256] if clip.expected_sha256 else identity


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def _key(*parts: str) -> str:
    """Returns the hash of a list in JSON, given that of each of its elements."""
    encoded = f"[{','.join(parts)}]".encode()
    return hashlib.blake2b(encoded, digest_size=_KEY_NUM_BYTES).hexdigest()
