"""Publishes versions without MindSpore, for tests of all that does not read rows.

The shards' files are what tells them apart: some padding and then the frames, which
begin and end as JPEGs do. Everything else is what a build publishes.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from mindrecord_io import naming, records
from mindrecord_io.shards import mindrecord_encoding, schema, shard_folders, sharding
from mindrecord_io.storage import files, incomplete
from mindrecord_io.versions import clips_table, manifests, opening, publication
from pipelines.building import label_files

LABELS = records.LabelMap(("Rolling", "Tilting"))
NUM_SHARDS = {"train": 2, "validation": 1, "test": 1}
CLIPS = {
    "train": {"101": 0, "102": 1, "103": 0, "105": 1},
    "validation": {"201": 1},
    "test": {"301": records.UNLABELLED},
}
"""A data set's label_ids by clip_id, by split. Shards: 102, 103; 101, 105; 201; 301."""

_PADDING = b"padding " * 8


def frame(clip_id: str, index: int) -> bytes:
    """Returns a clip's frame: unlike any other."""
    return b"\xff\xd8" + f"clip {clip_id} frame {index}".encode() + b"\xff\xd9"


def source(clip_id: str) -> records.Fingerprint:
    """Returns the size and hash of a clip's made-up file."""
    return records.Fingerprint(1000, hashlib.sha256(clip_id.encode()).hexdigest())


def num_frames(clip_id: str) -> int:
    return 2 + int(clip_id) % 3


def without(*clip_ids: str) -> dict[str, dict[str, int]]:
    """Returns CLIPS less some of them."""
    return {
        split: {name: label for name, label in clips.items() if name not in clip_ids}
        for split, clips in CLIPS.items()
    }


def publish(
    dataset: Path,
    clips: Mapping[str, Mapping[str, int]] = CLIPS,
    *,
    label_map: records.LabelMap = LABELS,
    settings: records.DecodeSettings | None = None,
    quarantined: Sequence[str] = (),
) -> manifests.Version:
    """Publishes label_ids by clip_id, by split, as the newest version."""
    settings = settings or records.DecodeSettings()
    (dataset / "versions").mkdir(parents=True, exist_ok=True)
    summaries = [
        publish_shard(dataset, plan, quarantined) for plan in _plans(clips, settings)
    ]
    with incomplete.folder_in(dataset / "versions") as staging:
        folder = staging / "version"
        return _publish_version(
            dataset, folder, summaries, label_map=label_map, settings=settings
        )


def publish_shard(
    dataset: Path, plan: records.ShardPlan, quarantined: Sequence[str] = ()
) -> records.ShardSummary:
    """Publishes one shard, unless there is one of the same key."""
    if summary := shard_folders.read_summary(dataset, plan.split, plan.key):
        return summary
    name = naming.ShardName(plan.split, plan.index, plan.num_shards)
    with incomplete.folder_in(
        shard_folders.split_folder(dataset, plan.split)
    ) as folder:
        content, outcomes = _PADDING, []
        for clip in plan.clips:
            if clip.clip_id in quarantined:
                outcomes.append(_quarantined(clip))
                continue
            jpegs = [frame(clip.clip_id, i) for i in range(num_frames(clip.clip_id))]
            sizes = [len(jpeg) for jpeg in jpegs]
            content += mindrecord_encoding.blob_row_head(sizes, sum(sizes))
            row = sum(outcome.status == records.STORED for outcome in outcomes)
            outcomes.append(_stored(clip, jpegs, row, len(content)))
            content += b"".join(jpegs)
        is_stored = any(outcome.row >= 0 for outcome in outcomes)
        if is_stored:
            (folder / str(name)).write_bytes(content)
            (folder / name.index_file).write_bytes(b"index of " + plan.key.encode())
        summary = records.ShardSummary(
            split=plan.split,
            index=plan.index,
            num_shards=plan.num_shards,
            key=plan.key,
            frames_key=plan.frames_key,
            mindrecord=files.fingerprint(folder / str(name)) if is_stored else None,
            mindrecord_index=files.fingerprint(folder / name.index_file)
            if is_stored
            else None,
            clips=tuple(outcomes),
        )
        shard_folders.write_summary(folder, summary)
        shard_folders.publish(dataset, folder, summary)
    return summary


def entry_of(summary: records.ShardSummary) -> manifests.ShardEntry:
    """Returns the entry that lists a shard in a manifest."""
    return manifests.ShardEntry.of(summary_file(summary))


