"""What `clipmill build` and `clipmill relabel` print when they are done."""

import collections
from collections.abc import Sequence
from dataclasses import dataclass, field

from mindrecord_io.versions.manifests import Version
from pipelines.building.receipts import ShardReceipt
from pipelines.building.version_draft import WrittenVersion
from pipelines.planning import shard_plans
from pipelines.planning.clip_references import ShardReferences

__all__ = ["JobResult", "result_of"]


@dataclass(frozen=True, slots=True)
class JobResult:
    """What a job did.

    Attributes:
      num_shards: by what was done (shard_plans.ACTIONS).
      num_made: clips of the shards that were decoded or copied.
      shard_seconds: from the start of the first of these shards to the end of the last.
      lost: clips that are not stored, by reason.
      num_leaks, num_label_conflicts: files that are in two splits, under two labels.
      num_sources_read: clips whose files were read; the others were recognised.
    """

    version: Version
    num_shards: dict[str, int]
    seconds: float
    num_made: int = 0
    shard_seconds: float = 0.0
    lost: dict[str, int] = field(default_factory=dict)
    num_leaks: int = 0
    num_label_conflicts: int = 0
    num_sources_read: int = 0

    def to_json(self) -> dict[str, object]:
        """Returns the last line of the command's output."""
        manifest = self.version.manifest
        rate = round(self.num_made / max(self.shard_seconds, 1e-3), 1)
        return {
            "version": manifest.version,
            "num_clips": manifest.num_clips,
            "num_quarantined": manifest.num_quarantined + manifest.num_missing,
            "num_frames": manifest.num_frames,
            "shards": self.num_shards,
            "num_bytes": manifest.num_bytes,
            "seconds": round(self.seconds, 1),
            "clips_per_second": rate if self.num_made else None,
            "lost": self.lost,
            "num_leaks": self.num_leaks,
            "num_label_conflicts": self.num_label_conflicts,
            "num_sources_read": self.num_sources_read,
        }


def result_of(
    version: Version,
    written: WrittenVersion,
    shards: Sequence[ShardReferences],
    done: Sequence[ShardReceipt],
    seconds: float,
) -> JobResult:
    """Returns what a job did that made `shards`, as their receipts state in `done`.

    Args:
      seconds: that the job took.
    """
    actions = collections.Counter(receipt.action for receipt in done)
    num_made, shard_seconds = _made_anew(shards, done)
    return JobResult(
        version=version,
        num_shards={action: actions[action] for action in shard_plans.ACTIONS},
        seconds=seconds,
        num_made=num_made,
        shard_seconds=shard_seconds,
        lost=dict(written.lost_clips.num_clips),
        num_leaks=len(written.same_bytes.leaks),
        num_label_conflicts=len(written.same_bytes.conflicts),
        num_sources_read=sum(receipt.num_read for receipt in done),
    )


def _made_anew(
    shards: Sequence[ShardReferences], done: Sequence[ShardReceipt]
) -> tuple[int, float]:
    """Returns the clips of the shards that were not reused, and how long these took."""
    made = [
        (shard.num_clips, receipt.begin_seconds, receipt.end_seconds)
        for shard, receipt in zip(shards, done, strict=True)
        if receipt.action != shard_plans.REUSED
    ]
    if not made:
        return 0, 0.0
    num_clips, begins, ends = zip(*made, strict=True)
    return sum(num_clips), max(ends) - min(begins)
