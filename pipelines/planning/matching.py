"""What a published version knows of its clips, for jobs that start from it."""

from mindrecord_io import records
from mindrecord_io.versions import manifests
from pipelines import quarantine
from pipelines.planning import clip_listing, clip_references, held_clips
from pipelines.sources import something_something

__all__ = ["listing_of", "source_of"]


def source_of(
    held: held_clips.HeldClip, clip_limits: quarantine.DecodeLimits | None
) -> clip_references.StoredSource | None:
    """Returns a clip's file and the shard that tells of it, None where none does.

    Quarantined clips have one: what is wrong with the same file is known. Not so those
    that broke other limits than `clip_limits` (None: whatever limits), and with limits
    those of a wrong checksum: another list may say otherwise.
    """
    if not held.is_in_shard or held.source is None:
        return None
    if clip_limits is not None and (
        held.limits not in ("", clip_limits.text)
        or held.reason == records.WRONG_CHECKSUM
    ):
        return None
    return clip_references.StoredSource(held.source, held.stored_in)


def listing_of(
    version: manifests.Version, annotated: something_something.Annotations
) -> clip_listing.ClipListing:
    """Matches annotations with the clips that a version holds.

    Files that the version did not hold stay outside: where they are annotated now,
    they are missing until a build looks at them.

    Raises:
      ManifestError, TableError: the version's table cannot be used.
    """
    held = held_clips.HeldClips(version)
    found = clip_listing.FoundClips(version.manifest.salt)
    for clip in held:
        is_unlisted = clip.status == records.UNLISTED
        if clip.is_in_shard or is_unlisted:
            uri = clip.uri if clip.is_in_shard else None
            found.add(clip.clip_id, uri, is_offered=is_unlisted)
    return clip_listing.match(
        annotated, found, held, knows=lambda clip: source_of(clip, None)
    )
