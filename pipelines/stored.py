"""What a published version knows of its clips, for jobs that start from it."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from mindrecord_io import manifest, records
from pipelines import annotations, limits, sources, transforms

__all__ = ["listing_of", "quarantined_of", "sources_of"]

_IN_SHARDS = (records.STORED, records.QUARANTINED)


def sources_of(
    version: manifest.Version, clip_limits: limits.DecodeLimits | None
) -> Mapping[str, transforms.StoredSource]:
    """Returns, by clip_id, every clip's file and the shard that tells of it.

    Quarantined clips are among them: what is wrong with the same file is known. Left
    out are those that broke other limits than `clip_limits` (None: whatever limits),
    and with limits those of a wrong checksum: another list may say otherwise.
    """
    columns = [
        *("clip_id", "status", "source_num_bytes", "source_sha256", "shard", "limits"),
        "reason",
    ]
    holding = None if clip_limits is None else ("", clip_limits.text)
    table = version.read_clips(columns)
    return {
        clip_id: transforms.StoredSource(
            records.Fingerprint(num_bytes, sha256), _stored_in(shard)
        )
        for clip_id, status, num_bytes, sha256, shard, broken, reason in zip(
            *(table.column(name).to_pylist() for name in columns), strict=True
        )
        if status in _IN_SHARDS
        and (
            holding is None or (broken in holding and reason != records.WRONG_CHECKSUM)
        )
    }


def listing_of(
    version: manifest.Version, annotated: annotations.Annotations
) -> sources.ClipListing:
    """Matches annotations with the clips that a version holds.

    Files that the version did not hold stay outside: where they are annotated now,
    they are missing until a build looks at them.
    """
    columns = ["clip_id", "status", "uri"]
    table = version.read_clips(columns)
    rows = zip(*(table.column(name).to_pylist() for name in columns), strict=True)
    uris = {clip_id: uri for clip_id, status, uri in rows if status in _IN_SHARDS}
    refs, missing = [], []
    for annotation in annotated.clips:
        uri = uris.get(annotation.clip_id)
        if uri is None:
            missing.append(annotation)
        else:
            refs.append(records.ClipRef(**dataclasses.asdict(annotation), uri=uri))
    is_annotated = {annotation.clip_id for annotation in annotated.clips}
    unlisted = [
        row["clip_id"]
        for row in table.select(["clip_id", "status"]).to_pylist()
        if row["status"] == records.UNLISTED and row["clip_id"] not in is_annotated
    ]
    return sources.ClipListing(tuple(refs), tuple(missing), tuple(unlisted))


def quarantined_of(
    version: manifest.Version, refs: Iterable[records.ClipRef]
) -> tuple[tuple[str, str, str], ...]:
    """Returns the clip id, reason and detail of the clips that are quarantined."""
    is_asked_for = {ref.clip_id for ref in refs}
    columns = ["clip_id", "reason", "detail", "status"]
    table = version.read_clips(columns)
    rows = zip(*(table.column(name).to_pylist() for name in columns), strict=True)
    return tuple(
        (clip_id, reason, detail)
        for clip_id, reason, detail, status in rows
        if status == records.QUARANTINED and clip_id in is_asked_for
    )


def _stored_in(shard: str) -> str:
    """Returns "<split>/<key>" of "shards/<split>/<key>[/<file>]"."""
    _, split, key = PurePosixPath(shard).parts[:3]
    return f"{split}/{key}"
