"""Publishes a train split of clips of 45 frames in many shards, without MindSpore.

For tests of reading: of what is stored, frames are real JPEGs, each unlike any other.
"""

from pathlib import Path

import cv2
import numpy as np

from mindrecord_io import records
from mindrecord_io.shards import shard_folders, sharding, writer
from mindrecord_io.storage import incomplete
from mindrecord_io.versions import manifests
from tests import versions_by_hand

NUM_CLIPS, NUM_SHARDS, NUM_FRAMES = 96, 24, 45
SETTINGS = records.DecodeSettings(page_num_bytes=256 << 10)


class _UnprovenWriter(writer.ShardWriter):
    """Writes as any shard is written; MindSpore does not read it back."""

    def _prove_rows(self) -> None:
        pass


def publish(
    dataset: Path,
    *,
    num_clips: int = NUM_CLIPS,
    num_shards: int = NUM_SHARDS,
    has_checksums: bool = True,
) -> manifests.Version:
    """Publishes clips "1000", "1001", ... with the labels 0, 1, 0, ..."""
    (dataset / "versions").mkdir(parents=True)
    by_shard: dict[int, list[records.PlannedClip]] = {}
    for number in range(num_clips):
        clip_id = str(1000 + number)
        clip = records.PlannedClip(
            clip_id, number % 2, f"/{clip_id}.webm", versions_by_hand.source(clip_id)
        )
        by_shard.setdefault(sharding.shard_index(clip_id, num_shards), []).append(clip)
    summaries = []
    for index, clips in sorted(by_shard.items()):
        plan = sharding.plan_shard(
            "train", index, num_shards, clips=clips, settings=SETTINGS
        )
        summary = _write(dataset, plan)
        if not has_checksums:
            summary = _without_checksums(summary)
        summaries.append(summary)
    with incomplete.folder_in(dataset / "versions") as staging:
        return versions_by_hand._publish_version(
            dataset,
            staging / "version",
            summaries,
            label_map=versions_by_hand.LABELS,
            settings=SETTINGS,
        )


def num_bytes(version: manifests.Version) -> int:
    """Returns the bytes of all shards."""
    return sum(s.mindrecord.num_bytes for s in version.manifest.shards)


def frames(clip_id: str) -> records.ClipFrames:
    """Returns noise that differs from frame to frame."""
    noise = np.random.default_rng(int(clip_id))
    jpegs = []
    for _ in range(NUM_FRAMES):
        small = noise.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        picture = cv2.resize(small, (64, 48), interpolation=cv2.INTER_LINEAR)
        jpegs.append(cv2.imencode(".jpg", picture)[1].tobytes())
    return records.ClipFrames(
        jpegs=b"".join(jpegs),
        frame_sizes=tuple(map(len, jpegs)),
        height=48,
        width=64,
    )


def _write(dataset: Path, plan: records.ShardPlan) -> records.ShardSummary:
    parent = shard_folders.split_folder(dataset, plan.split)
    with incomplete.folder_in(parent) as folder:
        shard = _UnprovenWriter(folder, plan)
        for clip in plan.clips:
            shard.append(clip, frames(clip.clip_id))
        summary = shard.finish()
        shard_folders.publish(dataset, folder, summary)
    return summary


def _without_checksums(summary: records.ShardSummary) -> records.ShardSummary:
    import dataclasses

    clips = (dataclasses.replace(clip, frame_crc32s=()) for clip in summary.clips)
    return dataclasses.replace(summary, clips=tuple(clips))
