"""The Beam part: places of references in, published shards out. Wiring only.

Neither frames nor clips travel here. One task owns one shard: it reads which clips the
shard is to hold (see references), hashes their files, and has the shard made if it is
not there. What a task did is told by a small file, its receipt: any runner can write
one, and whoever watches the folder of receipts sees the job advance.
"""

import contextlib
import dataclasses
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam
from apache_beam import metrics

from mindrecord_io import naming, records
from mindrecord_io.shards import sharding
from mindrecord_io.storage import files, locations, object_store
from pipelines import quarantine
from pipelines.building import child_process, receipts, worker_pool
from pipelines.planning import clip_references
from pipelines.planning.clip_references import StoredSource
from pipelines.publishing import data_sets
from pipelines.sources import frame_folders, remote_clips

__all__ = [
    "ACTIONS",
    "BuildShards",
    "Identify",
    "Receipt",
    "ShardFailedError",
    "ShardJob",
    "action",
    "hashed_source",
    "known_source",
    "plan",
    "read_receipts",
    "receipt_name",
]

logger = logging.getLogger(__name__)

REUSED = "reused"
RELABELLED = "relabelled"
DECODED = "decoded"
ACTIONS = (REUSED, RELABELLED, DECODED)
"""What is done for a planned shard: nothing, frames copied, or clips decoded."""

_NUM_REMOTE_READERS = 16  # a request to an object store is mostly waiting


class ShardFailedError(RuntimeError):
    """A shard could not be made; the whole job fails."""


@dataclass(frozen=True, slots=True)
class ShardJob:
    """What every task of one job knows.

    Attributes:
      dataset, receipts: the data set, and a folder that has the references and is for
        receipts; paths or URIs.
      clip_limits: None where nothing is to be decoded.
      num_workers: worker processes that one process may have; None for one to every
        core of the machine that it runs on.
    """

    dataset: Path | str
    receipts: Path | str
    settings: records.DecodeSettings
    clip_limits: quarantine.DecodeLimits | None
    salt: str
    num_workers: int | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one planned shard.

    Attributes:
      action: one of ACTIONS.
      begin_seconds, end_seconds: since the epoch.
    """

    split: str
    index: int
    key: str
    action: str
    begin_seconds: float
    end_seconds: float


Identify = Callable[[str, str, StoredSource | None], StoredSource]


def hashed_source(clip_id: str, uri: str, known: StoredSource | None) -> StoredSource:
    """Hashes a clip's file; its frames are stored if that is the file they are of.

    Raises:
      ShardFailedError: the file cannot be read.
    """
    try:
        source = _fingerprint(uri)
    except (OSError, object_store.StorageError) as cause:
        why = getattr(cause, "strerror", None) or cause
        what = getattr(cause, "filename", None) or uri
        raise ShardFailedError(f"clip {clip_id}: cannot read {what}: {why}") from cause
    is_stored = known is not None and known.source == source
    return known if is_stored and known else StoredSource(source, "")


def _fingerprint(uri: str) -> records.Fingerprint:
    if locations.is_remote(uri):
        return remote_clips.fingerprint(uri)
    path = Path(uri)
    return frame_folders.fingerprint(path) if path.is_dir() else files.fingerprint(path)


def known_source(clip_id: str, uri: str, known: StoredSource | None) -> StoredSource:
    """Returns what is known of a clip, whose file need not be there any more."""
    if known is None:
        raise ShardFailedError(f"clip {clip_id}: nothing is stored of {uri}")
    return known


class BuildShards(beam.PTransform):
    """Makes every shard that has references; yields nothing, leaves receipts."""

    def __init__(
        self,
        shards: Sequence[clip_references.ShardReferences],
        job: ShardJob,
        *,
        identify: Identify,
    ) -> None:
        """Takes where each shard's references are, and what all of them are made with.

        Args:
          identify: returns, of a clip's id, uri and what is stored of it (None if
            nothing is), its file, and where that is stored.
        """
        super().__init__()
        self._shards = shards
        self._job = job
        self._identify = identify

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Wires shard -> receipt."""
        return (
            pipeline
            | "Shards" >> beam.Create(self._shards)
            | "Balance" >> beam.Reshuffle()
            | "Build" >> beam.ParDo(_BuildShard(self._job, self._identify))
        )


