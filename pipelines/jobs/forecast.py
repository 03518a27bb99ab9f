"""What a job would do, shard by shard, without doing it."""

import collections
from collections.abc import Iterator

from mindrecord_io import records
from pipelines.building import build_transforms
from pipelines.jobs import make_version
from pipelines.planning import clip_listing
from pipelines.publishing import data_sets

__all__ = ["foreseen_actions", "plans"]


def plans(job: make_version.VersionJob) -> Iterator[records.ShardPlan]:
    """Yields the plan of every shard of a job whose clips' files are all known."""
    num_shards = make_version.num_shards(job)
    for split, index, clips in clip_listing.by_shard(job.listing, num_shards):
        known = []
        for clip in clips:
            assert clip.known is not None, clip
            known.append((clip, clip.known))
        place = (split, index, num_shards[split])
        salt = job.listing.salt
        yield build_transforms.plan(place, known, settings=job.settings, salt=salt)


def foreseen_actions(job: make_version.VersionJob) -> dict[str, int]:
    """Returns how many shards the job would reuse, relabel and decode."""
    listed = job.parent.manifest.shards if job.parent else ()
    published = {(shard.split, shard.key) for shard in listed}
    with data_sets.opened(job.dataset) as data_set:
        actions = collections.Counter(
            build_transforms.REUSED
            if (plan.split, plan.key) in published
            or data_set.read_summary(plan.split, plan.key)
            else build_transforms.action(plan)
            for plan in plans(job)
        )
    return {action: actions[action] for action in build_transforms.ACTIONS}
