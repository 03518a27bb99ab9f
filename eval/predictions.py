"""Predictions by clip, as a Parquet file and as a submission to the test server."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from eval.evaluate import Evaluation
from mindrecord_io.storage import files

__all__ = ["to_submission", "to_table", "write"]

_SCHEMA = pa.schema(
    [
        ("clip_id", pa.string()),
        ("label_id", pa.int32()),  # -1: no label
        ("label", pa.string()),  # "" without a label
        ("label_probability", pa.float32()),  # null without a label
        ("predicted_label_id", pa.int32()),
        ("predicted_label", pa.string()),
        ("top_label_ids", pa.list_(pa.int32())),  # the most probable first, up to five
        ("top_labels", pa.list_(pa.string())),
        ("top_probabilities", pa.list_(pa.float32())),
    ]
)


def to_table(
    evaluation: Evaluation, clip_ids: Sequence[str], category_names: Sequence[str]
) -> pa.Table:
    """Returns a table with one row per clip.

    Args:
      evaluation: of exactly these clips, in their order.
      clip_ids: of the clips.
      category_names: label texts by label_id.

    Raises:
      ValueError: the numbers of scored clips and ids differ.
    """
    if len(clip_ids) != evaluation.num_clips:
        raise ValueError(
            f"{evaluation.num_clips} clips were scored, but there are {len(clip_ids)}"
        )
    first = evaluation.ranked[:, 0].tolist()
    columns = [
        list(clip_ids),
        evaluation.label_ids.tolist(),
        [category_names[i] if i >= 0 else "" for i in evaluation.label_ids.tolist()],
        [None if p != p else p for p in evaluation.label_probabilities.tolist()],
        first,
        [category_names[label_id] for label_id in first],
        evaluation.ranked.tolist(),
        [[category_names[i] for i in ranked] for ranked in evaluation.ranked.tolist()],
        evaluation.probabilities.tolist(),
    ]
    arrays = [
        pa.array(values, field.type)
        for values, field in zip(columns, _SCHEMA, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=_SCHEMA)


def to_submission(
    table: pa.Table, guesses: Mapping[str, Sequence[int]] | None = None
) -> bytes:
    """Returns the file that Something-Something-v2's test server reads.

    One line per clip, `id;p1;p2;p3;p4;p5`: the label_ids by falling probability.

    Args:
      guesses: label_ids by id of the clips that could not be scored.
    """
    lines = [
        ";".join(map(str, (clip_id, *label_ids)))
        for clip_id, label_ids in zip(
            table["clip_id"].to_pylist(),
            table["top_label_ids"].to_pylist(),
            strict=True,
        )
    ]
    for clip_id, label_ids in (guesses or {}).items():
        lines.append(";".join(map(str, (clip_id, *label_ids))))
    return "".join(f"{line}\n" for line in lines).encode()


def write(table: pa.Table, path: Path) -> None:
    """Writes the table as Parquet, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = pa.BufferOutputStream()
    parquet.write_table(table, buffer)
    files.replace_file(path, buffer.getvalue().to_pybytes())
