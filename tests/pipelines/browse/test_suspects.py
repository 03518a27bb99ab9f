import numpy as np
import pyarrow as pa
import pytest

from pipelines.browse import suspects
from pipelines.browse.suspects import Suspect
from pipelines.report.predictions import Predictions


def predictions_of(label_ids, probabilities, num_ranked=5):
    """Predictions of rows of probabilities; clip i is called "i", class j "class j"."""
    rows = np.array(probabilities, np.float32)
    labels = np.array(label_ids, np.int32)
    ranked = np.argsort(-rows, axis=1, kind="stable")[:, :num_ranked]
    own = rows[np.arange(len(rows)), np.maximum(labels, 0)]
    return Predictions(
        clip_ids=pa.array([str(i) for i in range(len(rows))]),
        label_ids=labels,
        label_probabilities=np.where(labels >= 0, own, np.float32(np.nan)),
        ranked=ranked.astype(np.int32),
        probabilities=np.take_along_axis(rows, ranked, axis=1),
        names={j: f"class {j}" for j in range(rows.shape[1])},
    )


def test_the_suspects_are_those_computed_by_hand():
    """Thresholds: class 0 (0.9 + 0.7 + 0.2) / 3 = 0.6, class 1 (0.8 + 0.4) / 2 = 0.6.

    Clip 2 (class 0) reaches class 1's with 0.8: score (0.2 - 0.8 + 1) / 2. Clip 4
    (class 1) reaches class 0's with exactly 0.6: score (0.4 - 0.6 + 1) / 2.
    """
    rows = [[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.2, 0.8], [0.6, 0.4]]
    actual = suspects.suspects_of(predictions_of([0, 0, 0, 1, 1], rows))
    assert actual == [
        Suspect("2", "class 0", "class 1", 0.2, 0.8, 0.2),
        Suspect("4", "class 1", "class 0", 0.4, 0.6, 0.4),
    ]


def test_a_wrong_prediction_that_no_class_is_sure_of_is_no_suspect():
    """Class 1's threshold is 0.9: clip 1, of class 0, does not reach it with 0.6."""
    rows = [[0.8, 0.2], [0.4, 0.6], [0.1, 0.9]]
    assert suspects.suspects_of(predictions_of([0, 0, 1], rows)) == []


def test_the_most_probable_of_the_classes_that_are_reached_is_suggested():
    """Thresholds 0.5, 0.3, 0.4 (by clips 0, 2, 3): clip 1 has 0.1, 0.4, 0.5."""
    rows = [[0.9, 0.1, 0], [0.1, 0.4, 0.5], [0.5, 0.3, 0.2], [0.3, 0.3, 0.4]]
    actual = suspects.suspects_of(predictions_of([0, 0, 1, 2], rows))
    assert [(s.clip_id, s.suggested_label) for s in actual] == [
        ("1", "class 2"),
        ("2", "class 0"),
    ]


def test_clips_without_a_label_and_classes_without_a_clip_are_left_out():
    """Nobody is labelled 2, so it has no threshold, and clip 1 is its own class."""
    rows = [[0.9, 0.05, 0.05], [0.1, 0.3, 0.6], [0.1, 0.8, 0.1]]
    assert suspects.suspects_of(predictions_of([0, 1, -1], rows)) == []


@pytest.mark.parametrize("num_ranked", [2, 3, 5])
def test_swapped_labels_are_found_also_where_few_classes_are_listed(num_ranked):
    generator = np.random.default_rng(1)
    true = np.repeat(np.arange(5), 40)
    labels = true.copy()
    swapped = generator.choice(200, 10, replace=False)
    labels[swapped] = (labels[swapped] + 1) % 5
    scores = generator.normal(size=(200, 5))
    scores[np.arange(200), true] += 5
    rows = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    actual = suspects.suspects_of(predictions_of(labels, rows, num_ranked))
    first = {int(suspect.clip_id) for suspect in actual[:10]}
    assert len(first & set(swapped.tolist())) >= 9