def summary_file(summary: records.ShardSummary) -> shard_folders.SummaryFile:
    """Returns a summary as if it were read from its file."""
    return shard_folders.SummaryFile.of(shard_folders.encoded_summary(summary))


def snapshot(dataset: Path) -> dict[str, bytes]:
    """Returns the content of every file below a folder."""
    return {
        path.relative_to(dataset).as_posix(): path.read_bytes()
        for path in sorted(dataset.rglob("*"))
        if path.is_file()
    }


def _plans(
    splits: Mapping[str, Mapping[str, int]], settings: records.DecodeSettings
) -> list[records.ShardPlan]:
    planned: dict[tuple[str, int], list[records.PlannedClip]] = {}
    for split, label_ids in splits.items():
        for clip_id, label_id in label_ids.items():
            index = sharding.shard_index(clip_id, NUM_SHARDS[split])
            uri = f"/clips/{clip_id}.webm"
            planned.setdefault((split, index), []).append(
                records.PlannedClip(clip_id, label_id, uri, source(clip_id))
            )
    return [
        sharding.plan_shard(
            split, index, NUM_SHARDS[split], clips=clips, settings=settings
        )
        for (split, index), clips in sorted(planned.items())
    ]


def _stored(
    clip: records.PlannedClip, jpegs: Sequence[bytes], row: int, offset: int
) -> records.ClipOutcome:
    return records.ClipOutcome(
        clip_id=clip.clip_id,
        label_id=clip.label_id,
        source=clip.source,
        status=records.STORED,
        height=48,
        width=64,
        facts=records.SourceFacts(
            fps_from_header=12.0,
            num_frames_from_header=len(jpegs),
        ),
        row=row,
        frames_offset=offset,
        frame_sizes=tuple(map(len, jpegs)),
        frames_sha256=hashlib.sha256(b"".join(jpegs)).hexdigest(),
    )


def _quarantined(clip: records.PlannedClip) -> records.ClipOutcome:
    return records.ClipOutcome(
        clip_id=clip.clip_id,
        label_id=clip.label_id,
        source=clip.source,
        status=records.QUARANTINED,
        reason="truncated",
        detail="3 of 8 frames",
    )


def _publish_version(
    dataset: Path,
    folder: Path,
    summaries: Sequence[records.ShardSummary],
    *,
    label_map: records.LabelMap,
    settings: records.DecodeSettings,
) -> manifests.Version:
    entries = tuple(map(entry_of, summaries))
    stored = [
        clip for s in summaries for clip in s.clips if clip.status == records.STORED
    ]
    table = naming.clips_table_path(folder)
    label_folder = naming.labels_folder(folder)
    label_folder.mkdir(parents=True)
    clips_table.write(
        table,
        [
            clips_table.shard_rows(
                summary,
                entry.path,
                {c.clip_id: f"/clips/{c.clip_id}.webm" for c in summary.clips},
                label_names=label_map.names,
            )
            for summary, entry in zip(summaries, entries, strict=True)
        ],
    )
    texts = {records.UNLABELLED: "", **dict(enumerate(label_map.names))}
    clips = [
        (
            records.Annotation(c.clip_id, s.split, c.label_id, texts[c.label_id]),
            len(c.frame_sizes),
        )
        for s in summaries
        for c in s.clips
        if c.status == records.STORED
    ]
    label_files.write_label_files(label_folder, label_map, clips)
    label_ids = sorted((c.clip_id, c.label_id) for s in summaries for c in s.clips)
    annotated = repr((label_map.names, label_ids))
    manifest = manifests.Manifest(
        format_version=schema.FORMAT_VERSION,
        version="",
        parent=opening.current_name(dataset) or "",
        created_at="2025-01-02T03:04:05+00:00",
        settings=settings,
        salt=sharding.DEFAULT_SALT,
        label_digest=hashlib.sha256(annotated.encode()).hexdigest(),
        num_classes=len(label_map),
        num_clips=len(stored),
        num_quarantined=sum(len(s.clips) for s in summaries) - len(stored),
        num_missing=0,
        num_unlisted=0,
        num_frames=sum(len(clip.frame_sizes) for clip in stored),
        clips_table=files.fingerprint(table),
        shards=entries,
    )
    return publication.publish(dataset, folder, manifest)