def read_receipts(folder: Path | str) -> list[Receipt]:
    """Returns all receipts, ordered by split and index."""
    read = [
        records.from_json(Receipt, json.loads(content))
        for content in receipts.read(folder)
    ]
    return sorted(read, key=lambda r: (records.SPLITS.index(r.split), r.index))


def action(plan: records.ShardPlan) -> str:
    """Returns what is to be done for a shard that is not published."""
    return RELABELLED if all(clip.stored_in for clip in plan.clips) else DECODED


def plan(
    place: tuple[str, int, int],
    clips: Iterable[tuple[clip_references.Reference, StoredSource]],
    *,
    settings: records.DecodeSettings,
    salt: str,
) -> records.ShardPlan:
    """Returns the plan of a shard, given by split, index and number of shards.

    Args:
      clips: its clips, each with how its file is known.
    """
    split, index, num_shards = place
    return sharding.plan_shard(
        split,
        index,
        num_shards,
        clips=[_planned_clip(clip, found) for clip, found in clips],
        settings=settings,
        salt=salt,
    )


def receipt_name(split: str, index: int, num_shards: int) -> str:
    """Returns the file name of a shard's receipt."""
    return f"{naming.ShardName(split, index, num_shards)}.json"


class _BuildShard(beam.DoFn):
    """Finds a shard published, or has a worker process make it."""

    def __init__(self, job: ShardJob, identify: Identify) -> None:
        self._job = job
        self._identify = identify
        self._pool: worker_pool.WorkerPool | None = None
        self._opened: contextlib.ExitStack | None = None
        self._data_set: data_sets.DataSet | None = None

    def setup(self) -> None:
        num_workers = self._job.num_workers or os.cpu_count() or 1
        self._pool = worker_pool.acquire(num_workers)
        self._opened = contextlib.ExitStack()
        data_set = data_sets.opened(self._job.dataset)
        self._data_set = self._opened.enter_context(data_set)

    def process(self, shard: clip_references.ShardReferences) -> Iterable[None]:
        begin = time.time()
        assert self._data_set is not None
        plan = self._planned(shard)
        summary = self._data_set.read_summary(plan.split, plan.key)
        if summary and (limits_text := _contested_by(summary, plan, self._job)):
            key = sharding.key_under_limits(plan.key, limits_text)
            plan = dataclasses.replace(plan, key=key)
            summary = self._data_set.read_summary(plan.split, plan.key)
        done = REUSED if summary else action(plan)
        if summary is None:
            summary = self._built(plan, self._data_set)
        receipt = Receipt(plan.split, plan.index, plan.key, done, begin, time.time())
        text = json.dumps(dataclasses.asdict(receipt)).encode()
        name = receipt_name(plan.split, plan.index, plan.num_shards)
        receipts.write(self._job.receipts, name, text)
        _count(summary, done)
        logger.info(
            "%s %s shard %d of %d: %d clips, %d quarantined in %.1f s",
            done,
            plan.split,
            plan.index,
            plan.num_shards,
            summary.num_stored,
            len(summary.clips) - summary.num_stored,
            receipt.end_seconds - begin,
        )
        return ()

    def teardown(self) -> None:
        if self._pool is not None:
            worker_pool.release(self._pool)
            self._pool = None
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _planned(self, shard: clip_references.ShardReferences) -> records.ShardPlan:
        try:
            clips = clip_references.read(self._job.receipts, shard)
        except (OSError, ValueError, object_store.StorageError) as cause:
            raise ShardFailedError(
                f"{shard.split} shard {shard.index}: its references cannot be read: "
                f"{cause}"
            ) from cause
        place = (shard.split, shard.index, shard.num_shards)
        return plan(
            place,
            list(zip(clips, _identified(clips, self._identify), strict=True)),
            settings=self._job.settings,
            salt=self._job.salt,
        )

    def _built(
        self, plan: records.ShardPlan, data_set: data_sets.DataSet
    ) -> records.ShardSummary:
        """Makes a shard, with what it needs from elsewhere at hand, and hands it in."""
        places = {clip.stored_in for clip in plan.clips} - {""}
        try:
            with (
                data_sets.fetched(data_set, places),
                remote_clips.local_clips(plan) as local_plan,
            ):
                self._build(local_plan, data_set.folder)
            data_set.keep(plan.split, plan.key)
            summary = data_set.read_summary(plan.split, plan.key)
            data_set.drop(plan.split, plan.key)
        except (FileNotFoundError, object_store.StorageError) as cause:
            raise ShardFailedError(
                f"{plan.split} shard {plan.index}: {cause}"
            ) from cause
        assert summary is not None
        return summary

    def _build(self, plan: records.ShardPlan, folder: Path) -> None:
        assert self._pool is not None
        clip_limits = self._job.clip_limits or quarantine.DecodeLimits()
        request = {
            "dataset": str(folder),
            "plan": records.to_json(plan),
            "limits": dataclasses.asdict(clip_limits),
        }
        try:
            with self._pool.lent() as worker:
                answer = worker.request(request)
        except child_process.ChildDiedError as cause:
            raise ShardFailedError(
                f"{plan.split} shard {plan.index}: the worker process {cause}"
            ) from cause
        if "error" in answer:
            raise ShardFailedError(
                f"{plan.split} shard {plan.index}: {answer['error']}"
            )


