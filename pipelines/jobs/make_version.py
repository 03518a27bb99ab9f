"""What every job that makes a version does: plan, make shards, publish.

The jobs differ in where they learn of the clips: `build` looks at files, `relabel` at
the version that is there. From then on one mechanism serves both: shards that are
published are reused, frames that are published are copied, the rest is decoded.
"""

import collections
import contextlib
import logging
import time
from collections.abc import Iterator, Sequence
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path

from mindrecord_io import records
from mindrecord_io.shards import sharding
from mindrecord_io.storage import tallies
from mindrecord_io.versions import manifests
from pipelines import quarantine
from pipelines.building import (
    beam_runner,
    build_transforms,
    receipts,
    version_draft,
    worker_pool,
)
from pipelines.jobs import build_options, progress
from pipelines.planning import clip_listing, clip_references
from pipelines.publishing import data_sets
from pipelines.sources import something_something

__all__ = [
    "JobError",
    "JobResult",
    "VersionJob",
    "num_shards",
    "refuse_early",
    "run",
]

logger = logging.getLogger(__name__)

_NUM_READERS = 8  # of summaries, which may have to come from afar
_MAX_WAITING = 2 * _NUM_READERS  # summaries that are read before they are wanted


class JobError(RuntimeError):
    """The job ran and failed; nothing was published."""


@dataclass(frozen=True, slots=True)
class VersionJob:
    """A version to be made.

    Attributes:
      parent: the current version, None if there is none.
      listing: the clips that the version is to hold, and what the parent has of them
        with the same settings.
      identify: how a clip's file is known (see transforms).
      clip_limits: None where nothing is to be decoded.
      num_shards: of all splits together; None keeps the parent's, or chooses.
      max_quarantined: clips that may be quarantined or missing.
      is_from_parent: nothing is decoded, so what the parent quarantines stays so.
    """

    dataset: Path | str
    parent: manifests.Version | None
    annotated: something_something.Annotations
    listing: clip_listing.ClipListing
    identify: build_transforms.Identify
    settings: records.DecodeSettings
    clip_limits: quarantine.DecodeLimits | None
    num_shards: int | None
    max_quarantined: int
    num_workers: int
    beam_flags: tuple[str, ...]
    is_from_parent: bool = False

    @property
    def known_lost(self) -> tallies.Tally[tuple[str, str, str]]:
        """The clip id, reason and detail of every clip that cannot be stored."""
        absent = version_draft.lost_to_absence(self.listing)
        if not self.is_from_parent:
            return absent
        return self.listing.quarantined.followed_by(absent)


@dataclass(frozen=True, slots=True)
class JobResult:
    """What a job did.

    Attributes:
      num_shards: by what was done (transforms.ACTIONS).
      shard_seconds: from the first shard's start to the last shard's end.
    """

    version: manifests.Version
    num_shards: dict[str, int]
    seconds: float
    shard_seconds: float

    def to_json(self) -> dict[str, object]:
        """Returns the last line of the command's output."""
        said = self.version.manifest
        return {
            "version": said.version,
            "num_clips": said.num_clips,
            "num_quarantined": said.num_quarantined + said.num_missing,
            "num_frames": said.num_frames,
            "shards": self.num_shards,
            "num_bytes": said.num_bytes,
            "seconds": round(self.seconds, 1),
            "clips_per_second": round(
                said.num_clips / max(self.shard_seconds, 1e-3), 1
            ),
        }


def run(job: VersionJob) -> JobResult:
    """Makes what is not made yet and publishes a version of all of it.

    Raises:
      JobError: more clips are broken or missing than allowed, or a shard failed.
      PublishConflictError: another version, of other clips or labels, was published in
        the meantime.
    """
    begin = time.monotonic()
    refuse_early(job)
    with contextlib.ExitStack() as stack:
        data_set = stack.enter_context(data_sets.opened(job.dataset))
        data_set.remove_abandoned()
        staging = stack.enter_context(data_set.staging())
        left_at = data_set.receipts(staging)
        stack.callback(receipts.remove, left_at)
        shards = _handed_out(job, staging, left_at)
        done = _make_shards(job, data_set, left_at, shards)
        draft = version_draft.Draft(
            dataset=job.dataset,
            parent=job.parent,
            annotated=job.annotated,
            listing=job.listing,
            settings=job.settings,
            shards=_made(data_set, left_at, shards, done),
        )
        written = version_draft.write(draft, staging)
        if problem := version_draft.too_many_lost(written.lost, job.max_quarantined):
            raise JobError(problem)
        if not written.manifest.num_clips:
            raise JobError("not one clip could be stored; nothing is published")
        version = version_draft.publish(draft, written)
    actions = collections.Counter(receipt.action for receipt in done)
    result = JobResult(
        version=version,
        num_shards={action: actions[action] for action in build_transforms.ACTIONS},
        seconds=time.monotonic() - begin,
        shard_seconds=max(r.end_seconds for r in done)
        - min(r.begin_seconds for r in done),
    )
    _log(job.dataset, result)
    return result


