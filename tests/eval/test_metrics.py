"""Accuracies of tables small enough to score by hand."""

import numpy as np
import pytest

from eval.metrics import ConfusionMatrix, TopK, ranked_label_ids

LOGITS = np.array(
    [
        [9, 1, 2, 3, 4, 5, 6],  # first: 0, then 6 5 4 3
        [1, 9, 2, 3, 4, 5, 6],  # first: 1, then 6 5 4 3
        [0, 1, 2, 3, 4, 5, 6],  # first: 6, then 5 4 3 2
    ],
    np.float32,
)
NO_LOGITS, NO_LABELS = np.zeros((0, 7), np.float32), np.zeros(0, np.int32)


@pytest.mark.parametrize(
    ("label_ids", "expected"),
    [
        ([0, 1, 6], TopK(3, 3, 3)),
        ([0, 6, 2], TopK(3, 1, 3)),
        ([1, 2, 1], TopK(3, 0, 0)),
        ([3, 3, 0], TopK(3, 0, 2)),
    ],
)
def test_top_k_counts_hits(label_ids, expected):
    assert TopK.of(LOGITS, np.array(label_ids)) == expected


def test_top_5_of_fewer_classes_is_everything():
    logits = np.array([[3.0, 2.0, 1.0]], np.float32)
    assert TopK.of(logits, np.array([2])) == TopK(1, 0, 1)


def test_equal_logits_are_no_hit_for_all():
    """A network that says the same of every class is right for one class only."""
    logits, label_ids = np.zeros((7, 7), np.float32), np.arange(7)
    assert TopK.of(logits, label_ids) == TopK(7, 1, 5)


def test_merging_batches_equals_scoring_them_together():
    label_ids = np.array([0, 6, 3])
    parts = [TopK.of(LOGITS[i : i + 1], label_ids[i : i + 1]) for i in range(3)]
    merged = TopK.empty().merge(parts[0]).merge(parts[1].merge(parts[2]))
    assert merged == TopK.of(LOGITS, label_ids)


def test_shares_are_of_all_clips():
    top_k = TopK(8, 2, 6)
    assert (top_k.top1, top_k.top5) == (0.25, 0.75)


def test_no_clips_have_no_accuracy():
    assert TopK.of(NO_LOGITS, NO_LABELS) == TopK.empty()
    assert (TopK.empty().top1, TopK.empty().top5) == (None, None)


@pytest.mark.parametrize("counts", [(1, 2, 2), (5, 3, 2), (2, -1, 1)])
def test_impossible_counts_are_refused(counts):
    with pytest.raises(ValueError, match="must not decrease"):
        TopK(*counts)


@pytest.mark.parametrize("label_id", [-1, 7])
def test_labels_outside_the_classes_are_refused(label_id):
    with pytest.raises(ValueError, match=rf"in \[0, 7\), got {label_id}"):
        TopK.of(LOGITS, np.array([0, label_id, 1]))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_not_finite_are_refused(value):
    """NaN compares false with everything, which would look like a hit."""
    logits = LOGITS.copy()
    logits[1, 2] = value
    with pytest.raises(ValueError, match="finite"):
        TopK.of(logits, np.array([0, 1, 2]))


def test_logits_of_segments_are_refused():
    with pytest.raises(ValueError, match=r"must be \(N, K\), got shape \(1, 2, 3\)"):
        ranked_label_ids(np.zeros((1, 2, 3), np.float32))


def test_ranking_is_by_logit_then_label_id():
    logits = np.array([[1.0, 3.0, 3.0, 2.0]], np.float32)
    assert ranked_label_ids(logits).tolist() == [[1, 2, 3, 0]]


def test_confusion_has_labels_in_rows_and_predictions_in_columns():
    logits = np.eye(3, dtype=np.float32)[[0, 2, 2, 1]]
    matrix = ConfusionMatrix.of(logits, np.array([0, 2, 0, 2]))
    assert matrix.counts.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 1]]


def test_per_class_accuracy_is_nan_for_classes_without_clips():
    matrix = ConfusionMatrix(np.array([[3, 1, 0], [0, 0, 0], [1, 1, 0]]))
    np.testing.assert_array_equal(matrix.per_class_accuracy(), [0.75, np.nan, 0.0])
    assert matrix.mean_class_accuracy() == 0.375


def test_no_clips_are_an_empty_matrix():
    assert ConfusionMatrix.empty(7).mean_class_accuracy() is None
    nothing = ConfusionMatrix.of(NO_LOGITS, NO_LABELS)
    np.testing.assert_array_equal(nothing.counts, ConfusionMatrix.empty(7).counts)


@pytest.mark.parametrize(
    ("limit", "pairs"),
    [
        (9, [(2, 0, 4), (0, 1, 2), (1, 2, 2), (2, 1, 1)]),
        (2, [(2, 0, 4), (0, 1, 2)]),
        (0, []),
    ],
)
def test_the_most_confused_pairs_come_first(limit, pairs):
    matrix = ConfusionMatrix(np.array([[9, 2, 0], [0, 5, 2], [4, 1, 7]]))
    assert matrix.most_confused(limit) == pairs
    assert matrix.counts[0, 0] == 9  # unchanged


def test_where_nothing_is_wrong_nothing_is_confused():
    assert ConfusionMatrix(np.diag([3, 0, 2])).most_confused(5) == []
