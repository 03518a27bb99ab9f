import numpy as np
import pytest
from pyarrow import parquet

from eval import predictions
from eval.evaluate import Evaluation
from eval.metrics import ConfusionMatrix, TopK

EVALUATION = Evaluation(
    TopK(1, 1, 1),
    ConfusionMatrix.empty(3),
    np.array([2, -1], np.int32),
    np.array([[2, 0, 1], [1, 2, 0]]),
    np.array([[0.5, 0.25, 0.25], [0.75, 0.25, 0.0]], np.float32),
    np.array([0.5, np.nan], np.float32),
)
NAMES = ["Closing", "Opening", "Rest"]


def test_a_row_a_clip():
    assert predictions.to_table(EVALUATION, ["17", "9"], NAMES).to_pylist() == [
        {
            "clip_id": "17",
            "label_id": 2,
            "label": "Rest",
            "label_probability": 0.5,
            "predicted_label_id": 2,
            "predicted_label": "Rest",
            "top_label_ids": [2, 0, 1],
            "top_labels": ["Rest", "Closing", "Opening"],
            "top_probabilities": [0.5, 0.25, 0.25],
        },
        {
            "clip_id": "9",
            "label_id": -1,
            "label": "",
            "label_probability": None,
            "predicted_label_id": 1,
            "predicted_label": "Opening",
            "top_label_ids": [1, 2, 0],
            "top_labels": ["Opening", "Rest", "Closing"],
            "top_probabilities": [0.75, 0.25, 0.0],
        },
    ]


@pytest.mark.parametrize("clip_ids", [["17"], ["17", "9", "4"]])
def test_a_clip_not_scored_is_an_error(clip_ids):
    with pytest.raises(
        ValueError, match=f"2 clips were scored, but there are {len(clip_ids)}"
    ):
        predictions.to_table(EVALUATION, clip_ids, NAMES)


def test_file_has_the_table_and_nothing_is_left_beside_it(tmp_path):
    table = predictions.to_table(EVALUATION, ["17", "9"], NAMES)
    path = tmp_path / "out" / "predictions.parquet"
    predictions.write(table, path)
    predictions.write(table, path)
    assert parquet.read_table(path).equals(table)
    assert [file.name for file in path.parent.iterdir()] == ["predictions.parquet"]


def test_the_test_server_gets_a_line_a_clip():
    table = predictions.to_table(EVALUATION, ["17", "9"], NAMES)
    assert predictions.to_submission(table) == b"17;2;0;1\n9;1;2;0\n"