def _identified(
    clips: Sequence[clip_references.Reference], identify: Identify
) -> Iterator[StoredSource]:
    """Yields how the file of each clip is known; remote ones are read side by side."""

    def identified(clip: clip_references.Reference) -> StoredSource:
        return identify(clip.clip_id, clip.uri, clip.known)

    if not any(locations.is_remote(clip.uri) for clip in clips):
        yield from map(identified, clips)
        return
    with futures.ThreadPoolExecutor(_NUM_REMOTE_READERS) as executor:
        yield from executor.map(identified, clips)


def _planned_clip(
    clip: clip_references.Reference, found: StoredSource
) -> records.PlannedClip:
    planned = records.PlannedClip(
        clip.clip_id, clip.label_id, clip.uri, found.source, found.stored_in
    )
    if clip.expected_sha256 in ("", found.source.sha256):
        return planned
    return dataclasses.replace(
        planned, stored_in="", expected_sha256=clip.expected_sha256
    )


def _contested_by(
    summary: records.ShardSummary, plan: records.ShardPlan, job: ShardJob
) -> str:
    """Returns what a published shard's quarantine may not hold against, "" if it holds.

    A clip that broke other limits than the job's may pass now. Where nothing is to be
    decoded, it may be stored elsewhere by now.
    """
    if job.clip_limits is not None:
        limits_now = job.clip_limits.text
        is_contested = any(c.limits not in ("", limits_now) for c in summary.clips)
        return limits_now if is_contested else ""
    broken = {clip.clip_id for clip in summary.clips if clip.limits}
    here = f"{summary.split}/{summary.key}"
    places = {clip.stored_in for clip in plan.clips if clip.clip_id in broken}
    return ",".join(sorted(places)) if places - {here} else ""


def _count(summary: records.ShardSummary, action: str) -> None:
    for name, amount in (
        ("clips", summary.num_stored),
        ("frames", sum(len(clip.frame_sizes) for clip in summary.clips)),
        ("failed", len(summary.clips) - summary.num_stored),
    ):
        metrics.Metrics.counter(action, name).inc(amount)
