"""The Beam part: clip references in, published shards out. Wiring only.

Frames never travel here. A reference becomes a planned clip (its file is hashed), clips
meet at their shard, and one task owns one shard. What a task did is told by a small
file, its receipt: any runner can write one, and whoever watches the folder of receipts
sees the job advance.
"""

import contextlib
import dataclasses
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam import metrics

from mindrecord_io import files, naming, records, sharding, storage
from pipelines import (
    child_process,
    data_sets,
    frame_folders,
    limits,
    receipts,
    remote_clips,
    worker_pool,
)

__all__ = [
    "ACTIONS",
    "BuildShards",
    "Identify",
    "Receipt",
    "ShardFailedError",
    "ShardJob",
    "StoredSource",
    "action",
    "hashed_source",
    "known_source",
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
_REFS_PER_ELEMENT = 200  # Beam's cost is by the element, a reference costs nothing
_Place = tuple[str, int]


class ShardFailedError(RuntimeError):
    """A shard could not be made; the whole job fails."""


@dataclass(frozen=True, slots=True)
class ShardJob:
    """What every task of one job knows.

    Attributes:
      dataset, receipts: the data set, and a folder for receipts; paths or URIs.
      clip_limits: None where nothing is to be decoded.
      num_shards: by split.
      num_workers: worker processes that one process may have; None for one to every
        core of the machine that it runs on.
    """

    dataset: Path | str
    receipts: Path | str
    settings: records.DecodeSettings
    clip_limits: limits.DecodeLimits | None
    salt: str
    num_shards: Mapping[str, int]
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


@dataclass(frozen=True, slots=True)
class StoredSource:
    """A clip's file, and where its frames are published.

    Attributes:
      stored_in: as in records.PlannedClip.
    """

    source: records.Fingerprint
    stored_in: str


Identify = Callable[[str, str, StoredSource | None], StoredSource]


def hashed_source(clip_id: str, uri: str, known: StoredSource | None) -> StoredSource:
    """Hashes a clip's file; its frames are stored if that is the file they are of.

    Raises:
      ShardFailedError: the file cannot be read.
    """
    try:
        source = _fingerprint(uri)
    except (OSError, storage.StorageError) as cause:
        why = getattr(cause, "strerror", None) or cause
        what = getattr(cause, "filename", None) or uri
        raise ShardFailedError(f"clip {clip_id}: cannot read {what}: {why}") from cause
    is_stored = known is not None and known.source == source
    return known if is_stored and known else StoredSource(source, "")


def _fingerprint(uri: str) -> records.Fingerprint:
    if storage.is_remote(uri):
        return remote_clips.fingerprint(uri)
    path = Path(uri)
    return frame_folders.fingerprint(path) if path.is_dir() else files.fingerprint(path)


def known_source(clip_id: str, uri: str, known: StoredSource | None) -> StoredSource:
    """Returns what is known of a clip, whose file need not be there any more."""
    if known is None:
        raise ShardFailedError(f"clip {clip_id}: nothing is stored of {uri}")
    return known


class BuildShards(beam.PTransform):  # type: ignore[misc]
    """Makes every shard that the references need; yields nothing, leaves receipts."""

    def __init__(
        self,
        refs: Sequence[records.ClipRef],
        stored: Mapping[str, StoredSource],
        job: ShardJob,
        *,
        identify: Identify,
    ) -> None:
        """Takes the clips and what is published of them with the job's settings.

        Args:
          refs: the clips.
          stored: by clip_id.
          job: what every task knows.
          identify: `hashed_source` or `known_source`.
        """
        super().__init__()
        self._refs = refs
        self._stored = stored
        self._job = job
        self._identify = identify

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Wires reference -> planned clip -> shard plan -> receipt."""
        return (
            pipeline
            | "References" >> beam.Create(list(_encoded(self._refs, self._stored)))
            | "Identify" >> beam.FlatMap(_placed_clips, self._job, self._identify)
            | "ByShard" >> beam.GroupByKey()  # ((split, index), JSON of PlannedClip)
            | "Plan" >> beam.Map(_plan, self._job)  # ShardPlan
            | "Balance" >> beam.Reshuffle()
            | "Build" >> beam.ParDo(_BuildShard(self._job))
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


def receipt_name(split: str, index: int, num_shards: int) -> str:
    """Returns the file name of a shard's receipt."""
    return f"{naming.ShardName(split, index, num_shards)}.json"


class _BuildShard(beam.DoFn):  # type: ignore[misc]
    """Finds a shard published, or has a worker process make it."""

    def __init__(self, job: ShardJob) -> None:
        self._job = job
        self._pool: worker_pool.WorkerPool | None = None
        self._opened: contextlib.ExitStack | None = None
        self._data_set: data_sets.DataSet | None = None

    def setup(self) -> None:
        num_workers = self._job.num_workers or os.cpu_count() or 1
        self._pool = worker_pool.acquire(num_workers)
        self._opened = contextlib.ExitStack()
        data_set = data_sets.opened(self._job.dataset)
        self._data_set = self._opened.enter_context(data_set)

    def process(self, plan: records.ShardPlan) -> Iterable[None]:
        begin = time.time()
        assert self._data_set is not None
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
        except (FileNotFoundError, storage.StorageError) as cause:
            raise ShardFailedError(
                f"{plan.split} shard {plan.index}: {cause}"
            ) from cause
        assert summary is not None
        return summary

    def _build(self, plan: records.ShardPlan, folder: Path) -> None:
        assert self._pool is not None
        clip_limits = self._job.clip_limits or limits.DecodeLimits()
        request = {
            "dataset": str(folder),
            "plan": records.to_json(plan),
            "limits": dataclasses.asdict(clip_limits),
        }
        try:
            with self._pool.lent() as worker:
                answer = worker.ask(request)
        except child_process.ChildDiedError as cause:
            raise ShardFailedError(
                f"{plan.split} shard {plan.index}: the worker process {cause}"
            ) from cause
        if "error" in answer:
            raise ShardFailedError(
                f"{plan.split} shard {plan.index}: {answer['error']}"
            )


def _encoded(
    refs: Sequence[records.ClipRef], stored: Mapping[str, StoredSource]
) -> Iterator[str]:
    """Yields batches of references, with what is stored of them, as JSON."""
    for begin in range(0, len(refs), _REFS_PER_ELEMENT):
        rows = []
        for ref in refs[begin : begin + _REFS_PER_ELEMENT]:
            known = stored.get(ref.clip_id)
            encoded = None if known is None else records.to_json(known)
            ours = [ref.split, ref.clip_id, ref.label_id, ref.uri, ref.expected_sha256]
            rows.append([*ours, encoded])
        yield json.dumps(rows)


def _placed_clips(
    encoded: str, job: ShardJob, identify: Identify
) -> Iterator[tuple[_Place, str]]:
    """Yields every clip's place and, as JSON, its PlannedClip."""
    rows = json.loads(encoded)
    for (split, clip_id, label_id, uri, expected, _), found in zip(
        rows, _identified(rows, identify), strict=True
    ):
        clip = records.PlannedClip(
            clip_id, label_id, uri, found.source, found.stored_in
        )
        if expected not in ("", found.source.sha256):
            clip = dataclasses.replace(clip, stored_in="", expected_sha256=expected)
        index = sharding.shard_index(clip_id, job.num_shards[split], job.salt)
        yield (split, index), json.dumps(records.to_json(clip))


def _identified(
    rows: Sequence[Sequence[Any]], identify: Identify
) -> Iterator[StoredSource]:
    """Yields how the file of each clip is known; remote ones are read side by side."""

    def identified(row: Sequence[Any]) -> StoredSource:
        _, clip_id, _, uri, _, encoded = row
        known = None if encoded is None else records.from_json(StoredSource, encoded)
        return identify(clip_id, uri, known)

    if not any(storage.is_remote(row[3]) for row in rows):
        yield from map(identified, rows)
        return
    with futures.ThreadPoolExecutor(_NUM_REMOTE_READERS) as executor:
        yield from executor.map(identified, rows)


def _plan(placed: tuple[_Place, Iterable[str]], job: ShardJob) -> records.ShardPlan:
    (split, index), clips = placed
    return sharding.plan_shard(
        split,
        index,
        job.num_shards[split],
        clips=[records.from_json(records.PlannedClip, json.loads(c)) for c in clips],
        settings=job.settings,
        salt=job.salt,
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
