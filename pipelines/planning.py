"""What a job would do, shard by shard, without doing it."""

import collections
from collections.abc import Iterator

from mindrecord_io import records, sharding
from pipelines import data_sets, transforms, version_job

__all__ = ["foreseen_actions", "plans"]


def plans(job: version_job.VersionJob) -> Iterator[records.ShardPlan]:
    """Yields the plan of every shard of a job whose clips' files are all known."""
    num_shards, salt = version_job.num_shards(job), version_job.salt(job)
    clips: dict[tuple[str, int], list[records.PlannedClip]] = {}
    for ref in job.listing.refs:
        known = job.stored[ref.clip_id]
        index = sharding.shard_index(ref.clip_id, num_shards[ref.split], salt)
        clips.setdefault((ref.split, index), []).append(
            records.PlannedClip(
                ref.clip_id, ref.label_id, ref.uri, known.source, known.stored_in
            )
        )
    for split, index in sorted(clips):
        yield sharding.plan_shard(
            split,
            index,
            num_shards[split],
            clips=clips.pop((split, index)),
            settings=job.settings,
            salt=salt,
        )


def foreseen_actions(job: version_job.VersionJob) -> dict[str, int]:
    """Returns how many shards the job would reuse, relabel and decode."""
    listed = job.parent.manifest.shards if job.parent else ()
    published = {(shard.split, shard.key) for shard in listed}
    with data_sets.opened(job.dataset) as data_set:
        actions = collections.Counter(
            transforms.REUSED
            if (plan.split, plan.key) in published
            or data_set.read_summary(plan.split, plan.key)
            else transforms.action(plan)
            for plan in plans(job)
        )
    return {action: actions[action] for action in transforms.ACTIONS}
