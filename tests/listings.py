"""Listings of clips made by hand, and looked at in the order of the annotations."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mindrecord_io import records
from mindrecord_io.shards import sharding
from pipelines.planning import clip_listing, clip_references


def reference(
    position: int,
    clip: records.ClipRef,
    known: clip_references.StoredSource | None = None,
) -> clip_references.Reference:
    """Returns the reference of a clip."""
    told = (clip.clip_id, clip.split, clip.label_id, clip.uri, clip.expected_sha256)
    return clip_references.Reference(position, *told, known)


def listing(
    refs: Iterable[records.ClipRef],
    known: Mapping[str, clip_references.StoredSource] | None = None,
    *,
    unlisted: Sequence[str] = (),
    missing: Mapping[int, str] | None = None,
    salt: str = sharding.DEFAULT_SALT,
) -> clip_listing.ClipListing:
    """Returns a listing of clips in the order of their annotations.

    Args:
      known: what is published, by clip id.
      missing: ids by position.
    """
    made = clip_listing.ClipListing(salt)
    for position, ref in enumerate(refs):
        told = reference(position, ref, (known or {}).get(ref.clip_id))
        made.add(told, sharding.partition_of(ref.clip_id, salt))
    for position, clip_id in (missing or {}).items():
        made.missing.add(position, clip_id)
    by_place: dict[int, list[str]] = {}
    for clip_id in unlisted:
        place = sharding.partition_of(clip_id, salt)
        by_place.setdefault(place, []).append(clip_id)
    for place, clip_ids in by_place.items():
        made.add_unlisted(clip_ids, place)
    return made


def held(made: clip_listing.ClipListing) -> list[clip_references.Reference]:
    """Returns the clips that a listing is to hold, in annotation order."""
    found = [r for i in range(made.num_partitions) for r in made.references(i)]
    return sorted(found, key=lambda clip: clip.position)


def write_shards(
    made: clip_listing.ClipListing, num_shards: dict[str, int], folder: Path
) -> list[clip_references.ShardReferences]:
    """Writes a listing's references into a folder, as a job does."""
    path = folder / "unfinished"
    shards = clip_listing.by_shard(made, num_shards)
    written = clip_references.write(path, shards, num_shards)
    clip_references.hand_out(path, folder)
    return written
