"""Makes a version of planned clips: makes the shards, then publishes.

The jobs differ in their sources of clips: `build` reads files, `relabel` the current
version. From then on one mechanism serves both: published shards are reused, published
frames are copied, the rest is decoded.
"""

import collections
import contextlib
import logging
import time
from collections.abc import Iterator, Sequence
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mindrecord_io import interrupts
from mindrecord_io.commands import log_lines, progress_bar, quantities
from mindrecord_io.shards import shard_folders
from mindrecord_io.shards.shard_folders import SummaryFile
from mindrecord_io.storage import locations
from mindrecord_io.storage.tallies import Tally
from mindrecord_io.versions import same_bytes
from mindrecord_io.versions.manifests import Version
from pipelines.building import clip_notes, receipts, version_draft
from pipelines.building.receipts import ShardReceipt
from pipelines.building.version_draft import MadeShard, WrittenVersion
from pipelines.jobs import (
    brakes,
    damaged_shards,
    job_result,
    needed_space,
    source_recording,
)
from pipelines.jobs.brakes import JobError
from pipelines.planning import (
    clip_listing,
    clip_references,
    version_plans,
)
from pipelines.planning.clip_references import ShardReferences
from pipelines.planning.source_records import NewRecords
from pipelines.planning.version_plans import VersionPlan
from pipelines.publishing.data_sets import DataSet

if TYPE_CHECKING:
    from pipelines.building.build_transforms import ShardJob

__all__ = ["JobError", "VersionJob", "foresee", "run"]

logger = logging.getLogger(__name__)

_NUM_READERS = 8  # of summaries, which may have to come from afar
_MAX_WAITING = 2 * _NUM_READERS  # summaries that are read before they are wanted


@dataclass(frozen=True, slots=True)
class VersionJob:
    """A planned version, and what it is made with.

    Attributes:
      data_set: opened for the whole job.
      max_quarantined: clips that may be quarantined or missing.
      num_workers: processes that make shards at once on each machine; None for one to
        every core of it.
      beam_flags: handed to Beam as they are.
      ffmpeg: the program to decode with, "" for the usual one.
      refuse_leaks: whether a file that is in two splits is an error.
      max_withdrawn: share of the parent's clips that may go; None allows all.
      command: its words, to be repeated and recorded.
      is_repair: published shards that are not the planned ones are made again.
      damaged: places of shards that are made again in any case.
    """

    data_set: DataSet
    plan: VersionPlan
    max_quarantined: int = 0
    num_workers: int | None = 1
    beam_flags: tuple[str, ...] = ()
    ffmpeg: str = ""
    refuse_leaks: bool = False
    max_withdrawn: float | None = None
    command: tuple[str, ...] = ()
    is_repair: bool = False
    damaged: frozenset[str] = frozenset()


def run(job: VersionJob) -> job_result.JobResult:
    """Makes what is not made yet and publishes a version of all of it.

    Raises:
      JobError: more clips are broken or missing than allowed, or a shard failed.
      PublishConflictError: another version, of other clips or labels, was published in
        the meantime.
    """
    begin = time.monotonic()
    brakes.forget_refused(job.data_set)
    _refuse_early(job, job.data_set)
    plan, data_set = job.plan, job.data_set
    needed_space.log_needed_space(plan.listing, plan.settings, data_set)
    with contextlib.ExitStack() as stack:
        data_set.remove_abandoned()
        stack.enter_context(interrupts.cleaned_up(data_set.remove_abandoned))
        staging = stack.enter_context(data_set.staging())
        folder = data_set.receipts(staging)  # which goes with the staging folder
        progress_bar.phase("planning the shards")
        shards, near = _write_references(plan, staging, folder)
        done = _make_shards(job, folder, shards, near)
        progress_bar.phase("writing the table of clips")
        made, recorded = _made(job, near, shards, done), NewRecords()
        if has_new := any(receipt.identities for receipt in done):
            made = source_recording.recording(made, done, recorded)
        written = version_draft.write(plan, made, staging)
        _refuse(job, written)
        if not written.manifest.num_clips:
            raise JobError("not one clip could be stored; nothing is published")
        progress_bar.phase("publishing")
        version = version_draft.publish(written, plan.parent, data_set)
        if has_new:
            source_recording.keep(recorded, staging, data_set)
    seconds = time.monotonic() - begin
    result = job_result.result_of(version, written, shards, done, seconds)
    _log(data_set, result)
    _log_notes(written, version)
    return result


