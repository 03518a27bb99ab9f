"""Every clip is scored once, whatever the batches are."""

import mindspore
import numpy as np
import pytest
from mindspore import Tensor

from eval import evaluate
from eval.evaluate import AVERAGES, Evaluation, make_predict, score_clips
from eval.metrics import TopK
from model.tsm import TSM, TSMConfig

NUM_CLASSES = 6


def batches(label_ids, batch_size, predicted=None):
    """Clips whose first pixel is the class that `predict` will say."""
    label_ids = np.array(label_ids, np.int32)
    result = label_ids if predicted is None else np.array(predicted)
    frames = np.zeros((len(label_ids), 2, 3, 4, 4), np.uint8)
    frames[:, 0, 0, 0, 0] = result
    for begin in range(0, len(label_ids), batch_size):
        end = begin + batch_size
        yield {"frames": frames[begin:end], "label": label_ids[begin:end]}


class Oracle:
    """Predicts the first pixel and keeps the shapes that it was asked for."""

    def __init__(self):
        self.shapes = []

    def __call__(self, frames):
        self.shapes.append(frames.shape)
        return np.eye(NUM_CLASSES, dtype=np.float32)[frames[:, 0, 0, 0, 0]] * 9


def score(predict, given, batch_size, **flags):
    return score_clips(
        predict, given, batch_size=batch_size, num_classes=NUM_CLASSES, **flags
    )


@pytest.mark.parametrize("batch_size", [1, 2, 4, 7, 8])
def test_every_clip_is_scored_once_by_batches_of_one_shape(batch_size):
    predicted, oracle = [0, 1, 2, 3, 4, 0, 1], Oracle()
    scores = score(oracle, batches(range(7), 3, predicted), batch_size)
    assert scores.shape == (7, NUM_CLASSES)
    assert scores.argmax(axis=1).tolist() == predicted
    assert set(oracle.shapes) == {(batch_size, 2, 3, 4, 4)}


@pytest.mark.parametrize("batch_size", [1, 2, 4, 5, 12])
def test_views_of_a_clip_are_averaged_whatever_batch_they_are_in(batch_size):
    """Three clips, looked at twice each, in reading batches of two clips."""
    (whole,) = batches([0] * 6, 6, predicted=[0, 1, 2, 2, 3, 4])
    frames = whole["frames"].reshape((3, 2, 2, 3, 4, 4))
    given = [{"frames": frames[:2]}, {"frames": frames[2:]}]
    scores = score(Oracle(), given, batch_size)
    expected = np.zeros((3, NUM_CLASSES))
    expected[0, [0, 1]] = expected[2, [3, 4]] = 4.5
    expected[1, 2] = 9
    np.testing.assert_allclose(scores, expected)


def test_logits_and_probabilities_can_be_averaged():
    """One view is sure of class 0, two lean to class 1."""
    logits = np.log(np.array([[[0.98, 0.02], [0.4, 0.6], [0.4, 0.6]]], np.float32))
    by_logits = AVERAGES["logits"](logits)
    np.testing.assert_allclose(by_logits, logits.mean(axis=1), rtol=1e-6)
    by_probabilities = AVERAGES["probabilities"](logits)
    np.testing.assert_allclose(
        np.exp(by_probabilities), [[1.78 / 3, 1.22 / 3]], rtol=1e-5
    )


def test_a_class_that_no_view_believes_in_keeps_a_finite_score():
    logits = np.array([[[0.0, 500.0], [0.0, 500.0]]], np.float32)
    assert np.isfinite(AVERAGES["probabilities"](logits)).all()


def test_evaluation_counts_and_ranks():
    label_ids = np.array([0, 1, 2, 3, 4, 5, 0], np.int32)
    scores = np.eye(NUM_CLASSES, dtype=np.float32)[[0, 1, 2, 3, 4, 0, 1]]
    evaluation = Evaluation.of(scores, label_ids)
    assert (evaluation.top_k.num_clips, evaluation.top_k.num_top1) == (7, 5)
    assert evaluation.confusion.counts.sum() == 7
    assert evaluation.confusion.counts[5, 0] == 1
    assert evaluation.label_ids.tolist() == label_ids.tolist()
    assert evaluation.ranked[:, 0].tolist() == [0, 1, 2, 3, 4, 0, 1]


