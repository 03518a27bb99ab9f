"""Writes one shard: rows in, a verified folder of files out, published by one rename.

MindSpore is imported here and must not be imported into a process that has loaded
Apache Beam (their protobuf needs differ): shards are written in processes of their own.
"""

import contextlib
import dataclasses
import hashlib
import mmap
import shutil
from collections.abc import Iterator, Sequence
from concurrent import futures
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import mindrecord
from mindspore.dataset import MindDataset

from mindrecord_io import files, naming, records, schema, shards

__all__ = ["ShardWriteError", "ShardWriter"]

# A call costs a third of a millisecond, whatever it writes. What is written together
# decides which pages rows come to: another number gives other bytes.
_ROWS_PER_CALL = 4
_MAX_WAITING_NUM_BYTES = 16 << 20
_REASON = "[ERROR]"  # MindSpore marks with it the one line of its texts that tells


class ShardWriteError(RuntimeError):
    """A shard could not be written, or did not read back as it was written."""


class ShardWriter:
    """Writes the rows of one shard into a folder, then proves and describes them.

    Call `append` or `quarantine` once for every clip of the plan, in the plan's order,
    then `finish`.
    """

    def __init__(self, folder: Path, plan: records.ShardPlan) -> None:
        self._folder = folder
        self._plan = plan
        name = naming.ShardName(plan.split, plan.index, plan.num_shards)
        self._path = folder / str(name)
        self._index_path = folder / name.index_file
        self._outcomes: list[records.ClipOutcome] = []
        self._num_rows = 0
        self._waiting: list[dict[str, object]] = []
        self._num_waiting_bytes = 0
        self._file: mindrecord.FileWriter | None = None

    def append(self, clip: records.PlannedClip, frames: records.ClipFrames) -> None:
        """Stores a clip as the shard's next row.

        A clip that does not fit in a page is quarantined instead.

        Raises:
          ShardWriteError: MindRecord refuses this row or one before it.
        """
        self._expect(clip)
        sizes = frames.frame_sizes
        limit = schema.max_frames_num_bytes(
            self._plan.settings.page_num_bytes, len(sizes)
        )
        if len(frames.jpegs) > limit:
            detail = schema.too_large(self._plan.settings.page_num_bytes)
            self.quarantine(clip, records.Quarantined("too_large", detail))
            return
        row = {
            "clip_id": clip.clip_id,
            "label": clip.label_id,
            "num_frames": len(sizes),
            "frame_sizes": np.array(sizes, np.int32),
            "frames": frames.jpegs,
            "height": frames.height,
            "width": frames.width,
        }
        self._write(row, len(frames.jpegs))
        self._outcomes.append(
            records.ClipOutcome(
                clip_id=clip.clip_id,
                label_id=clip.label_id,
                source=clip.source,
                status=records.STORED,
                height=frames.height,
                width=frames.width,
                fps_from_header=frames.fps_from_header,
                num_frames_from_header=frames.num_frames_from_header,
                row=self._num_rows,
                frames_offset=0,  # known once the file is complete
                frame_sizes=sizes,
                # A known hash is not computed again: reading back will prove it.
                frames_sha256=frames.sha256 or hashlib.sha256(frames.jpegs).hexdigest(),
            )
        )
        self._num_rows += 1

    def quarantine(self, clip: records.PlannedClip, why: records.Quarantined) -> None:
        """Records that a clip is not stored."""
        self._expect(clip)
        self._outcomes.append(
            records.ClipOutcome(
                clip_id=clip.clip_id,
                label_id=clip.label_id,
                source=clip.source,
                status=records.QUARANTINED,
                reason=why.reason,
                detail=why.detail,
                limits=why.limits,
            )
        )

    def finish(self) -> records.ShardSummary:
        """Completes the files, reads every row back, and writes the summary.

        Raises:
          ShardWriteError: a clip of the plan is missing, MindRecord failed, or what is
            read back differs from what was written or, of copied frames, stored.
        """
        if len(self._outcomes) != len(self._plan.clips):
            raise ShardWriteError(
                f"{self._path.name}: {len(self._outcomes)} of "
                f"{len(self._plan.clips)} clips were given before finish"
            )
        if self._waiting:
            self._write_waiting()
        mindrecord_file = index_file = None
        if self._file is not None:
            self._commit(self._file)
            with self._synced():
                self._locate_frames()
                self._prove_rows()
                mindrecord_file = files.fingerprint(self._path)
                index_file = files.fingerprint(self._index_path)
        summary = records.ShardSummary(
            split=self._plan.split,
            index=self._plan.index,
            num_shards=self._plan.num_shards,
            key=self._plan.key,
            frames_key=self._plan.frames_key,
            mindrecord=mindrecord_file,
            mindrecord_index=index_file,
            clips=tuple(self._outcomes),
        )
        shards.write_summary(self._folder, summary)
        return summary

    def _expect(self, clip: records.PlannedClip) -> None:
        position = len(self._outcomes)
        if position >= len(self._plan.clips) or self._plan.clips[position] != clip:
            raise ShardWriteError(
                f"{self._path.name}: {clip.clip_id} is not clip {position} of the plan"
            )

    def _write(self, row: dict[str, object], num_bytes: int) -> None:
        """Writes a row, together with those before it if that makes enough."""
        self._waiting.append(row)
        self._num_waiting_bytes += num_bytes
        if (
            len(self._waiting) >= _ROWS_PER_CALL
            or self._num_waiting_bytes >= _MAX_WAITING_NUM_BYTES
        ):
            self._write_waiting()

    def _write_waiting(self) -> None:
        rows, self._waiting, self._num_waiting_bytes = self._waiting, [], 0
        try:
            if self._file is None:
                self._file = mindrecord.FileWriter(str(self._path), shard_num=1)
                self._file.set_header_size(schema.HEADER_NUM_BYTES)
                self._file.set_page_size(self._plan.settings.page_num_bytes)
                self._file.add_schema(schema.MINDRECORD_SCHEMA, "clip")
            self._file.write_raw_data(rows)
        except (OSError, RuntimeError, ValueError) as cause:
            what = f"{rows[0]['clip_id']}: cannot be written"
            raise self._failed(what, cause) from cause

    def _commit(self, file: mindrecord.FileWriter) -> None:
        try:
            file.commit()
            for path in (self._path, self._index_path):
                path.chmod(0o644)  # MindRecord makes them readable by nobody else
        except (OSError, RuntimeError, ValueError) as cause:
            raise self._failed("cannot be completed", cause) from cause

    @contextlib.contextmanager
    def _synced(self) -> Iterator[None]:
        """Forces the files to disk while the block reads them: it takes as long."""
        with futures.ThreadPoolExecutor(1) as executor:
            syncing = executor.map(files.sync, (self._path, self._index_path))
            yield
            try:
                list(syncing)
            except OSError as cause:
                raise self._failed("cannot be completed", cause) from cause

    def _locate_frames(self) -> None:
        """Completes the outcomes with where in the file each clip's frames are."""
        num_bytes = {clip.clip_id: sum(clip.frame_sizes) for clip in self._stored()}
        page_num_bytes = self._plan.settings.page_num_bytes
        try:
            offsets = schema.frame_offsets(self._index_path, page_num_bytes, num_bytes)
        except schema.SchemaError as cause:
            raise self._failed("has no usable index", cause) from cause
        self._outcomes = [
            dataclasses.replace(clip, frames_offset=offsets.get(clip.clip_id, -1))
            for clip in self._outcomes
        ]

    def _prove_rows(self) -> None:
        """Compares every row, as MindDataset gives it, with what was appended.

        The frames are compared twice: with what was written, and with what lies at
        the offset from which training will read them.
        """
        columns = list(schema.COLUMNS)
        found = []
        with (
            self._path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            offsets = iter([clip.frames_offset for clip in self._stored()])
            try:
                rows = MindDataset([str(self._path)], columns, 1, shuffle=False)
                for row in rows.create_tuple_iterator(num_epochs=1, output_numpy=True):
                    found.append(_row_identity(row, content, next(offsets, -1)))
            except RuntimeError as cause:
                raise self._failed("cannot be read back", cause) from cause
        expected = [_expected_identity(clip) for clip in self._stored()]
        if found != expected:
            raise ShardWriteError(
                _damaged_source(self._plan, expected, found)
                or _wrong_rows(self._path, expected, found)
            )

    def _stored(self) -> list[records.ClipOutcome]:
        return [clip for clip in self._outcomes if clip.status == records.STORED]

    def _failed(self, what: str, cause: Exception) -> ShardWriteError:
        free = shutil.disk_usage(self._folder).free
        why = _first_reason(cause)
        return ShardWriteError(f"{self._path}: {what}: {why} ({free} bytes free there)")


def _first_reason(error: Exception) -> str:
    """Returns what went wrong, of all the lines that MindSpore says it in."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    marked = [line for line in lines if line.startswith(_REASON)]
    return (marked or lines or [repr(error)])[0].removeprefix(_REASON).strip()


def _damaged_source(
    plan: records.ShardPlan,
    expected: Sequence[tuple[object, ...]],
    found: Sequence[tuple[object, ...]],
) -> str:
    """Tells of a row that is as it was written, but not as it was where it is from."""
    places = {clip.clip_id: clip.stored_in for clip in plan.clips}
    for (*identity, sha256), (*read, sha256_read) in zip(expected, found, strict=False):
        clip_id = str(identity[0])
        if identity == read and places[clip_id] and sha256_read not in ("", sha256):
            return (
                f"{clip_id}: the frames stored in {places[clip_id]} are damaged: "
                f"SHA-256 {sha256_read}, expected {sha256}; run verify"
            )
    return ""


def _wrong_rows(
    path: Path,
    expected: Sequence[tuple[object, ...]],
    found: Sequence[tuple[object, ...]],
) -> str:
    pairs = zip(expected, found, strict=False)
    wrong = [clip[0] for clip, row in pairs if clip != row]
    return (
        f"{path}: {len(found)} of {len(expected)} rows read back; "
        f"rows that differ: {wrong[:5]}"
    )


def _expected_identity(clip: records.ClipOutcome) -> tuple[object, ...]:
    return (
        clip.clip_id,
        clip.label_id,
        len(clip.frame_sizes),
        clip.frame_sizes,
        clip.height,
        clip.width,
        clip.frames_sha256,
    )


def _row_identity(
    row: list[Any], content: mmap.mmap, frames_offset: int
) -> tuple[object, ...]:
    clip_id, label, num_frames, sizes, frames, height, width = row
    blob = frames.view(np.uint8)  # (bytes of JPEG,)
    in_file = np.frombuffer(content, np.uint8)[frames_offset:][: len(blob)]
    is_at_offset = frames_offset >= 0 and np.array_equal(in_file, blob)
    return (
        str(clip_id),
        int(label),
        int(num_frames),
        tuple(sizes.tolist()),
        int(height),
        int(width),
        hashlib.sha256(blob).hexdigest() if is_at_offset else "",
    )
