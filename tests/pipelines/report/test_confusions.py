import numpy as np
import pyarrow as pa

from pipelines.report import confusions
from pipelines.report.confusions import ClassScore, Confusion
from pipelines.report.predictions import Predictions


def predictions_of(rows):
    """Predictions of (label_id, its probability, predicted, probability) of each clip.

    Clip i is called "i".
    """
    labels, own, first, most = zip(*rows, strict=True)
    return Predictions(
        clip_ids=pa.array([str(i) for i in range(len(rows))]),
        label_ids=np.array(labels, np.int32),
        label_probabilities=np.array(own, np.float32),
        ranked=np.array(first, np.int32)[:, None],
        probabilities=np.array(most, np.float32)[:, None],
        names={i: f"class {i}" for i in range(4)},
    )


ROWS = [
    (0, 0.9, 0, 0.9),
    (0, 0.3, 1, 0.6),
    (0, 0.1, 1, 0.8),
    (1, 0.6, 1, 0.6),
    (1, 0.7, 1, 0.7),
    (2, 0.0, 3, 0.9),
    (-1, np.nan, 3, 0.9),
]
"""Wrong by 0.3 (clip 1), 0.7 (clip 2) and 0.9 (clip 5); clip 6 has no label."""


def test_classes_are_counted_by_those_that_have_a_clip():
    assert confusions.class_scores(predictions_of(ROWS)) == {
        0: ClassScore(3, 1),
        1: ClassScore(2, 2),
        2: ClassScore(1, 0),
    }
    assert ClassScore(4, 1).accuracy == 0.25


def test_pairs_are_the_most_frequent_with_the_surest_clip_of_each():
    predictions = predictions_of(ROWS)
    assert confusions.confusions(predictions, 5) == [
        Confusion(0, 1, 2, "2"),
        Confusion(2, 3, 1, "5"),
    ]
    assert confusions.confusions(predictions, 1) == [Confusion(0, 1, 2, "2")]


def test_the_most_wrong_clips_come_first():
    assert confusions.most_wrong(predictions_of(ROWS), 9) == [5, 2, 1]
    assert confusions.most_wrong(predictions_of(ROWS), 2) == [5, 2]


def test_the_surest_right_clip_of_a_class_is_shown_beside():
    predictions = predictions_of(ROWS)
    assert confusions.right_clip(predictions, 1) == "4"
    assert confusions.right_clip(predictions, 3) == ""
