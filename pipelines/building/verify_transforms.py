"""The Beam part of verifying: numbers of shards in, one receipt per shard out."""

import contextlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam

from mindrecord_io import naming
from mindrecord_io.commands import log_lines
from mindrecord_io.versions import clips_table, manifests, shard_checks, version_checks
from pipelines.building import child_process, receipts, task_errors
from pipelines.publishing import data_sets

__all__ = ["CheckJob", "CheckReceipt", "CheckShards", "read_receipts"]

logger = logging.getLogger(__name__)

_MIN_SECONDS = 120  # a child needs some to start, and a disk to wake up
_MIN_BYTES_PER_SECOND = 1 << 20


@dataclass(frozen=True, slots=True)
class CheckJob:
    """What all tasks of one verification have in common.

    Attributes:
      dataset, receipts: the data set, and a folder for receipts; paths or URIs.
      has_table: clips.parquet is undamaged, so that shards can be compared with it.
    """

    dataset: Path | str
    version: str
    receipts: Path | str
    has_table: bool


@dataclass(frozen=True, slots=True)
class CheckReceipt:
    """The damage of one shard, which is the manifest's `shard_index`-th."""

    shard_index: int
    num_rows: int
    damaged: tuple[version_checks.Damage, ...]


class CheckShards(beam.PTransform):
    """Checks all shards of a version; yields nothing, leaves receipts."""

    def __init__(self, num_shards: int, job: CheckJob) -> None:
        super().__init__()
        self._num_shards = num_shards
        self._job = job

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Wires shard_index -> receipt."""
        return (
            pipeline
            | "Shards" >> beam.Create(range(self._num_shards))
            | "Check" >> beam.ParDo(_CheckShard(self._job))
        )


def read_receipts(folder: Path | str) -> list[CheckReceipt]:
    """Returns all receipts in the order of the manifest's shards."""
    read = receipts.read(folder, CheckReceipt)
    return sorted(read, key=lambda receipt: receipt.shard_index)


class _CheckShard(beam.DoFn):
    """Hashes a shard, then has a child process read it."""

    def __init__(self, job: CheckJob) -> None:
        self._job = job
        self._opened: contextlib.ExitStack | None = None
        self._data_set: data_sets.DataSet | None = None
        self._version: manifests.Version | None = None
        self._child: child_process.ChildProcess | None = None

    def setup(self) -> None:
        self._opened = contextlib.ExitStack()
        with task_errors.worded():
            data_set = data_sets.opened(self._job.dataset)
            self._data_set = self._opened.enter_context(data_set)
            self._version = self._data_set.open_version(self._job.version)

    def process(self, shard_index: int) -> Iterable[None]:
        assert self._version is not None
        entry = self._version.manifest.shards[shard_index]
        with task_errors.worded(f"{entry.split} shard {entry.index}"):
            self._check_and_report(entry, shard_index)
        return ()

    def teardown(self) -> None:
        self._drop_child()  # it has nothing to finish, and MindSpore ends slowly
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _check_and_report(self, entry: manifests.ShardEntry, shard_index: int) -> None:
        """Checks a shard and leaves the receipt of it."""
        assert self._version is not None
        assert self._data_set is not None
        with data_sets.fetched(self._data_set, [f"{entry.split}/{entry.key}"]):
            damaged = self._check(self._version, shard_index)
        receipt = CheckReceipt(shard_index, entry.num_rows, tuple(damaged))
        receipts.write(self._job.receipts, f"{shard_index:06d}.json", receipt)
        logger.info(
            "checked %s: %d clips, %d things wrong",
            entry.path,
            entry.num_rows,
            len(damaged),
            extra=log_lines.PER_SHARD,
        )

    def _check(
        self, version: manifests.Version, shard_index: int
    ) -> list[version_checks.Damage]:
        entry, clips = version.manifest.shards[shard_index], None
        if self._job.has_table:
            try:
                clips = shard_checks.shard_clips(version, entry)
            except clips_table.TableError as error:
                path = naming.clips_table_path(version.folder)
                return [_damage(path.relative_to(version.dataset).as_posix(), error)]
        damaged = shard_checks.check_shard(version, entry, clips)
        if damaged or clips is None or entry.mindrecord is None:
            return damaged
        max_seconds = _MIN_SECONDS + entry.mindrecord.num_bytes / _MIN_BYTES_PER_SECOND
        try:
            wrong = self._wrong_rows(shard_index, max_seconds)
        except (child_process.ChildDiedError, child_process.ChildTimeoutError) as error:
            self._drop_child()
            wrong = [f"has the published bytes, but the process that reads it: {error}"]
        return [version_checks.Damage(entry.path, why) for why in wrong]

    def _wrong_rows(self, shard_index: int, max_seconds: float) -> list[str]:
        assert self._version is not None
        if self._child is None:
            self._child = child_process.ChildProcess(
                "pipelines.building.row_check_child"
            )
        self._child.send(
            {
                "dataset": str(self._version.dataset),
                "version": self._job.version,
                "shard_index": shard_index,
            }
        )
        answer, _ = self._child.receive(max_seconds, 0)
        return [str(why) for why in answer["wrong"]]

    def _drop_child(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None


def _damage(path: str, error: Exception) -> version_checks.Damage:
    return version_checks.Damage(path, " ".join(str(error).split()))