def foresee(job: VersionJob) -> dict[str, object]:
    """Returns what a job that decodes nothing would do; `version` is the current one.

    Raises:
      JobError: more clips would be missing or quarantined than allowed.
    """
    _refuse_early(job, None)
    listing, read_summary = job.plan.listing, job.data_set.read_summary
    assert listing.difference is not None
    return {
        "version": listing.difference.version,
        "changes": listing.difference.counts(),
        "num_clips": listing.num_clips.total() - len(listing.quarantined),
        "num_quarantined": len(_lost_before(job.plan)),
        "shards": version_plans.foreseen_actions(job.plan, read_summary),
    }


def _refuse_early(job: VersionJob, data_set: DataSet | None) -> None:
    """Raises JobError where the plan shows that the job cannot succeed.

    Args:
      data_set: keeps the lists of a refused job; None keeps none.
    """
    listing, parent = job.plan.listing, job.plan.parent
    if job.max_withdrawn is not None and listing.difference and parent:
        num_before = parent.manifest.num_clips + parent.manifest.num_quarantined
        brakes.refuse_withdrawn(
            listing.difference, num_before, job.max_withdrawn, data_set
        )
    brakes.refuse_lost_early(
        _lost_before(job.plan),
        job.max_quarantined,
        plan=job.plan,
        data_set=data_set,
        command=job.command,
    )
    if not listing.num_clips:
        raise JobError("no clip is left to store")


def _refuse(job: VersionJob, written: WrittenVersion) -> None:
    """Raises JobError if a written version must not be published; keeps its lists."""
    too_many = len(written.lost) > job.max_quarantined
    leaks = job.refuse_leaks and len(written.same_bytes.leaks)
    if not too_many and not leaks:
        return
    lists = {
        path.name: brakes.keep(job.data_set, path)
        for path in sorted(written.folder.glob("*.tsv"))
    }
    brakes.refuse_lost(
        written.lost,
        job.max_quarantined,
        by_reason=written.lost_clips,
        listed=lists.get(clip_notes.LOST, ""),
        command=job.command,
    )
    brakes.refuse_leaks(written.same_bytes, lists[same_bytes.SAME_BYTES])


def _lost_before(plan: VersionPlan) -> Tally[tuple[str, str, str]]:
    """Returns id, reason and detail of the clips that the plan shows to be lost."""
    absent = version_draft.lost_to_absence(plan.listing)
    if plan.limits is not None:
        return absent.followed_by(plan.listing.empty)
    return plan.listing.quarantined.followed_by(absent)


def _write_references(
    plan: VersionPlan, staging: Path, folder: Path | str
) -> tuple[list[ShardReferences], Path]:
    """Writes every shard's references to where the tasks read them, and to here."""
    num_shards = plan.num_shards()
    path = staging / "unfinished"
    clips = clip_listing.by_shard(plan.listing, num_shards)
    shards = clip_references.write(path, clips, num_shards)
    return shards, clip_references.hand_out(path, folder)


def _make_shards(
    job: VersionJob,
    folder: Path | str,
    shards: Sequence[ShardReferences],
    near: Path,
) -> list[ShardReceipt]:
    """Runs the pipeline; returns the receipts of all shards, every one published.

    Args:
      near: the folder of this machine to which they are brought.
    """
    # Beam takes seconds to import: only a job that makes shards pays them.
    from pipelines.building import beam_runner, build_transforms, worker_pool

    transform = build_transforms.BuildShards(shards, _shard_job(job, folder))
    num_clips = {
        receipts.shard_receipt_name(s.split, s.index, s.num_shards): s.num_clips
        for s in shards
    }
    left: list[str] = []

    def num_done() -> int:  # for the last time when the pipeline is done
        left[:] = receipts.names(folder)
        return sum(num_clips.get(name, 0) for name in left)

    num_all = job.plan.listing.num_clips.total()
    with progress_bar.watched("shards", num_all, num_done):
        try:
            num_threads = worker_pool.num_threads(job.num_workers)
            beam_runner.run(transform, job.beam_flags, num_threads)
        except beam_runner.PipelineError as cause:
            # Other shards are still being made; nothing is to be left of them.
            worker_pool.abandon()
            job.data_set.remove_abandoned()
            raise JobError(brakes.with_remedy(str(cause))) from cause
    done = receipts.read_of_shards(receipts.brought_here(folder, near, left))
    if len(done) != len(shards):
        raise JobError(f"{len(done)} of {len(shards)} shards left a receipt")
    return done


