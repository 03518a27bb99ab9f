"""The Beam part of a build: places of references in, published shards out.

Neither frames nor clips travel through Beam. One task owns one shard: it reads the
references of its clips, plans the shard (see shard_plans), and has it made unless it is
published. It leaves a receipt, so that progress can be watched on any runner.
"""

import contextlib
import dataclasses
import functools
import logging
import time
from collections import deque
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam import metrics

from mindrecord_io import naming, records
from mindrecord_io.commands import log_lines
from mindrecord_io.records import (
    DecoderIdentity,
    DecodeSettings,
    ShardPlan,
    ShardSummary,
)
from mindrecord_io.shards import shard_folders, sharding, summary_checks
from mindrecord_io.shards.shard_folders import ShardError, SummaryFile
from mindrecord_io.storage import locations
from pipelines.building import (
    child_process,
    listed_shards,
    receipts,
    task_errors,
    worker_identities,
    worker_pool,
)
from pipelines.building.listed_shards import ListedShards
from pipelines.building.receipts import ShardReceipt
from pipelines.planning import clip_references, shard_plans
from pipelines.planning.clip_references import Reference, ShardReferences
from pipelines.planning.shard_plans import ShardFailedError
from pipelines.publishing import data_sets
from pipelines.publishing.data_sets import DataSet
from pipelines.quarantine import DecodeLimits
from pipelines.sources import remote_clips

__all__ = ["BuildShards", "ShardJob"]

logger = logging.getLogger(__name__)

_MAX_AHEAD = 3  # of one bundle: fetched, decoded and uploaded


@dataclass(frozen=True, slots=True)
class ShardJob:
    """What all tasks of one job have in common.

    Attributes:
      dataset, receipts: the data set, and a folder that has the references and is for
        receipts; paths or URIs.
      limits: None where nothing is to be decoded, so that files are not looked at.
      ffmpeg: the program to decode with, "" for the usual one.
      is_repair: a published shard that is not the planned one is made again.
      damaged: places of shards that are made again in any case.
      num_workers: worker processes that one process may have; None for one to every
        core of the machine that it runs on.
    """

    dataset: Path | str
    receipts: Path | str
    settings: DecodeSettings
    limits: DecodeLimits | None
    salt: str
    num_workers: int | None = None
    ffmpeg: str = ""
    is_repair: bool = False
    damaged: frozenset[str] = frozenset()


