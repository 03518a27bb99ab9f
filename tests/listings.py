"""Annotations and listings of clips made by hand, and looked at in their order."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from mindrecord_io import records
from mindrecord_io.records import Annotation, LabelMap
from mindrecord_io.shards import sharding
from mindrecord_io.storage import files, spilled_rows, table_join
from pipelines.planning import clip_listing, clip_references
from pipelines.planning.clip_references import Reference
from pipelines.sources import clip_identities
from pipelines.sources.annotations import Annotations
from pipelines.sources.clip_lookup import FoundFiles
from tests import versions_by_hand as by_hand


def annotations(
    splits: Mapping[str, Mapping[str, int]] = by_hand.CLIPS,
    label_map: LabelMap = by_hand.LABELS,
) -> Annotations:
    """Returns annotations of label_ids by clip id, by split."""
    texts = {-1: "", **dict(enumerate(label_map.names))}
    return Annotations(
        label_map,
        [
            Annotation(clip_id, split, label_id, texts[label_id])
            for split, label_ids in splits.items()
            for clip_id, label_id in label_ids.items()
        ],
    )


@dataclass(frozen=True)
class Files:
    """Files by their clips' ids, at which nobody looks; all have one identity."""

    uris: Mapping[str, str]
    identity: str = ""

    def look_up(self, index: int, clip_ids: table_join.Column) -> FoundFiles:
        uris = [self.uris.get(clip_id) for clip_id in clip_ids.to_pylist()]
        names = {files.printable(name) for name in self.uris}
        others = names - {*clip_ids.to_pylist()}
        return FoundFiles(
            clip_identities.not_looked_at(
                pa.array(uris, pa.string()), pa.repeat(self.identity, len(uris))
            ),
            [name for name in others if sharding.partition_of(name) == index],
        )


def files_of(uris: Mapping[str, str]) -> Files:
    """Returns files by their clips' ids, as match takes them."""
    return Files(uris)


def listing(
    clips: Iterable[Reference],
    *,
    unlisted: Sequence[str] = (),
    missing: Mapping[int, str] | None = None,
    salt: str = sharding.DEFAULT_SALT,
) -> clip_listing.ClipListing:
    """Returns a listing of clips to hold, and of `missing` ids by position."""
    made = clip_listing.ClipListing(salt)
    if rows := [_row(clip) for clip in clips]:
        batch = spilled_rows.batch_of(rows, clip_references.ROWS)
        made.add(pa.Table.from_batches([batch]))
    for position, clip_id in (missing or {}).items():
        made.missing.add(position, clip_id)
    by_place: dict[int, list[str]] = {}
    for clip_id in unlisted:
        by_place.setdefault(sharding.partition_of(clip_id), []).append(clip_id)
    for place, clip_ids in by_place.items():
        made.add_unlisted(clip_ids, place)
    return made


def _row(clip: Reference) -> tuple[Any, ...]:
    """Returns a reference as a row of clip_references.ROWS."""
    values = clip._asdict() | {"split_index": records.SPLITS.index(clip.split)}
    values["source_num_bytes"] = clip.source and clip.source.num_bytes
    values["source_sha256"] = clip.source and clip.source.sha256
    return tuple(values[name] for name in clip_references.ROWS.names)


def clips_of(made: clip_listing.ClipListing) -> list[Reference]:
    """Returns the clips that a listing is to hold, in annotation order."""
    clips = [r for i in range(made.num_partitions) for r in made.references(i)]
    return sorted(clips, key=lambda clip: clip.position)


def places_of(made: clip_listing.ClipListing) -> list[tuple[str, str, int, str]]:
    """Returns (clip_id, split, label_id, uri) of every clip to hold."""
    return [(c.clip_id, c.split, c.label_id, c.uri) for c in clips_of(made)]


def write_shards(
    made: clip_listing.ClipListing, num_shards: dict[str, int], folder: Path
) -> list[clip_references.ShardReferences]:
    """Writes a listing's references into a folder, as a job does."""
    path = folder / "unfinished"
    shards = clip_listing.by_shard(made, num_shards)
    written = clip_references.write(path, shards, num_shards)
    clip_references.hand_out(path, folder)
    return written
