"""Writes one shard: rows in, a proven folder of files out, published by one rename."""

import contextlib
import hashlib
import itertools
import shutil
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent import futures
from dataclasses import replace
from pathlib import Path

from mindrecord_io import records
from mindrecord_io.naming import ShardName
from mindrecord_io.records import (
    ClipFrames,
    ClipOutcome,
    DecoderIdentity,
    FileRange,
    Fingerprint,
    PlannedClip,
    Quarantined,
    ShardPlan,
    ShardSummary,
)
from mindrecord_io.shards import schema, shard_folders, sharding
from mindrecord_io.shards.mindrecord_encoding import Row
from mindrecord_io.shards.mindrecord_file import MindRecordFile
from mindrecord_io.storage import files

__all__ = ["ShardWriteError", "ShardWriter"]

_REASON = "[ERROR]"  # marks the line of MindSpore's messages that has the cause


class ShardWriteError(RuntimeError):
    """A shard could not be written, or did not read back as it was written."""


class ShardWriter:
    """Writes the rows of one shard into a folder, then proves and describes them.

    Call `append` or `quarantine` once for every clip of the plan, in the plan's order,
    then `finish`.
    """

    def __init__(self, folder: Path, plan: ShardPlan) -> None:
        self._folder = folder
        self._plan = plan
        name = ShardName(plan.split, plan.index, plan.num_shards)
        self._path = folder / str(name)
        self._index_path = folder / name.index_file
        self._outcomes: list[ClipOutcome] = []
        self._num_rows = 0
        self._file: MindRecordFile | None = None

    def append(self, clip: PlannedClip, frames: ClipFrames) -> None:
        """Stores a clip as the shard's next row.

        A clip that is larger than a page may be is quarantined instead.

        Raises:
          ShardWriteError: the file system refuses, or stored frames are gone.
        """
        self._expect(clip)
        sizes = frames.frame_sizes
        if len(frames.jpegs) > schema.max_frames_num_bytes(len(sizes)):
            detail = schema.too_large(len(frames.jpegs), len(sizes))
            self.quarantine(clip, Quarantined("too_large", detail))
            return
        row = Row(clip.clip_id, clip.label_id, sizes, frames.height, frames.width)
        try:
            offset = self._opened_file().append(row, frames.jpegs)
        except (OSError, EOFError) as cause:
            what = f"{clip.clip_id}: cannot be written"
            raise self._failed(what, cause) from cause
        self._outcomes.append(
            ClipOutcome(
                clip_id=clip.clip_id,
                label_id=clip.label_id,
                source=clip.source,
                status=records.STORED,
                height=frames.height,
                width=frames.width,
                reason=records.PARTIAL if frames.damage else "",
                detail=frames.damage,
                facts=frames.facts,
                row=self._num_rows,
                frames_offset=offset,
                frame_sizes=sizes,
                # A known hash is not computed again: reading back will prove it.
                frames_sha256=frames.sha256 or _sha256(frames.jpegs),
                frame_crc32s=frames.crc32s or _crc32s(frames.jpegs, sizes),
            )
        )
        self._num_rows += 1

    def quarantine(self, clip: PlannedClip, why: Quarantined) -> None:
        """Records that a clip is not stored."""
        self._expect(clip)
        self._outcomes.append(
            ClipOutcome(
                clip_id=clip.clip_id,
                label_id=clip.label_id,
                source=clip.source,
                status=records.QUARANTINED,
                reason=why.reason,
                detail=why.detail,
                limits=why.limits,
                facts=why.facts,
            )
        )

    def finish(
        self,
        decoders: Sequence[Iterable[DecoderIdentity]] = ((),),
        listed: Sequence[Fingerprint | None] = (),
        listed_summary: Fingerprint | None = None,
    ) -> ShardSummary:
        """Completes the files, reads every row back, and writes the summary.

        Args:
          decoders: that made the frames, then others that may have made equal ones.
          listed: contents that versions list under the plan's key; if this is another
            content, the shard gets another key.
          listed_summary: that of the summary; the first decoders by which the summary
            is the listed one are recorded, and without such the key is another too.

        Raises:
          ShardWriteError: a clip of the plan is missing, the file system refuses, or
            what MindDataset reads differs from what was appended or, of copied
            frames, once stored.
        """
        if len(self._outcomes) != len(self._plan.clips):
            raise ShardWriteError(
                f"{self._path.name}: {len(self._outcomes)} of "
                f"{len(self._plan.clips)} clips were given before finish"
            )
        file = index_file = None
        if self._file is not None:
            self._complete(self._file)
            with self._synced():
                self._prove_rows()
                file = files.fingerprint(self._path)
                index_file = files.fingerprint(self._index_path)
        key = self._plan.key
        summary = ShardSummary(
            split=self._plan.split,
            index=self._plan.index,
            num_shards=self._plan.num_shards,
            key=key,
            frames_key=self._plan.frames_key,
            mindrecord=file,
            mindrecord_index=index_file,
            clips=tuple(self._outcomes),
        )
        summaries = [
            replace(summary, decoders=tuple(sorted(those))) for those in decoders
        ]
        summary = _listed_one(summaries, listed, listed_summary)
        shard_folders.write_summary(self._folder, summary)
        return summary

    def _expect(self, clip: PlannedClip) -> None:
        position = len(self._outcomes)
        if position >= len(self._plan.clips) or self._plan.clips[position] != clip:
            raise ShardWriteError(
                f"{self._path.name}: {clip.clip_id} is not clip {position} of the plan"
            )

    def _opened_file(self) -> MindRecordFile:
        if self._file is None:
            page_num_bytes = self._plan.settings.page_num_bytes
            self._file = MindRecordFile(self._path, page_num_bytes)
        return self._file

    def _complete(self, file: MindRecordFile) -> None:
        try:
            file.finish()
        except (OSError, ValueError) as cause:
            raise self._failed("cannot be completed", cause) from cause

    @contextlib.contextmanager
    def _synced(self) -> Iterator[None]:
        """Forces the files to disk while the block reads them, which takes as long."""
        with futures.ThreadPoolExecutor(1) as executor:
            syncing = executor.map(files.sync, (self._path, self._index_path))
            yield
            try:
                list(syncing)
            except OSError as cause:
                raise self._failed("cannot be completed", cause) from cause

    def _prove_rows(self) -> None:
        # MindSpore takes two seconds to import: by now another thread has done it.
        from mindrecord_io.shards import shard_proof

        stored = [c for c in self._outcomes if c.status == records.STORED]
        try:
            shard_proof.prove_rows(self._path, stored, self._plan)
        except shard_proof.ProofError as cause:
            raise ShardWriteError(str(cause)) from cause
        except RuntimeError as cause:
            raise self._failed("cannot be read back", cause) from cause

    def _failed(self, what: str, cause: Exception) -> ShardWriteError:
        free = shutil.disk_usage(self._folder).free
        why = _first_reason(cause)
        return ShardWriteError(f"{self._path}: {what}: {why} ({free} bytes free there)")


