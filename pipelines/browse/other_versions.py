"""The other versions of a data set, as far as one is compared with them.

Some 20 bytes a clip and version; a few versions stay in memory.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

from mindrecord_io import records
from mindrecord_io.versions import clips_table, version_differences
from mindrecord_io.versions.clips_table import TableError
from mindrecord_io.versions.manifests import ManifestError, Version
from pipelines.browse.clip_table import CHANGES, ClipTable

__all__ = ["Changes", "LabelOf", "OtherVersions", "VersionClips"]

_COLUMNS = ("clip_id", "split", "label", "status")
_NUM_KEPT = 8
_IN_SHARDS = (records.STORED, records.QUARANTINED)


@dataclass(frozen=True, slots=True, eq=False)
class VersionClips:
    """The clips of a version that are stored or quarantined, in the table's order."""

    clip_ids: pa.Array
    splits: pa.DictionaryArray
    labels: pa.DictionaryArray
    statuses: pa.DictionaryArray

    @classmethod
    def read(cls, version: Version) -> "VersionClips":
        """Reads the table of a version.

        Raises:
          ManifestError, TableError: it cannot be read.
        """
        parts = []
        for batch in version.clip_batches(_COLUMNS):
            in_shards = compute.is_in(batch.column("status"), pa.array(_IN_SHARDS))
            parts.append(batch.filter(in_shards))
        fields = [clips_table.SCHEMA.field(name) for name in _COLUMNS]
        table = pa.Table.from_batches(parts, pa.schema(fields))
        ids, *others = (table[name].combine_chunks() for name in _COLUMNS)
        return cls(ids, *(other.dictionary_encode() for other in others))


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """What changed from another version to the one that is shown.

    Attributes:
      masks: of the rows of the shown version, by each of clip_table.CHANGES.
      num_withdrawn: clips that are not annotated any more.
    """

    masks: dict[str, npt.NDArray[np.bool_]]
    num_withdrawn: int

    def mask(self, change: str) -> npt.NDArray[np.bool_]:
        """Returns which rows changed so, or in any way for ""."""
        if change:
            return self.masks[change]
        changed: npt.NDArray[np.bool_] = np.logical_or.reduce(list(self.masks.values()))
        return changed


@dataclass(frozen=True, slots=True)
class LabelOf:
    """What a version has of a clip; all are "" where it has nothing of it."""

    version: str
    split: str = ""
    label: str = ""
    status: str = ""


class OtherVersions:
    """Opens versions when they are wanted, and compares.

    Args:
      open_version: opens a version by name.
      names: of all versions, oldest first.
    """

    def __init__(
        self, open_version: Callable[[str], Version], names: Sequence[str]
    ) -> None:
        self.names = tuple(names)
        self._open = open_version
        self.clips = functools.lru_cache(_NUM_KEPT)(self._clips)
        self.changes = functools.lru_cache(_NUM_KEPT)(self._changes)

    def history(self, clip_id: str) -> list[LabelOf]:
        """Returns what the newest versions that can be read have of a clip."""
        history = []
        for name in self.names[-_NUM_KEPT:]:
            try:
                clips = self.clips(name)
            except (ManifestError, TableError, OSError):
                continue
            row = compute.index(clips.clip_ids, clip_id).as_py()
            columns = (clips.splits, clips.labels, clips.statuses)
            values = (str(c[row].as_py()) for c in columns) if row >= 0 else ()
            history.append(LabelOf(name, *values))
        return history

    def _clips(self, name: str) -> VersionClips:
        return VersionClips.read(self._open(name))

    def _changes(self, since: str, shown: str, table: ClipTable) -> Changes:
        """Returns the changes of a shown version since another.

        Args:
          table: the rows of the shown version that the masks are of.

        Raises:
          ManifestError, TableError, StorageError: a version cannot be read.
        """
        columns = version_differences.COLUMNS
        old, new = (
            version_differences.spilled(self._open(name).clip_batches(columns))
            for name in (since, shown)
        )
        clip_ids: dict[str, list[str]] = {
            kind: [] for kind in version_differences.KINDS
        }
        for clip_id, kind, *_ in version_differences.changed_clips(old, new):
            clip_ids[kind].append(clip_id)
        masks = {
            kind: compute.is_in(
                table.clip_ids, value_set=pa.array(clip_ids[kind], pa.string())
            ).to_numpy(zero_copy_only=False)
            for kind in CHANGES
        }
        return Changes(masks, len(clip_ids["withdrawn"]))
