"""Reads the predictions that `clipmill eval --output` wrote, by clip."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import parquet

from mindrecord_io import records

__all__ = ["Predictions", "PredictionsError", "predictions_of", "read_predictions"]

_COLUMNS = {
    "clip_id": pa.string(),
    "label_id": pa.int32(),
    "label": pa.string(),
    "label_probability": pa.float32(),
    "top_label_ids": pa.list_(pa.int32()),
    "top_labels": pa.list_(pa.string()),
    "top_probabilities": pa.list_(pa.float32()),
}


class PredictionsError(ValueError):
    """A file is not a table of predictions, or of another data set's classes."""


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What a network predicted for M clips.

    Attributes:
      clip_ids: (M,) strings.
      label_ids: (M,) int32, negative for a clip without a label.
      label_probabilities: (M,) float32; not a number without a label.
      ranked: (M, R) int32, label_ids by falling probability, R at most 5.
      probabilities: (M, R) float32.
      names: label texts by label_id, of the labels that occur.
    """

    clip_ids: pa.Array
    label_ids: npt.NDArray[np.int32]
    label_probabilities: npt.NDArray[np.float32]
    ranked: npt.NDArray[np.int32]
    probabilities: npt.NDArray[np.float32]
    names: dict[int, str]

    @property
    def is_right(self) -> npt.NDArray[np.bool_]:
        """Whether the label was predicted first; False without a label."""
        hits: npt.NDArray[np.bool_] = self.ranked[:, 0] == self.label_ids
        return hits


def read_predictions(
    path: Path, category_names: Sequence[str] | None = None
) -> Predictions:
    """Reads a file of predictions.

    Args:
      category_names: label texts by label_id that the file must agree with.

    Raises:
      PredictionsError: it cannot be read, lacks a column, or has other classes.
    """
    try:
        table = parquet.read_table(path, partitioning=None)
    except (OSError, ValueError, pa.ArrowException) as cause:
        raise PredictionsError(f"{path}: cannot be read as Parquet: {cause}") from cause
    return predictions_of(table, path, category_names)


def predictions_of(
    table: pa.Table, path: Path, category_names: Sequence[str] | None = None
) -> Predictions:
    """Returns the predictions in the table of a file, as `read_predictions` does.

    Args:
      path: the file's, for messages.

    Raises:
      PredictionsError: it lacks a column, or has other classes.
    """
    for name, kind in _COLUMNS.items():
        if name not in table.column_names or table.schema.field(name).type != kind:
            raise PredictionsError(
                f"{path}: needs a column {name} of {kind}: write the file with "
                "`clipmill eval --output FILE` of this program"
            )
    if not table.num_rows:
        raise PredictionsError(f"{path}: it has no predictions")
    combined = table.combine_chunks()
    columns = {name: _array(combined, name) for name in _COLUMNS}
    label_ids = columns["label_id"].to_numpy()
    ranked = _matrix(path, columns["top_label_ids"]).astype(np.int32)
    names = dict(
        zip(
            ranked.ravel().tolist(),
            columns["top_labels"].flatten().to_pylist(),
            strict=True,
        )
    )
    has_label = label_ids != records.UNLABELLED
    labels = columns["label"].filter(pa.array(has_label)).to_pylist()
    names |= dict(zip(label_ids[has_label].tolist(), labels, strict=True))
    _check_names(path, names, category_names)
    return Predictions(
        clip_ids=columns["clip_id"],
        label_ids=label_ids,
        label_probabilities=columns["label_probability"].to_numpy(zero_copy_only=False),
        ranked=ranked,
        probabilities=_matrix(path, columns["top_probabilities"]).astype(np.float32),
        names=names,
    )


def _array(table: pa.Table, name: str) -> pa.Array:
    chunks = table[name].chunks
    return chunks[0]


def _matrix(path: Path, column: pa.ListArray) -> npt.NDArray[Any]:
    values: npt.NDArray[Any] = column.flatten().to_numpy()
    num_rows = len(column)
    if not values.size or values.size % num_rows or column.null_count:
        raise PredictionsError(f"{path}: its rows have different numbers of labels")
    return values.reshape(num_rows, -1)


def _check_names(
    path: Path, names: dict[int, str], category_names: Sequence[str] | None
) -> None:
    for label_id, name in sorted(names.items()) if category_names is not None else ():
        num_classes = len(category_names or ())
        expected = (
            category_names[label_id]
            if category_names and 0 <= label_id < num_classes
            else None
        )
        if name != expected:
            raise PredictionsError(
                f"{path}: label_id {label_id} is {name!r} there and {expected!r} in "
                "this version: the predictions are of other classes"
            )