def _sha256(jpegs: bytes | FileRange) -> str:
    assert isinstance(jpegs, bytes)  # what lies in a file has its hash already
    return hashlib.sha256(jpegs).hexdigest()


def _crc32s(jpegs: bytes | FileRange, sizes: Sequence[int]) -> tuple[int, ...]:
    """Returns the CRC-32 of each JPEG; of copied ones without, by reading them."""
    if isinstance(jpegs, FileRange):
        with jpegs.path.open("rb") as file:
            file.seek(jpegs.offset)
            jpegs = file.read(jpegs.num_bytes)
    begins = itertools.accumulate(sizes, initial=0)
    view = memoryview(jpegs)
    return tuple(
        zlib.crc32(view[begin : begin + size])
        for begin, size in zip(begins, sizes, strict=False)
    )


def _first_reason(error: Exception) -> str:
    """Returns the line with the cause from a message of MindSpore or of Python."""
    if isinstance(error, OSError) and error.strerror:
        name = error.filename and f"{error.filename}: "
        return f"{name or ''}{error.strerror}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    marked = [line for line in lines if line.startswith(_REASON)]
    return (marked or lines or [repr(error)])[0].removeprefix(_REASON).strip()


def _listed_one(
    summaries: Sequence[ShardSummary],
    listed: Sequence[Fingerprint | None],
    listed_summary: Fingerprint | None,
) -> ShardSummary:
    """Returns the summary that versions list, else the first, under another key."""
    first = summaries[0]
    if not listed:
        return first
    if first.mindrecord in listed:
        if listed_summary is None:
            return first
        for summary in summaries:
            content = shard_folders.encoded_summary(summary)
            digest = hashlib.sha256(content).hexdigest()
            if Fingerprint(len(content), digest) == listed_summary:
                return summary
    key = sharding.key_of_content(first.key, first.mindrecord)
    return replace(first, key=key, planned_key=first.key)