def _shard_job(job: VersionJob, folder: Path | str) -> "ShardJob":
    """Returns what every task needs to know, wherever it runs."""
    from pipelines.building import build_transforms  # as slow as Beam

    location = job.data_set.location
    return build_transforms.ShardJob(
        # Absolute, because a worker may run elsewhere.
        dataset=location.absolute() if isinstance(location, Path) else location,
        receipts=folder,
        settings=job.plan.settings,
        limits=job.plan.limits,
        salt=job.plan.listing.salt,
        is_repair=job.is_repair,
        damaged=job.damaged,
        num_workers=job.num_workers,
        ffmpeg=job.ffmpeg,
    )


def _made(
    job: VersionJob,
    folder: Path,
    shards: Sequence[ShardReferences],
    done: Sequence[ShardReceipt],
) -> Iterator[MadeShard]:
    """Yields every shard's summary and references, read a few shards ahead."""

    unhashed = damaged_shards.UnhashedSummaries(job.data_set, job.plan.parent)

    def read(shard: ShardReferences, receipt: ShardReceipt) -> MadeShard:
        file = _summary(job.data_set, receipt, shard, folder)
        if file is None:
            raise JobError(f"{receipt}: its shard is gone; something removed it")
        if file.content != receipt.summary:
            raise JobError(f"{receipt}: its summary was changed while this job ran")
        references = clip_references.read(folder, shard)
        own = () if job.is_repair else (f"{receipt.split}/{receipt.key}",)
        unhashed.check({*own, *(r.stored_in for r in references)} - {""})
        return MadeShard(file, references)

    waiting: collections.deque[futures.Future[MadeShard]]
    waiting = collections.deque()
    with futures.ThreadPoolExecutor(_NUM_READERS) as executor:
        for shard, receipt in zip(shards, done, strict=True):
            waiting.append(executor.submit(read, shard, receipt))
            if len(waiting) == _MAX_WAITING:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _summary(
    data_set: DataSet, receipt: ShardReceipt, shard: ShardReferences, folder: Path
) -> SummaryFile | None:
    """Reads the summary of a shard that was made; a remote one from its receipt."""
    text = b""
    if locations.is_remote(data_set.location):
        text = receipts.summary_text(folder, receipt, shard.num_shards)
    if not text:
        return data_set.read_summary(receipt.split, receipt.key)
    place = f"{data_set.location}, {receipt.split} shard {receipt.index}"
    return shard_folders.parse_summary(text, receipt.split, receipt.key, place)


def _log(data_set: DataSet, result: job_result.JobResult) -> None:
    manifest = result.version.manifest
    logger.info(
        "version %s of %s: %d clips, %d frames, %s; shards: %s",
        manifest.version,
        data_set.location,
        manifest.num_clips,
        manifest.num_frames,
        quantities.size(manifest.num_bytes),
        ", ".join(f"{n} {action}" for action, n in result.num_shards.items()),
        extra=log_lines.IN_SUMMARY,
    )


def _log_notes(written: WrittenVersion, version: Version) -> None:
    """Logs what was lost, and files that are there twice, and where they are listed."""
    if written.lost_clips.num_clips:
        logger.warning(
            "%s not stored, all listed in %s/%s:\n%s",
            quantities.count(written.lost_clips.num_clips.total(), "clip"),
            version.folder,
            clip_notes.LOST,
            written.lost_clips.table(log_lines.num_columns()),
            extra=log_lines.TABLE,
        )
    if written.same_bytes:
        logger.warning(
            "equal files: %s; all listed in %s/%s",
            written.same_bytes,
            version.folder,
            same_bytes.SAME_BYTES,
        )
