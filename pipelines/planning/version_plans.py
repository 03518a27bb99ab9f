"""Plans a whole version: its clips, its settings, and how many shards it has."""

import collections
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mindrecord_io.records import DecodeSettings, ShardPlan
from mindrecord_io.shards import sharding
from mindrecord_io.versions.manifests import Version
from mindrecord_io.versions.provenance import Provenance
from pipelines.planning import clip_listing, clip_references, shard_plans
from pipelines.planning.clip_listing import ClipListing
from pipelines.quarantine import DecodeLimits
from pipelines.sources.annotations import Annotations

__all__ = ["VersionPlan", "foreseen_actions", "foreseen_shards"]


@dataclass(frozen=True, slots=True)
class VersionPlan:
    """A version to be made.

    Attributes:
      parent: the current version, None if there is none.
      listing: the clips that the version is to hold, and what of them the parent has
        with the same settings.
      limits: None where nothing is to be decoded: then the clips' files are not looked
        at, and what the parent quarantines stays so.
      provenance: as far as it is known before shards are made.
      total_shards: of all splits; None keeps the parent's, or chooses by the clips.
    """

    parent: Version | None
    annotations: Annotations
    listing: ClipListing
    settings: DecodeSettings
    limits: DecodeLimits | None = None
    total_shards: int | None = None
    provenance: Provenance = field(default=Provenance())

    def lost_rows(self) -> Iterator[tuple[str, ...]]:
        """Yields rows of clip_listing.LOST_COLUMNS of clips that are lost for sure."""
        yield from self.listing.lost.rows()
        if self.limits is None:
            yield from self.listing.quarantined_rows.rows()

    def num_shards(self) -> dict[str, int]:
        """Returns the number of shards of each split that has clips."""
        num_clips = self.listing.num_clips
        if self.total_shards is not None:
            return sharding.split_num_shards(num_clips, self.total_shards)
        total = max(len(num_clips), sharding.default_num_shards(num_clips.total()))
        before = self.parent.manifest.num_shards if self.parent else {}
        return sharding.split_num_shards(num_clips, total) | {
            split: before[split] for split in num_clips if split in before
        }


def foreseen_shards(version: VersionPlan) -> Iterator[ShardPlan]:
    """Yields the plan of every shard of a version whose clips are all published."""
    num_shards, salt = version.num_shards(), version.listing.salt
    for split, index, rows in clip_listing.by_shard(version.listing, num_shards):
        yield sharding.plan_shard(
            split,
            index,
            num_shards[split],
            clips=map(shard_plans.published_clip, clip_references.of_rows(rows)),
            settings=version.settings,
            salt=salt,
        )


def foreseen_actions(
    version: VersionPlan, read_summary: Callable[[str, str], object]
) -> dict[str, int]:
    """Returns how many shards would be reused, relabelled and decoded.

    Args:
      read_summary: returns the summary of a published shard by split and key, None
        where there is no such shard.
    """
    listed = version.parent.manifest.shards if version.parent else ()
    published = {(shard.split, shard.planned_key or shard.key) for shard in listed}
    actions = collections.Counter(
        shard_plans.REUSED
        if (plan.split, plan.key) in published or read_summary(plan.split, plan.key)
        else shard_plans.action(plan)
        for plan in foreseen_shards(version)
    )
    return {action: actions[action] for action in shard_plans.ACTIONS}
