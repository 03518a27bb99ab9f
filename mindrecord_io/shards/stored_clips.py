"""Reads frames that are published already, so that no clip is decoded twice."""

from pathlib import Path

from mindrecord_io import naming, records
from mindrecord_io.naming import ShardName
from mindrecord_io.records import (
    ClipFrames,
    ClipOutcome,
    DecoderIdentity,
    FileRange,
    PlannedClip,
    Quarantined,
    ShardSummary,
)
from mindrecord_io.shards import shard_folders
from mindrecord_io.shards.shard_folders import ShardError

__all__ = ["StoredClips"]


class StoredClips:
    """Reads clips out of a data set's published shards, one shard open at a time."""

    def __init__(self, dataset: Path) -> None:
        self._dataset = dataset
        self._summaries: dict[str, ShardSummary] = {}
        self._clips: dict[str, dict[str, ClipOutcome]] = {}

    @property
    def decoders(self) -> set[DecoderIdentity]:
        """Those that made the frames of the shards that were read from."""
        return {d for summary in self._summaries.values() for d in summary.decoders}

    def read(self, clip: PlannedClip) -> ClipFrames | Quarantined:
        """Returns the frames that were stored when the clip was decoded.

        The frames stay where they are, and come with the hash that they had when they
        were stored; who copies them checks it.

        Raises:
          ShardError: the shard that the plan names is gone, damaged or another one.
        """
        outcome = self._outcome(clip)
        if outcome.status == records.QUARANTINED:
            return Quarantined(
                outcome.reason, outcome.detail, outcome.limits, outcome.facts
            )
        return ClipFrames(
            jpegs=self._frames(clip.stored_in, outcome),
            frame_sizes=outcome.frame_sizes,
            height=outcome.height,
            width=outcome.width,
            damage=outcome.detail,
            facts=outcome.facts,
            sha256=outcome.frames_sha256,
            crc32s=outcome.frame_crc32s,
        )

    def _outcome(self, clip: PlannedClip) -> ClipOutcome:
        place = clip.stored_in
        if place not in self._clips:
            split, _, key = place.partition("/")
            summary = shard_folders.read_summary(self._dataset, split, key)
            if summary is None:
                raise ShardError(f"{clip.clip_id}: shard {place} is gone")
            self._summaries[place] = summary
            self._clips[place] = {c.clip_id: c for c in summary.clips}
        outcome = self._clips[place].get(clip.clip_id)
        if outcome is None or outcome.source != clip.source:
            raise ShardError(f"{clip.clip_id}: shard {place} does not hold it")
        return outcome

    def _frames(self, place: str, outcome: ClipOutcome) -> FileRange:
        summary = self._summaries[place]
        name = ShardName(summary.split, summary.index, summary.num_shards)
        folder = naming.shard_folder(self._dataset, summary.split, summary.key)
        return FileRange(
            folder / str(name), outcome.frames_offset, sum(outcome.frame_sizes)
        )