class BuildShards(beam.PTransform):
    """Makes every shard that has references; yields nothing, leaves receipts."""

    def __init__(self, shards: Sequence[ShardReferences], job: ShardJob) -> None:
        super().__init__()
        self._shards = shards
        self._job = job

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Wires shard -> receipt."""
        return (
            pipeline
            | "Shards" >> beam.Create(self._shards)
            | "Balance" >> beam.Reshuffle()
            | "Build" >> beam.ParDo(_BuildShard(self._job))
        )


class _BuildShard(beam.DoFn):
    """Reuses a published shard, or has a worker process make it."""

    def __init__(self, job: ShardJob) -> None:
        self._job = job
        self._pool: worker_pool.WorkerPool | None = None
        self._opened: contextlib.ExitStack | None = None
        self._data_set: DataSet | None = None
        self._ahead: deque[futures.Future[tuple[ShardSummary, str]]] = deque()

    def setup(self) -> None:
        self._threads = futures.ThreadPoolExecutor(_MAX_AHEAD)
        self._pool = worker_pool.acquire(self._job.num_workers)
        self._opened = contextlib.ExitStack()
        with task_errors.worded():
            data_set = data_sets.opened(self._job.dataset)
            self._data_set = self._opened.enter_context(data_set)

    def process(self, shard: ShardReferences) -> Iterable[None]:
        with task_errors.worded(f"{shard.split} shard {shard.index}"):
            clips = clip_references.read(self._job.receipts, shard)
        is_remote = locations.is_remote
        if is_remote(self._job.dataset) or any(is_remote(clip.uri) for clip in clips):
            # One shard's clips come while the next before it is decoded, and the one
            # before that is uploaded: on a cluster a slot has one thread.
            self._collect(_MAX_AHEAD - 1)
            self._ahead.append(self._threads.submit(self._make, shard, clips))
        else:
            _count(*self._make(shard, clips))
        return ()

    def finish_bundle(self) -> None:
        self._collect(0)

    def _collect(self, max_ahead: int) -> None:
        """Waits for the oldest shards that are being made until so many are left."""
        try:
            while len(self._ahead) > max_ahead:
                _count(*self._ahead.popleft().result())
        except BaseException:
            for waiting in self._ahead:
                waiting.cancel()
            self._ahead.clear()
            raise

    def _make(
        self, shard: ShardReferences, clips: Sequence[Reference]
    ) -> tuple[ShardSummary, str]:
        """Makes a shard, or reuses it; returns its summary and what was done."""
        with task_errors.worded(f"{shard.split} shard {shard.index}"):
            return self._made(shard, clips)

    def _made(
        self, shard: ShardReferences, clips: Sequence[Reference]
    ) -> tuple[ShardSummary, str]:
        begin, identities = time.time(), dict[str, str]()
        assert self._data_set is not None
        assert self._pool is not None
        with (
            self._pool.place(),
            remote_clips.copies_folder(clip.uri for clip in clips) as copies,
        ):
            identify = self._identify(identities, copies)
            plan, file = self._planned(shard, clips, identify, data_set=self._data_set)
            action = shard_plans.REUSED if file else shard_plans.action(plan)
            if file is None:
                file = self._built(plan, self._data_set, copies)
        summary, end = file.summary, time.time()
        name = receipts.shard_receipt_name(plan.split, plan.index, plan.num_shards)
        receipt = ShardReceipt(
            *(plan.split, plan.index, summary.key, action, begin, end, file.content),
            *_recognised(clips, identities),
            summary_text=_text_for_driver(file, self._data_set),
        )
        receipts.write(self._job.receipts, name, receipt)
        logger.info(
            "%s %s shard %d of %d: %d clips, %d quarantined in %.1f s",
            action,
            plan.split,
            plan.index,
            plan.num_shards,
            summary.num_stored,
            len(summary.clips) - summary.num_stored,
            end - begin,
            extra=log_lines.PER_SHARD,
        )
        return summary, action

    def teardown(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._pool is not None:
            worker_pool.release(self._pool)
            self._pool = None
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _identify(
        self, identities: MutableMapping[str, str], copies: Path | None
    ) -> shard_plans.IdentifyClip:
        """Returns what identifies the job's clips.

        Args:
          identities, copies: as hash_clip takes them, if it looks at the clips.
        """
        if not self._job.limits:
            return shard_plans.published_clip
        return functools.partial(
            shard_plans.hash_clip,
            max_num_bytes=self._job.limits.max_gib << 30,
            identities=identities,
            copies=copies,
        )

    def _planned(
        self,
        shard: ShardReferences,
        clips: Sequence[Reference],
        identify: shard_plans.IdentifyClip,
        *,
        data_set: DataSet,
    ) -> tuple[ShardPlan, SummaryFile | None]:
        """Returns the shard's plan, and its summary if it is published."""
        limits = self._job.limits
        plan = sharding.plan_shard(
            shard.split,
            shard.index,
            shard.num_shards,
            clips=shard_plans.identified(clips, identify),
            settings=self._job.settings,
            salt=self._job.salt,
        )
        if self._is_to_be_restored(plan, data_set):
            # Decoded again: what other versions hold of it may be another decoder's.
            anew = tuple(dataclasses.replace(c, stored_in="") for c in plan.clips)
            return dataclasses.replace(plan, clips=anew), None
        file = self._published(plan, data_set)
        if file is None:
            return plan, None
        text = limits.text if limits else None
        again = shard_plans.under_limits(plan, file.summary, text)
        if again == plan:
            return plan, file
        return again, self._published(again, data_set)

    def _is_to_be_restored(self, plan: ShardPlan, data_set: DataSet) -> bool:
        """Returns whether a repair has a shard to make that older versions lack."""
        return (
            self._job.is_repair
            and (plan.split, plan.key) in self._listed(data_set).files
            and data_set.read_summary(plan.split, plan.key) is None
        )

    def _published(self, plan: ShardPlan, data_set: DataSet) -> SummaryFile | None:
        """Returns the published shard that a plan describes, whichever decoder made it.

        None where there is none, or it is to be made again.
        """
        for key in self._listed(data_set).keys(plan.split, plan.key):
            if f"{plan.split}/{key}" in self._job.damaged:
                continue
            try:
                if file := data_set.read_summary(plan.split, key):
                    self._check(file, plan, data_set)
                    return file
            except ShardError as cause:
                if not self._job.is_repair:
                    raise
                logger.warning("%s: so it is", cause)
        return None

    def _listed(self, data_set: DataSet) -> ListedShards:
        return listed_shards.listed_by(data_set, str(self._job.receipts))

    def _check(self, file: SummaryFile, plan: ShardPlan, data_set: DataSet) -> None:
        """Raises ShardError unless a published shard is the planned one."""
        summary = file.summary
        place = (plan.split, summary.key)
        why = summary_checks.difference(summary, plan)
        listed = self._listed(data_set).summaries.get(place, file.content)
        if not why and file.content != listed:
            why = f"SHA-256 {file.content.sha256}, the manifest says {listed.sha256}"
        name = naming.ShardName(plan.split, plan.index, plan.num_shards)
        path = naming.shard_folder(data_set.folder, *place) / str(name)
        if not why and path.exists():  # of a remote data set it is not fetched for this
            why = summary_checks.misplaced(path, summary.clips)
        if why:
            raise ShardError(
                f"{data_set.location}/shards/{'/'.join(place)}/summary.json: {why}; "
                f"{shard_folders.REMEDY}"
            )

    def _built(
        self, plan: ShardPlan, data_set: DataSet, copies: Path | None
    ) -> SummaryFile:
        """Fetches what a shard needs, has it made, and makes it available to all."""
        places = {clip.stored_in for clip in plan.clips} - {""}
        with data_sets.fetched(data_set, places):
            local_plan = remote_clips.local_plan(plan, copies)
            key = self._build(local_plan, data_set)
        data_set.keep(plan.split, key)
        file = shard_folders.read_summary_file(data_set.folder, plan.split, key)
        data_set.drop(plan.split, key)
        if file is None or (why := summary_checks.difference(file.summary, plan)):
            why = "it is gone" if file is None else why
            raise ShardFailedError(f"{plan.split} shard {plan.index}, just made: {why}")
        return file

    def _build(self, plan: ShardPlan, data_set: DataSet) -> str:
        """Has the shard made; returns its key."""
        if shard_plans.action(plan) == shard_plans.DECODED:
            worker_identities.check(
                self._job.receipts, lambda: self._decoder_identity(plan)
            )
        shards, place = self._listed(data_set), (plan.split, plan.key)
        listed = [shards.files[place]] if place in shards.files else []
        places = {clip.stored_in for clip in plan.clips} | {"/".join(place)}
        summaries = {
            f"{split}/{key}": records.to_json(summary)
            for (split, key), summary in shards.summaries.items()
            if f"{split}/{key}" in places
        }
        answer = self._answer(
            plan,
            dataset=str(data_set.folder),
            plan=records.to_json(plan),
            listed=[file and records.to_json(file) for file in listed],
            summaries=summaries,
            known_decoders=[records.to_json(d) for d in sorted(shards.decoders)],
            is_repair=self._job.is_repair,
        )
        return str(answer["key"])

    def _decoder_identity(self, plan: ShardPlan) -> DecoderIdentity:
        identity: DecoderIdentity
        identity = records.from_json(DecoderIdentity, self._answer(plan))
        return identity

    def _answer(self, shard: ShardPlan, **fields: object) -> dict[str, Any]:
        """Returns a worker's answer to a request on account of a shard."""
        assert self._pool is not None
        request = {
            "limits": dataclasses.asdict(self._job.limits or DecodeLimits()),
            "ffmpeg": self._job.ffmpeg,
            **fields,
        }
        try:
            with self._pool.lent() as worker:
                answer = worker.request(request)
        except child_process.ChildDiedError as cause:
            raise ShardFailedError(
                f"{shard.split} shard {shard.index}: the worker process {cause}"
            ) from cause
        if "error" in answer:
            raise ShardFailedError(
                f"{shard.split} shard {shard.index}: {answer['error']}"
            )
        return answer


def _text_for_driver(file: SummaryFile, data_set: DataSet) -> str:
    """Returns a summary.json for the receipt, "" where the driver reads the file."""
    if not locations.is_remote(data_set.location):
        return ""
    content = shard_folders.encoded_summary(file.summary)
    # An older program may have written it otherwise.
    is_same = SummaryFile.of(content).content == file.content
    return content.decode() if is_same else ""


def _recognised(
    clips: Sequence[Reference], identities: Mapping[str, str]
) -> tuple[int, str]:
    """Returns how many clips were read, and the identities if some are new."""
    if not identities:
        return 0, ""
    now = [identities[clip.clip_id] for clip in clips]
    is_read = [
        not text or text != c.identity for text, c in zip(now, clips, strict=True)
    ]
    texts = " ".join(text or receipts.NO_IDENTITY for text in now)
    return sum(is_read), texts if any(is_read) else ""


def _count(summary: ShardSummary, action: str) -> None:
    for name, amount in (
        ("clips", summary.num_stored),
        ("frames", sum(len(clip.frame_sizes) for clip in summary.clips)),
        ("failed", len(summary.clips) - summary.num_stored),
    ):
        metrics.Metrics.counter(action, name).inc(amount)
