"""Reads frames that are published already, so that no clip is decoded twice."""

from collections.abc import Mapping
from pathlib import Path

from mindrecord_io import naming, records
from mindrecord_io.naming import ShardName
from mindrecord_io.records import (
    ClipFrames,
    ClipOutcome,
    DecoderIdentity,
    FileRange,
    Fingerprint,
    PlannedClip,
    Quarantined,
    ShardSummary,
)
from mindrecord_io.shards import shard_folders, summary_checks
from mindrecord_io.shards.shard_folders import ShardError

__all__ = ["StoredClips"]


class StoredClips:
    """Reads clips out of a data set's published shards, one shard open at a time."""

    def __init__(
        self, dataset: Path, summaries: Mapping[str, Fingerprint] | None = None
    ) -> None:
        """Opens nothing yet.

        Args:
          summaries: of each summary.json that a manifest lists, by "<split>/<key>".
        """
        self._dataset = dataset
        self._expected = summaries or {}
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
            file = shard_folders.read_summary_file(self._dataset, split, key)
            if file is None:
                raise ShardError(f"{clip.clip_id}: shard {place} is gone")
            if self._expected.get(place, file.content) != file.content:
                raise self._damaged(place, f"{clip.clip_id}: not the published summary")
            self._summaries[place] = file.summary
            self._clips[place] = {c.clip_id: c for c in file.summary.clips}
        outcome = self._clips[place].get(clip.clip_id)
        if outcome is None or outcome.source != clip.source:
            raise ShardError(
                f"{clip.clip_id}: shard {place} does not hold it; "
                f"{shard_folders.REMEDY}"
            )
        return outcome

    def _frames(self, place: str, outcome: ClipOutcome) -> FileRange:
        summary = self._summaries[place]
        name = ShardName(summary.split, summary.index, summary.num_shards)
        folder = naming.shard_folder(self._dataset, summary.split, summary.key)
        path = folder / str(name)
        if why := summary_checks.misplaced(path, [outcome]):
            raise self._damaged(place, why)
        return FileRange(path, outcome.frames_offset, sum(outcome.frame_sizes))

    def _damaged(self, place: str, why: str) -> ShardError:
        folder = self._dataset / "shards" / place
        return ShardError(
            f"{naming.summary_path(folder)}: {why}; {shard_folders.REMEDY}"
        )
