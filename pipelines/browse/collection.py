"""An open version as the pages read it: rows, frames, predictions, decisions."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mindrecord_io import naming, records
from mindrecord_io.versions import clips_table
from mindrecord_io.versions.manifests import Version
from pipelines.browse import suspects
from pipelines.browse.clip_table import ClipFilter, ClipTable, FilterError
from pipelines.browse.corrections import Corrections
from pipelines.browse.other_versions import Changes, LabelOf, OtherVersions
from pipelines.report.predictions import Predictions

__all__ = ["Collection", "NoFramesError", "StoredClip"]

_NUM_SHARDS_KEPT = 8
ReadPart = Callable[[str, int, int], bytes]


class NoFramesError(ValueError):
    """A clip has no frames, or they cannot be read."""


@dataclass(frozen=True, slots=True)
class StoredClip:
    """Where a clip's frames are: their sizes, end to end from `begin` of a shard."""

    shard: str
    begin: int
    sizes: tuple[int, ...]
    height: int
    width: int


class Collection:
    """A version, opened; nothing of it is written, but the corrections file.

    Attributes:
      version, table, predictions, corrections: as they were opened.
      names: label texts by label_id.
      suspects: the least score first; empty without predictions.
      others: the data set's versions, this one among them.
    """

    def __init__(
        self,
        version: Version,
        read_part: ReadPart,
        *,
        predictions: Predictions | None,
        corrections: Corrections,
        others: OtherVersions,
    ) -> None:
        self.version = version
        self.names = version.category_names()
        self.table = ClipTable(version, predictions)
        self.predictions = predictions
        self.corrections = corrections
        self.others = others
        ranked = suspects.suspects_of(predictions) if predictions else []
        self.suspects = [s for s in ranked if self.table.row_of(s.clip_id) is not None]
        self._table_path = naming.clips_table_path(version.folder)
        self._read_part = read_part
        self._shard = functools.lru_cache(_NUM_SHARDS_KEPT)(self._read_shard)

    def rows(self, chosen: ClipFilter) -> npt.NDArray[np.int64]:
        """Returns the rows that a filter leaves, in order.

        Raises:
          FilterError: there are no predictions, or no such version.
          ManifestError, TableError, StorageError: another version cannot be read.
        """
        rows = self.table.rows(chosen)
        if not chosen.since:
            return rows
        mask = self.changes(chosen.since).mask(chosen.change)
        changed: npt.NDArray[np.int64] = rows[mask[rows]]
        return changed

    def changes(self, since: str) -> Changes:
        """Returns what changed since another version, as `rows` goes by it."""
        if since not in self.others.names:
            raise FilterError(f"there is no version {since}")
        shown = self.version.manifest.version
        return self.others.changes(since, shown, self.table)

    def history(self, row: int) -> list[LabelOf]:
        """Returns what each of the newest versions has of a row's clip."""
        return self.others.history(self.table.clip_id(row))

    def label(self, row: int) -> str:
        """Returns the label of a row, "" without one."""
        label_id = int(self.table.label_ids[row])
        return self.names[label_id] if 0 <= label_id < len(self.names) else ""

    def stored(self, row: int) -> StoredClip:
        """Returns where a row's frames are.

        Raises:
          NoFramesError: it is not stored. TableError: the table cannot be read.
        """
        shard, clip_id = self.table.text("shard", row), self.table.clip_id(row)
        if self.table.text("status", row) != records.STORED:
            raise NoFramesError(f"clip {clip_id} is not stored")
        clip = self._shard(shard)[clip_id]
        sizes = tuple(clip["frame_sizes"])
        place = (shard, clip["frames_offset"], sizes, clip["height"], clip["width"])
        return StoredClip(*place)

    def frames(self, clip: StoredClip, begin: int = 0, end: int | None = None) -> bytes:
        """Returns the JPEGs of a half-open range of a clip's frames, end to end.

        Raises:
          NoFramesError: the shard is gone or shorter than it was.
        """
        ends = [0, *np.cumsum(clip.sizes).tolist()]
        first, last = ends[begin], ends[len(clip.sizes) if end is None else end]
        try:
            content = self._read_part(clip.shard, clip.begin + first, last - first)
        except OSError as cause:
            raise NoFramesError(f"{clip.shard}: cannot be read: {cause}") from cause
        if len(content) != last - first:
            raise NoFramesError(f"{clip.shard}: it ends before the clip's frames")
        return content

    def fields(self, row: int) -> dict[str, Any]:
        """Returns the columns of a row of clips.parquet, without its frames' sizes.

        Raises:
          TableError: the table cannot be read.
        """
        names = [name for name in clips_table.SCHEMA.names if name != "frame_sizes"]
        if shard := self.table.text("shard", row):
            clip = self._shard(shard)[self.table.clip_id(row)]
            return {name: clip[name] for name in names}
        for batch in clips_table.batches(self._table_path, names):
            if row < batch.num_rows:
                (fields,) = batch.slice(row, 1).to_pylist()
                return dict(fields)
            row -= batch.num_rows
        raise AssertionError("a row of the table that was read")

    def _read_shard(self, shard: str) -> dict[str, dict[str, Any]]:
        names = clips_table.SCHEMA.names
        clips = clips_table.read_shard(self._table_path, shard, names)
        return {clip["clip_id"]: clip for clip in clips}