def refuse_early(job: VersionJob) -> None:
    """Raises JobError where it is clear before any work that nothing can come of it."""
    if problem := version_draft.too_many_lost(job.known_lost, job.max_quarantined):
        raise JobError(problem)
    if not job.listing.num_clips:
        raise JobError("no clip is left to store")


def num_shards(job: VersionJob) -> dict[str, int]:
    """Returns the shards of each split: as asked, as they are, or by their clips."""
    num_clips = job.listing.num_clips
    if job.num_shards is not None:
        return sharding.split_num_shards(num_clips, job.num_shards)
    total = max(len(num_clips), sharding.default_num_shards(num_clips.total()))
    known = job.parent.manifest.num_shards if job.parent else {}
    return sharding.split_num_shards(num_clips, total) | {
        split: known[split] for split in num_clips if split in known
    }


def _handed_out(
    job: VersionJob, staging: Path, left_at: Path | str
) -> list[clip_references.ShardReferences]:
    """Writes every shard's references to where the tasks read them."""
    total = num_shards(job)
    path = staging / "references"
    clips = clip_listing.by_shard(job.listing, total)
    shards = clip_references.write(path, clips, total)
    clip_references.hand_out(path, left_at)
    return shards


def _make_shards(
    job: VersionJob,
    data_set: data_sets.DataSet,
    left_at: Path | str,
    shards: Sequence[clip_references.ShardReferences],
) -> list[build_transforms.Receipt]:
    """Runs the pipeline; returns the receipts of all shards, every one published."""
    dataset = job.dataset
    shard_job = build_transforms.ShardJob(
        # Absolute, because a worker may run elsewhere.
        dataset=dataset.absolute() if isinstance(dataset, Path) else dataset,
        receipts=left_at,
        settings=job.settings,
        clip_limits=job.clip_limits,
        salt=job.listing.salt,
        num_workers=job.num_workers if build_options.is_local(job.beam_flags) else None,
    )
    num_clips = {
        build_transforms.receipt_name(s.split, s.index, s.num_shards): s.num_clips
        for s in shards
    }

    def num_done() -> int:
        return sum(num_clips.get(name, 0) for name in receipts.names(left_at))

    with progress.watched("shards", job.listing.num_clips.total(), num_done):
        try:
            beam_runner.run(
                build_transforms.BuildShards(shards, shard_job, identify=job.identify),
                job.beam_flags,
                worker_pool.THREADS_PER_WORKER * job.num_workers,
            )
        except beam_runner.PipelineError as cause:
            # Other shards are still being made; nothing is to be left of them.
            worker_pool.abandon()
            data_set.remove_abandoned()
            raise JobError(str(cause)) from cause
    done = build_transforms.read_receipts(left_at)
    if len(done) != len(shards):
        raise JobError(f"{len(done)} of {len(shards)} shards left a receipt")
    return done


def _made(
    data_set: data_sets.DataSet,
    left_at: Path | str,
    shards: Sequence[clip_references.ShardReferences],
    done: Sequence[build_transforms.Receipt],
) -> Iterator[version_draft.MadeShard]:
    """Yields every shard's summary and references, read a few shards ahead."""

    def read(
        shard: clip_references.ShardReferences, receipt: build_transforms.Receipt
    ) -> version_draft.MadeShard:
        summary = data_set.read_summary(receipt.split, receipt.key)
        if summary is None:
            raise JobError(f"{receipt}: its shard is gone; something removed it")
        return version_draft.MadeShard(summary, clip_references.read(left_at, shard))

    waiting: collections.deque[futures.Future[version_draft.MadeShard]]
    waiting = collections.deque()
    with futures.ThreadPoolExecutor(_NUM_READERS) as executor:
        for shard, receipt in zip(shards, done, strict=True):
            waiting.append(executor.submit(read, shard, receipt))
            if len(waiting) == _MAX_WAITING:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _log(dataset: Path | str, result: JobResult) -> None:
    said = result.version.manifest
    logger.info(
        "version %s of %s: %d clips, %d frames, %d bytes; shards: %s; %.1f s",
        said.version,
        dataset,
        said.num_clips,
        said.num_frames,
        said.num_bytes,
        ", ".join(f"{n} {action}" for action, n in result.num_shards.items()),
        result.seconds,
    )
