"""The clips of a version in memory, as far as they are filtered and listed by it.

Some 60 bytes a clip: what a page shows of a single clip is read when it is shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

from mindrecord_io import naming, records
from mindrecord_io.versions import clips_table
from mindrecord_io.versions.manifests import Version
from mindrecord_io.versions.version_differences import KINDS
from pipelines.quarantine import REASONS
from pipelines.report.predictions import Predictions

__all__ = ["CHANGES", "ClipFilter", "ClipTable", "FilterError"]

CHANGES = tuple(kind for kind in KINDS if kind != "withdrawn")
"""What can have become of a clip of a version since another, which has a row there."""

_TEXTS = ("split", "status", "reason", "shard")
_COLUMNS = ("clip_id", *_TEXTS, "label_id", "num_frames", "fps_from_header")
_MAX_TEXT = 200
_MAX_NUMBER = 2**31 - 1
_RIGHT, _WRONG = "right", "wrong"
_CHOICES = {
    "split": (*records.SPLITS, "none"),
    "status": (
        *(records.STORED, records.QUARANTINED, records.MISSING, records.UNLISTED),
    ),
    "reason": tuple(REASONS),
    "prediction": (_RIGHT, _WRONG),
    "change": CHANGES,
}


class FilterError(ValueError):
    """A filter has an unknown name or value."""


@dataclass(frozen=True, slots=True)
class ClipFilter:
    """What the clips of a list have in common; "" stands for any.

    Attributes:
      text: a part of the clip's id.
      label_id: of its class, as a number.
      prediction: whether it was "right" or "wrong".
      min_frames, max_frames: bounds of its length, as numbers.
      since: the name of a version since which it changed.
      change: how; one of CHANGES.
    """

    text: str = ""
    split: str = ""
    label_id: str = ""
    status: str = ""
    reason: str = ""
    prediction: str = ""
    min_frames: str = ""
    max_frames: str = ""
    since: str = ""
    change: str = ""

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value and value not in choices:
                raise FilterError(f"{name} must be one of {choices}, got {value!r}")
        for name in ("label_id", "min_frames", "max_frames"):
            value = getattr(self, name)
            is_number = value.isascii() and value.isdigit() and len(value) < 11
            if value and not (is_number and int(value) <= _MAX_NUMBER):
                raise FilterError(f"{name} must be a whole number, got {value[:20]!r}")
        if self.since and not naming.is_version_name(self.since[:20]):
            raise FilterError(f"since must be a version, got {self.since[:20]!r}")
        if self.change and not self.since:
            raise FilterError("change needs a version in since")
        if len(self.text) > _MAX_TEXT:
            raise FilterError(f"text may have at most {_MAX_TEXT} characters")

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "ClipFilter":
        """Returns the filter of a page's query; other keys are left to the page."""
        names = {field.name for field in fields(cls)}
        return cls(**{k: v.strip() for k, v in query.items() if k in names})

    @property
    def query(self) -> dict[str, str]:
        """The parts that are not "any"."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value}


class ClipTable:
    """All rows of clips.parquet, in its order; a row's number is its index."""

    def __init__(self, version: Version, predictions: Predictions | None) -> None:
        batches = list(version.clip_batches(_COLUMNS))
        parts = {name: [b.column(name) for b in batches] for name in _COLUMNS}
        columns = {
            name: pa.chunked_array(
                parts[name], clips_table.SCHEMA.field(name).type
            ).combine_chunks()
            for name in _COLUMNS
        }
        self.clip_ids = columns["clip_id"]
        self._texts = {name: columns[name].dictionary_encode() for name in _TEXTS}
        self.label_ids = columns["label_id"].to_numpy()
        self.num_frames = columns["num_frames"].to_numpy()
        self._fps = columns["fps_from_header"].to_numpy().astype(np.float32)
        self._prediction_rows = self._rows_of(predictions)
        self._predictions = predictions

    def __len__(self) -> int:
        return len(self.clip_ids)

    def row_of(self, clip_id: str) -> int | None:
        """Returns the number of a clip's row, None if there is no such clip."""
        row = compute.index(self.clip_ids, clip_id).as_py()
        return None if row < 0 else int(row)

    def clip_id(self, row: int) -> str:
        """Returns a row's clip_id."""
        return str(self.clip_ids[row].as_py())

    def text(self, name: str, row: int) -> str:
        """Returns a row's split, status, reason or shard; "" for none."""
        return self._texts[name][row].as_py() or ""

    def fps(self, row: int) -> float:
        """Returns a row's frames a second, by its header; 12 where that has none."""
        return float(self._fps[row]) or 12.0

    def prediction_row(self, row: int) -> int | None:
        """Returns the place of a row's clip among the predictions, None without one."""
        place = int(self._prediction_rows[row])
        return None if place < 0 else place

    def rows(self, chosen: ClipFilter) -> npt.NDArray[np.int64]:
        """Returns the rows that a filter leaves, in order, whatever changed since."""
        is_left = np.ones(len(self), bool)
        for name in ("split", "status", "reason"):
            if value := getattr(chosen, name):
                is_left &= self._is(name, "" if value == "none" else value)
        if chosen.label_id:
            is_left &= self.label_ids == int(chosen.label_id)
        if chosen.min_frames:
            is_left &= self.num_frames >= int(chosen.min_frames)
        if chosen.max_frames:
            is_left &= self.num_frames <= int(chosen.max_frames)
        if chosen.prediction:
            is_left &= self._is_predicted(chosen.prediction)
        if chosen.text:
            matches = compute.match_substring(self.clip_ids, chosen.text)
            is_left &= matches.to_numpy(zero_copy_only=False)
        return np.flatnonzero(is_left)

    def class_sizes(self, num_classes: int) -> dict[str, npt.NDArray[np.int64]]:
        """Returns the stored clips of each class, by split."""
        is_stored = self._is("status", records.STORED) & (self.label_ids >= 0)
        return {
            split: np.bincount(
                self.label_ids[is_stored & self._is("split", split)],
                minlength=num_classes,
            )
            for split in records.SPLITS
        }

    def _is(self, name: str, value: str) -> npt.NDArray[np.bool_]:
        encoded = self._texts[name]
        codes = [i for i, v in enumerate(encoded.dictionary.to_pylist()) if v == value]
        indices = compute.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
        matches: npt.NDArray[np.bool_] = np.isin(indices, codes)
        return matches

    def _is_predicted(self, prediction: str) -> npt.NDArray[np.bool_]:
        if self._predictions is None:
            raise FilterError("there are no predictions: give --predictions FILE")
        has_label = self.label_ids >= 0
        is_known = (self._prediction_rows >= 0) & has_label
        first = self._predictions.ranked[self._prediction_rows, 0]
        is_right = first == self.label_ids
        if prediction == _WRONG:
            is_right = ~is_right
        chosen: npt.NDArray[np.bool_] = is_known & is_right
        return chosen

    def _rows_of(self, predictions: Predictions | None) -> npt.NDArray[np.int64]:
        if predictions is None:
            return np.full(len(self), -1)
        places = compute.index_in(self.clip_ids, value_set=predictions.clip_ids)
        rows: npt.NDArray[np.int64] = compute.fill_null(places, -1).to_numpy()
        return rows
