import re

import pyarrow as pa
import pytest
from pyarrow import parquet

from pipelines.report import predictions
from pipelines.report.predictions import PredictionsError
from tests.predictions_by_hand import NAMES


def test_what_eval_wrote_is_read(predictions_file):
    actual = predictions.read_predictions(predictions_file, NAMES)
    assert actual.clip_ids.to_pylist() == ["201", "202", "203", "204"]
    assert actual.label_ids.tolist() == [0, 1, 2, 0]
    assert actual.is_right.tolist() == [True, True, False, True]
    assert actual.ranked.shape == actual.probabilities.shape == (4, 3)
    assert actual.names == dict(enumerate(NAMES))
    assert actual.label_probabilities[2] == pytest.approx(actual.probabilities[2, 1])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda t: t.drop_columns("label_probability"), "needs a column label_prob"),
        (lambda t: t.slice(0, 0), "it has no predictions"),
        (
            lambda t: t.set_column(0, "clip_id", pa.array([1, 2, 3, 4])),
            "needs a column clip_id of string",
        ),
    ],
)
def test_another_table_is_refused(predictions_file, tmp_path, change, expected):
    path = tmp_path / "other.parquet"
    parquet.write_table(change(parquet.read_table(predictions_file)), path)
    with pytest.raises(PredictionsError, match=re.escape(f"{path}: {expected}")):
        predictions.read_predictions(path)


def test_what_is_no_parquet_or_of_other_classes_is_refused(predictions_file, tmp_path):
    path = tmp_path / "text"
    path.write_text("clip_id")
    for file in (path, tmp_path / "none"):
        with pytest.raises(PredictionsError, match="cannot be read as Parquet"):
            predictions.read_predictions(file)
    with pytest.raises(PredictionsError, match="label_id 1 is 'Moving something ri"):
        predictions.read_predictions(predictions_file, [NAMES[0], NAMES[2], NAMES[1]])
    with pytest.raises(PredictionsError, match="and None in this version"):
        predictions.read_predictions(predictions_file, NAMES[:2])