def test_ranked_classes_come_with_their_probabilities():
    scores = np.log(np.array([[0.1, 0.2, 0.3, 0.15, 0.05, 0.2]], np.float32))
    evaluation = Evaluation.of(scores, np.array([2], np.int32))
    assert evaluation.ranked.tolist() == [[2, 1, 5, 3, 0]]
    np.testing.assert_allclose(
        evaluation.probabilities, [[0.3, 0.2, 0.2, 0.15, 0.1]], rtol=1e-5
    )


def test_clips_without_label_are_predicted_but_not_counted():
    scores = np.eye(NUM_CLASSES, dtype=np.float32)[[1, 3, 2]]
    evaluation = Evaluation.of(scores, np.array([-1, 3, -1], np.int32))
    assert evaluation.num_clips == 3
    assert evaluation.ranked[:, 0].tolist() == [1, 3, 2]
    assert evaluation.top_k == TopK(1, 1, 1)


def test_no_clips_have_no_scores():
    """A rank may have no part of a small split."""
    empty = {"frames": np.empty((0, 2, 3, 4, 4), np.uint8)}
    assert score(Oracle(), [empty], 2).shape == (0, NUM_CLASSES)
    assert score(Oracle(), [], 2).shape == (0, NUM_CLASSES)


@pytest.mark.parametrize(
    ("max_views", "num_views", "expected"),
    [
        (16, 1, (16, 16)),
        (16, 6, (2, 12)),  # three crops at two times, where 4 of 16 were black
        (8, 6, (1, 6)),
        (16, 30, (1, 15)),  # three crops at ten times
        (16, 7, (2, 14)),
        (4, 7, (1, 1)),
    ],
)
def test_no_view_but_the_last_is_filled_up(max_views, num_views, expected):
    num_clips, batch_size = evaluate.batch_shape(max_views, num_views)
    assert (num_clips, batch_size) == expected
    assert batch_size <= max_views
    assert num_clips * num_views % batch_size == 0


def test_logits_of_another_shape_are_an_error():
    with pytest.raises(ValueError, match=r"must be \(2, 5\), got \(2, 6\)"):
        score_clips(Oracle(), batches([1, 2], 2), batch_size=2, num_classes=5)


@pytest.fixture(scope="module")
def network():
    mindspore.set_seed(3)
    config = TSMConfig(
        num_classes=4, arch="resnet18", width=4, num_segments=2, shift_div=4
    )
    return TSM(config)


FRAMES = np.random.default_rng(0).integers(0, 256, (3, 2, 3, 32, 32), np.uint8)


def test_predicting_changes_nothing_and_drops_nothing(network):
    network.set_train(True)
    before = {p.name: p.asnumpy().copy() for p in network.get_parameters()}
    predict = make_predict(network)
    first, second = predict(FRAMES), predict(FRAMES)
    np.testing.assert_array_equal(first, second)
    assert network.training
    for parameter in network.get_parameters():
        np.testing.assert_array_equal(parameter.asnumpy(), before[parameter.name])


def test_predicting_follows_the_network_as_it_is_trained(network):
    predict = make_predict(network)
    predict(FRAMES)
    network.new_fc.bias.set_data(Tensor(np.array([1, 2, 3, 4], np.float32)))
    network.new_fc.weight.set_data(Tensor(np.zeros((4, 32), np.float32)))
    np.testing.assert_allclose(predict(FRAMES), [[1, 2, 3, 4]] * 3, rtol=1e-6)


def test_black_filling_does_not_change_the_other_clips(network):
    predict = make_predict(network)
    filled = np.concatenate([FRAMES[:1], np.zeros_like(FRAMES[:2])])
    np.testing.assert_allclose(
        predict(FRAMES)[0], predict(filled)[0], rtol=1e-5, atol=1e-6
    )
